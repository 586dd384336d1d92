// What the benches of the cache share: a formatted device with one volume, and a clock.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "engine/cache/format_cache.h"
#include "engine/cache/recovery.h"
#include "engine/foundation/check.h"
#include "engine/foundation/random.h"

namespace engine {

inline constexpr std::size_t block_bytes = 4096;
inline constexpr ByteCount device_bytes = 1536_MiB;
inline constexpr ByteCount volume_bytes = 512_MiB;

inline double now_ns() {
  return std::chrono::duration<double, std::nano>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

inline double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

struct Counter final : CompletionSink {
  void complete(CommitRecord& /*record*/) override { ++completed; }
  std::uint64_t completed = 0;
};

// A formatted device with one volume, open.
struct Cache {
  Cache(PmemRegion& pmem, bool crc) : region(pmem), memory(1_GiB) {
    FormatOptions options;
    options.uuid.bytes.fill(std::byte{crc ? std::uint8_t{2} : std::uint8_t{1}});
    system_random(options.uuid.bytes);
    options.payload_crc = crc;
    options.replace = replaced;
    CHECK(format_cache(region, options));
    replaced = options.uuid;
    open();
    CHECK(device->volumes().attach(
        *writer, {.volume = options.uuid,
                  .backing = options.uuid,
                  .size = volume_bytes,
                  .binding = {.attach_epoch = 1, .block_size = {}, .name = "bench"}}));
    recover();
  }
  void open() {
    device = std::move(CacheDevice::open(region).value());
    writer = std::make_unique<DurableWriter>(DurableWriter::make(region).value());
  }
  RecoveryReport recover() {
    auto recovered = recover_volume(*device, 0, memory, clock, *writer).value();
    CHECK(!recovered.report.damaged() && !recovered.report.not_opened);
    volume = std::move(recovered.cache);
    return recovered.report;
  }

  static inline std::optional<Uuid> replaced;
  PmemRegion& region;
  SystemClock clock;
  IndexMemory memory;
  std::unique_ptr<CacheDevice> device;
  std::unique_ptr<DurableWriter> writer;
  std::unique_ptr<VolumeCache> volume;
};

}  // namespace engine
