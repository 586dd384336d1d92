// SimPmemPages: a file in page granularity, as power loss and a failing disk see it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "engine/media/pmem_region.h"
#include "tests/sim/crash_memory.h"
#include "tests/sim/persist_point.h"

namespace engine {

// What may go wrong is in CrashMemory, with pages of 4 KiB torn at 512: the kernel may write any
// page at any time, the disk reorders, and only a sync settles. Besides:
// - a sync fails, and the kernel forgets what it could not write: it stays in its cache to be read,
//   and no later sync writes it;
// - kill -9 loses nothing, but what was not synced may still be lost with the power;
// - a page may become unreadable, until it is overwritten as a whole.
// Not thread-safe.
class SimPmemPages final : public PmemRegion {
 public:
  // Zeros, all persistent. `size`: whole pages.
  explicit SimPmemPages(ByteCount size);
  // The same with this content: a copy that lives as long as it likes.
  explicit SimPmemPages(std::span<const std::byte> image);

  [[nodiscard]] Result<std::unique_ptr<PmemWriter>, PmemError> make_writer() override {
    return PmemError::not_supported;
  }
  // Every write is a persist point of its own.
  [[nodiscard]] Result<void, PmemError> write_pages(std::span<const PageWrite> writes) override;
  [[nodiscard]] Result<void, PmemError> sync() override;
  [[nodiscard]] bool needs_reopen() const override { return failed_; }
  [[nodiscard]] PmemCounts counts() const override { return counts_; }

  // See SimPmem::crash(). Tearing::destroys: rewriting a page may lose what was in it.
  using Tearing = PageMemory::Tearing;
  [[nodiscard]] std::unique_ptr<SimPmemPages> crash(CrashChooser& choose,
                                                    Tearing tearing = Tearing::mixes);
  // The process ends, or closes the file, and opens it again: a failed sync is behind it, or has
  // not come; what was forgotten stays forgotten.
  void reopen() { failed_ = fail_next_sync_ = false; }

  void on_persist_point(PersistPoints::Hook hook) { points_.set_hook(std::move(hook)); }
  [[nodiscard]] std::uint64_t persist_points() const { return points_.count(); }
  // Pages with writes that no sync has settled.
  [[nodiscard]] std::size_t unsettled() const { return memory_.unsettled(); }
  [[nodiscard]] std::uint64_t crashes() const { return memory_.crashes(); }
  [[nodiscard]] std::span<const std::byte> content() const {
    return {memory_.memory(), size().value};
  }

  void fail_next_sync() { fail_next_sync_ = true; }
  // Whole pages around the range.
  void poison(MediaOffset offset, ByteCount length);
  // Mutant: syncs report success and do nothing.
  void forget_sync(bool forget) { forget_sync_ = forget; }

  void check_invariants() const { memory_.check_invariants(); }

 private:
  static constexpr PageMemory::Actor committer = 1;

  SimPmemPages(SimPmemPages& parent, CrashChooser& choose, Tearing tearing);
  [[nodiscard]] bool heal(MediaOffset /*to*/, std::span<const std::byte> /*bytes*/) override {
    return true;
  }

  PageMemory memory_;
  PersistPoints points_;
  PmemCounts counts_;
  bool failed_ = false;
  bool fail_next_sync_ = false;
  bool forget_sync_ = false;
};

}  // namespace engine
