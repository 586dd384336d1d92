#include "engine/cache/durable_writer.h"

#include <algorithm>
#include <array>

namespace engine {

Result<DurableWriter, PmemError> DurableWriter::make(PmemRegion& region) {
  if (region.guarantee().granularity == PmemGranularity::page) return DurableWriter(region);
  TRY(auto writer, region.make_writer());
  return DurableWriter(std::move(writer));
}

Result<void, PmemError> DurableWriter::write(MediaOffset to, std::span<const std::byte> bytes) {
  if (writer_ != nullptr) return writer_->copy(to, bytes);
  if (is_later()) return PmemError::not_supported;
  const PmemRegion::PageWrite write{.offset = to, .bytes = bytes};
  return pages_->write_pages({&write, 1});
}

Result<void, PmemError> DurableWriter::flush(MediaOffset offset, ByteCount length) {
  if (writer_ != nullptr) return writer_->flush(offset, length);
  if (is_later()) return PmemError::not_supported;
  // A page that a failed sync could not write counts as written to the kernel: only writing it
  // again makes it durable.
  std::array<std::byte, PmemRegion::page_bytes> page;
  const std::uint64_t end = offset.value + length.value;
  for (std::uint64_t at = offset.value; at < end;) {
    const std::uint64_t next = std::min((at / page.size() + 1) * page.size(), end);
    const auto bytes = std::span(page).first(next - at);
    if (pages_->read({at}, bytes)) {  // what cannot be read cannot be lost either
      TRY(write({at}, bytes));
    }
    at = next;
  }
  return success();
}

Result<void, PmemError> DurableWriter::settle() {
  if (pages_ != nullptr) return pages_->sync();
  if (is_later()) return PmemError::not_supported;
  writer_->fence();
  return success();
}

}  // namespace engine
