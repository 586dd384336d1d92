// The regions that the contract suite runs over, behind one face.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/media/open_pmem.h"
#include "tests/sim/sim_pmem.h"
#include "tests/sim/sim_pmem_pages.h"

namespace engine {

// A name for a file that is not there yet; removed at the end.
class TemporaryPath {
 public:
  explicit TemporaryPath(const std::string& directory) {
    path_ = directory + "/forebay-pmem-XXXXXX";
    const int fd = mkostemp(path_.data(), O_CLOEXEC);
    EXPECT_GE(fd, 0) << path_;
    close(fd);
    unlink(path_.c_str());
  }
  TemporaryPath(const TemporaryPath&) = delete;
  TemporaryPath& operator=(const TemporaryPath&) = delete;
  ~TemporaryPath() { unlink(path_.c_str()); }
  [[nodiscard]] const std::string& text() const { return path_; }

 private:
  std::string path_;
};

// What libpmem2 is told to believe while this lives.
class ForcedGranularity {
 public:
  explicit ForcedGranularity(const char* granularity) {
    setenv("PMEM2_FORCE_GRANULARITY", granularity, 1);
  }
  ForcedGranularity(const ForcedGranularity&) = delete;
  ForcedGranularity& operator=(const ForcedGranularity&) = delete;
  ~ForcedGranularity() { unsetenv("PMEM2_FORCE_GRANULARITY"); }
};

class PmemKit {
 public:
  PmemKit() = default;
  PmemKit(const PmemKit&) = delete;
  PmemKit& operator=(const PmemKit&) = delete;
  virtual ~PmemKit() = default;
  virtual PmemRegion& region() = 0;
  // Makes one page unreadable, and known to be; what lies behind it may become zeros.
  virtual void break_page(std::uint64_t /*offset*/) { FAIL() << "cannot break"; }
  // Page granularity: the next sync fails; those behind it would not, if it were asked of them.
  virtual void fail_one_sync(const std::function<void()>& /*sync*/) { FAIL() << "cannot fail"; }

  [[nodiscard]] bool paged() { return region().guarantee().granularity == PmemGranularity::page; }
  PmemWriter& writer() {
    if (!writer_) writer_ = std::move(region().make_writer().value());
    return *writer_;
  }
  // Durable on return, by whichever way this granularity has.
  Result<void, PmemError> put(std::uint64_t offset, std::span<const std::byte> bytes) {
    if (paged()) {
      const std::array writes{PmemRegion::PageWrite{.offset = {offset}, .bytes = bytes}};
      TRY(region().write_pages(writes));
      return region().sync();
    }
    TRY(writer().copy({offset}, bytes));
    writer().fence();
    return boost::outcome_v2::success();
  }

 protected:
  std::unique_ptr<PmemWriter> writer_;  // of the region of what derives: reset first
};

// A real file, with the granularity that is forced, or found.
class FilePmemKit final : public PmemKit {
 public:
  FilePmemKit(ByteCount size, const std::string& directory, const char* forced)
      : path_(directory), size_(size) {
    std::optional<ForcedGranularity> force;
    if (forced != nullptr) force.emplace(forced);
    const auto created = create_pmem_file(path_.text(), size);
    EXPECT_TRUE(created) << created.error().text;
    auto opened = open_pmem_region(path_.text(), {});
    EXPECT_TRUE(opened) << opened.error().text;
    region_ = std::move(opened.value());
  }
  ~FilePmemKit() override { writer_.reset(); }
  PmemRegion& region() override { return *region_; }
  void break_page(std::uint64_t offset) override {
    ASSERT_EQ(truncate(path_.text().c_str(), static_cast<off_t>(offset)), 0);
    std::array<std::byte, 16> bytes{};
    ASSERT_EQ(region_->read({offset}, bytes).error(), PmemError::media_error);
    ASSERT_EQ(truncate(path_.text().c_str(), static_cast<off_t>(size_.value)), 0);
  }
  // What the region has open is for this long a device that knows no sync.
  void fail_one_sync(const std::function<void()>& sync) override {
    const int open_file = descriptor();
    ASSERT_GE(open_file, 0);
    const int kept = dup(open_file);
    const int other = open("/dev/null", O_RDWR | O_CLOEXEC);
    ASSERT_EQ(dup3(other, open_file, O_CLOEXEC), open_file);
    sync();
    ASSERT_EQ(dup3(kept, open_file, O_CLOEXEC), open_file);
    close(other);
    close(kept);
  }
  [[nodiscard]] const std::string& path() const { return path_.text(); }

 private:
  // By which the region has the file open; -1: by none.
  [[nodiscard]] int descriptor() const {
    const auto file = std::filesystem::canonical(path_.text());
    for (const auto& one : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      if (std::filesystem::read_symlink(one.path(), gone) == file) {
        return std::stoi(one.path().filename().string());
      }
    }
    return -1;
  }

  TemporaryPath path_;
  ByteCount size_;
  std::unique_ptr<PmemRegion> region_;
};

class AnonymousPmemKit final : public PmemKit {
 public:
  AnonymousPmemKit(ByteCount size, PmemGranularity granularity)
      : region_(std::move(make_anonymous_pmem(size, granularity).value())) {}
  ~AnonymousPmemKit() override { writer_.reset(); }
  PmemRegion& region() override { return *region_; }

 private:
  std::unique_ptr<PmemRegion> region_;
};

template <class Twin>
class SimPmemKit final : public PmemKit {
 public:
  explicit SimPmemKit(ByteCount size) : twin_(size) {}
  ~SimPmemKit() override { writer_.reset(); }
  PmemRegion& region() override { return twin_; }
  void break_page(std::uint64_t offset) override {
    twin_.poison({offset}, {PmemRegion::page_bytes});
  }
  void fail_one_sync(const std::function<void()>& sync) override {
    if constexpr (requires(Twin & twin) { twin.fail_next_sync(); }) twin_.fail_next_sync();
    sync();
  }

 private:
  Twin twin_;
};

}  // namespace engine
