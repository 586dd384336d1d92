#include "tests/sim/sim_pmem_pages.h"

#include "engine/foundation/check.h"

namespace engine {
namespace {

using boost::outcome_v2::success;

constexpr PmemGuarantee ordinary_file{
    .granularity = PmemGranularity::page, .medium = PmemMedium::file, .emulated = false};

}  // namespace

SimPmemPages::SimPmemPages(ByteCount size)
    : PmemRegion(size, ordinary_file, page_bytes), memory_(size) {
  attach(memory_.memory());
}

SimPmemPages::SimPmemPages(std::span<const std::byte> image)
    : SimPmemPages(ByteCount{image.size()}) {
  memory_.load(image);
}

SimPmemPages::SimPmemPages(SimPmemPages& parent, CrashChooser& choose, Tearing tearing)
    : PmemRegion(parent.size(), ordinary_file, page_bytes),
      memory_(parent.memory_, choose, tearing),
      forget_sync_(parent.forget_sync_) {
  attach(memory_.memory());
  for (const PmemRange& range : parent.bad_ranges()) bad().add(range);
  for (const std::uint64_t page : memory_.unreadable()) {
    bad().add({{page * page_bytes}, {page_bytes}});
  }
}

Result<void, PmemError> SimPmemPages::write_pages(std::span<const PageWrite> writes) {
  for (const PageWrite& write : writes) {
    if (!holds(write.offset, write.bytes.size())) return PmemError::out_of_range;
  }
  if (failed_) return PmemError::sync_failed;
  for (const PageWrite& write : writes) {
    const PmemRange range{write.offset, {write.bytes.size()}};
    const auto healed = bad().within(range);
    TRY(overwrite_bad(write.offset, write.bytes));
    memory_.store(committer, write.offset.value, write.bytes);
    for (const PmemRange& page : healed) {
      memory_.was_unreadable_before(page.offset.value, page.length.value);
    }
    counts_.copies += 1;
    counts_.bytes += write.bytes.size();
    points_.reach(PersistPoint::Kind::store);
  }
  return success();
}

Result<void, PmemError> SimPmemPages::sync() {
  if (failed_) return PmemError::sync_failed;
  counts_.fences += 1;
  if (fail_next_sync_) {
    fail_next_sync_ = false;
    failed_ = true;
    memory_.forget();
    points_.reach(PersistPoint::Kind::settle);
    return PmemError::sync_failed;
  }
  if (!forget_sync_) memory_.settle(committer);
  points_.reach(PersistPoint::Kind::settle);
  return success();
}

std::unique_ptr<SimPmemPages> SimPmemPages::crash(CrashChooser& choose, Tearing tearing) {
  return std::unique_ptr<SimPmemPages>(new SimPmemPages(*this, choose, tearing));
}

void SimPmemPages::poison(MediaOffset offset, ByteCount length) {
  const std::uint64_t begin = offset.value / page_bytes * page_bytes;
  const std::uint64_t end =
      (offset.value + length.value + page_bytes - 1) / page_bytes * page_bytes;
  CHECK(end <= size().value);
  bad().add({{begin}, {end - begin}});
}

}  // namespace engine
