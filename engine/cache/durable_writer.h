// DurableWriter: writes to the cache device in durable steps, whatever its granularity.
#pragma once

#include <memory>
#include <span>

#include "engine/foundation/result.h"
#include "engine/foundation/units.h"
#include "engine/media/pmem_region.h"

namespace engine {

// One for each thread that changes tables or chunks, like the PmemWriter it writes through; in page
// granularity there is one thread that may, the device's commit thread. The region outlives it.
class DurableWriter {
 public:
  // Writes through `writer`, which outlives it: a fence settles what else that has written too.
  explicit DurableWriter(PmemWriter& writer) : writer_(&writer) {}
  // In byte and cache-line granularity with a writer of its own, else by pages.
  // Error: what make_writer() answers.
  [[nodiscard]] static Result<DurableWriter, PmemError> make(PmemRegion& region);

  // For a thread that may not write: a reactor, in page granularity. Segments that it allocates and
  // frees wait for the commit thread (SegmentTable); everything else answers not_supported.
  [[nodiscard]] static DurableWriter later() { return {}; }
  [[nodiscard]] bool is_later() const { return writer_ == nullptr && pages_ == nullptr; }

  // Durable after the next settle(); until then any part of it may be.
  [[nodiscard]] Result<void, PmemError> write(MediaOffset to, std::span<const std::byte> bytes);
  // Makes what is there now durable at the next settle(): what a killed process has left.
  [[nodiscard]] Result<void, PmemError> flush(MediaOffset offset, ByteCount length);
  // One fence, or one sync. Error: sync_failed; then the device has failed for good.
  [[nodiscard]] Result<void, PmemError> settle();

 private:
  DurableWriter() = default;
  explicit DurableWriter(PmemRegion& pages) : pages_(&pages) {}
  explicit DurableWriter(std::unique_ptr<PmemWriter> own)
      : own_(std::move(own)), writer_(own_.get()) {}

  std::unique_ptr<PmemWriter> own_;
  PmemWriter* writer_ = nullptr;  // either this
  PmemRegion* pages_ = nullptr;   // or that; neither: later
};

}  // namespace engine
