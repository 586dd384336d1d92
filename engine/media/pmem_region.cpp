#include "engine/media/pmem_region.h"

#include <algorithm>
#include <cstring>

#include "engine/foundation/check.h"
#include "engine/foundation/crc32c.h"
#include "engine/media/fault_guard.h"

namespace engine {
namespace {

using boost::outcome_v2::success;

void add(PmemCounts& sum, const PmemCounts& more) {
  sum.copies += more.copies;
  sum.bytes += more.bytes;
  sum.fences += more.fences;
}

}  // namespace

PmemRegion::~PmemRegion() { CHECK(writers_.empty()); }

Result<std::span<const std::byte>, PmemError> PmemRegion::view(MediaOffset offset,
                                                               ByteCount length) const {
  if (!holds(offset, length.value)) return PmemError::out_of_range;
  if (bad_.touches({offset, length})) return PmemError::media_error;
  return std::span<const std::byte>(at(offset), length.value);
}

Result<void, PmemError> PmemRegion::read(MediaOffset offset, std::span<std::byte> bytes) const {
  TRY(const auto source, view(offset, {bytes.size()}));
  if (bytes.empty()) return success();
  std::byte* const to = bytes.data();
  const auto fault = touch_guarded(
      source, [to, source]() noexcept { std::memcpy(to, source.data(), source.size()); });
  if (fault) return mark_bad(*fault);
  return success();
}

Result<std::uint32_t, PmemError> PmemRegion::checksum(MediaOffset offset, ByteCount length,
                                                      std::uint32_t before) const {
  TRY(const auto source, view(offset, length));
  std::uint32_t crc = before;
  const auto fault =
      touch_guarded(source, [&crc, source]() noexcept { crc = crc32c_extend(crc, source); });
  if (fault) return mark_bad(*fault);
  return crc;
}

Result<void, PmemError> PmemRegion::write_pages(std::span<const PageWrite> /*writes*/) {
  return PmemError::not_supported;
}

Result<void, PmemError> PmemRegion::sync() { return PmemError::not_supported; }

PmemError PmemRegion::mark_bad(const std::byte* address) const {
  const auto offset = static_cast<std::uint64_t>(address - memory_);
  const std::uint64_t block = offset / bad_block_ * bad_block_;
  bad_.add({{block}, {std::min(bad_block_, size_.value - block)}});
  return PmemError::media_error;
}

Result<void, PmemError> PmemRegion::overwrite_bad(MediaOffset to,
                                                  std::span<const std::byte> bytes) {
  const std::uint64_t end = to.value + bytes.size();
  for (const PmemRange& bad : bad_.within({to, {bytes.size()}})) {
    const std::uint64_t bad_end = bad.offset.value + bad.length.value;
    const bool whole_first = bad.offset.value % bad_block_ == 0;
    const bool whole_last = bad_end % bad_block_ == 0 || bad_end == size_.value;
    if (!whole_first || !whole_last) return PmemError::media_error;
    CHECK(bad_end <= end);
    if (!heal(bad.offset, bytes.subspan(bad.offset.value - to.value, bad.length.value))) {
      return PmemError::media_error;
    }
    bad_.remove(bad);
  }
  return success();
}

PmemCounts PmemRegion::counts() const {
  const std::lock_guard guard(writers_mutex_);
  PmemCounts sum = of_former_writers_;
  for (const PmemWriter* writer : writers_) add(sum, writer->counts());
  return sum;
}

void PmemRegion::enter(const PmemWriter& writer) {
  const std::lock_guard guard(writers_mutex_);
  writers_.push_back(&writer);
}

void PmemRegion::leave(const PmemWriter& writer) {
  const std::lock_guard guard(writers_mutex_);
  add(of_former_writers_, writer.counts());
  std::erase(writers_, &writer);
}

}  // namespace engine
