#include "tests/crash/crash_journal.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "engine/pool/journal_file.h"

namespace engine::test {
namespace {

using boost::outcome_v2::success;

struct PowerFails {};

class JournalFile final : public PoolFile {
 public:
  explicit JournalFile(const BackingImage& image) : journal_(image.journal) {}

  FileResult<std::size_t> read(MediaOffset offset, std::span<std::byte> bytes) override {
    if (journal_ == nullptr || offset.value >= journal_->size()) return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(bytes.size(), journal_->size() - offset.value);
    std::copy_n(journal_->begin() + static_cast<std::ptrdiff_t>(offset.value), count,
                bytes.begin());
    return count;
  }
  FileResult<void> write(MediaOffset, std::span<const std::byte>) override {
    return FileError{EROFS};
  }
  FileResult<void> zero(MediaOffset, ByteCount) override { return FileError{EROFS}; }
  FileResult<void> sync() override { return FileError{EROFS}; }

 private:
  const std::shared_ptr<const std::vector<std::byte>> journal_;
};

// Loses any sectors that are not synced, at the crash or before.
class ImageFile final : public PoolFile {
 public:
  // `steps`: so many operations, and then power fails.
  ImageFile(Sector base, VolumeModel::State sectors, std::uint64_t steps)
      : base_(base), durable_(std::move(sectors)), steps_(steps) {}

  FileResult<std::size_t> read(MediaOffset, std::span<std::byte>) override {
    return FileError{EINVAL};
  }
  FileResult<void> write(MediaOffset offset, std::span<const std::byte> bytes) override {
    step();
    for (std::size_t at = 0; at < bytes.size(); at += sector_size) {
      const std::uint64_t sector = (offset.value + at) / sector_size;
      put(sector, writer_of(bytes.subspan(at, sector_size), sector));
    }
    return success();
  }
  FileResult<void> zero(MediaOffset offset, ByteCount length) override {
    step();
    for (std::uint64_t at = 0; at < length.value; at += sector_size) {
      put((offset.value + at) / sector_size, 0);
    }
    return success();
  }
  FileResult<void> sync() override {
    step();
    for (const auto& [at, writer] : std::exchange(unsynced_, {})) durable_[at] = writer;
    return success();
  }

  [[nodiscard]] VolumeModel::State crash(SeededRandom& random) const {
    VolumeModel::State sectors = durable_;
    for (const auto& [at, writer] : unsynced_) {
      if (random.chance(1, 2)) sectors[at] = writer;
    }
    return sectors;
  }

 private:
  void step() {
    if (steps_-- == 0) throw PowerFails{};
  }
  void put(std::uint64_t sector, Writer writer) {
    const std::uint64_t at = sector - base_.value;
    CHECK(sector >= base_.value && at < durable_.size());
    unsynced_[at] = writer;
  }

  const Sector base_;
  VolumeModel::State durable_;
  std::uint64_t steps_;
  std::map<std::uint64_t, Writer> unsynced_;
};

constexpr std::uint64_t no_crash = ~std::uint64_t{0};

// What the image is after so many operations, and how that has ended.
std::pair<VolumeModel::State, Result<void, std::string>> apply(const BackingImage& image,
                                                               Sector base, std::uint64_t steps,
                                                               SeededRandom& random) {
  JournalFile journal(image);
  ImageFile file(base, image.sectors, steps);
  Result<void, std::string> outcome = success();
  try {
    const auto applied = apply_journal(journal, file, 8_MiB, *image.mark);
    if (!applied) outcome = applied.error().text;
  } catch (const PowerFails&) {
  }
  return {file.crash(random), outcome};
}

}  // namespace

VolumeModel::State begin_to_apply_journal_of(const BackingImage& image, Sector base,
                                             SeededRandom& random) {
  return apply(image, base, random.below(12), random).first;
}

Result<VolumeModel::State, std::string> apply_journal_of(const BackingImage& image, Sector base,
                                                         SeededRandom& random) {
  BackingImage now = image;
  if (random.chance(1, 2)) now.sectors = begin_to_apply_journal_of(image, base, random);
  auto [sectors, outcome] = apply(now, base, no_crash, random);
  if (!outcome) return outcome.error();
  return std::move(sectors);
}

}  // namespace engine::test
