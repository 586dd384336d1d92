// BackingDevice: where a volume's blocks finally live. The seam between the engine and a disk, with
// a simulated twin (tests/sim) that loses, tears, delays and fails on demand.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/foundation/clock.h"
#include "engine/foundation/units.h"
#include "engine/media/io_lane.h"

namespace engine {

// How an operation of the engine ended. The protocols map each value to a status in one place.
enum class IoStatus : std::uint8_t {
  ok,
  media_error,        // the disk could not read or write these blocks
  out_of_range,       // beyond the end of the volume
  capacity_exceeded,  // no space for it on the pool (ENOSPC, EDQUOT)
  unavailable,        // the backing is late, missing or held; retrying later may work
  sync_failed,  // an earlier flush failed: nothing is acknowledged until the backing is reopened
  cancelled,    // given up before it started; nothing was changed
  timed_out,    // the backing did not answer in time
  read_only,    // the volume does not take writes
  no_room,      // its cache has had no room for it for as long as it may wait: Volume::set_hold
  no_answer,    // not begun: the backing has answered nobody of late (VolumeIo::gives_way)
  formatting,   // not begun: all of the volume is being made zeros (Volume::begin_format)
};
[[nodiscard]] const char* text(IoStatus status);

// What a system call's error (a positive errno) means for blocks. Anything unknown is media_error.
[[nodiscard]] IoStatus io_status_of_errno(int error);

// One operation on a backing; owned by the caller, untouched by it until `done` runs.
struct BackingIo {
  enum class Kind : std::uint8_t { read, write, sync, zero_range, discard };
  Kind kind = Kind::read;
  bool durable = false;  // write, zero_range, discard: done only when on stable media
  MediaOffset offset{};
  std::span<std::byte> buffer{};  // read, write; any alignment and length
  ByteCount length{};             // zero_range, discard
  // write: it has been promised its space, or has it; else whether there is any is asked first.
  bool has_space = false;
  // May run inside submit() (memory). On the lane's thread.
  void (*done)(BackingIo& io, IoStatus status) noexcept = nullptr;
  void* context = nullptr;  // the caller's own

  // The device's own state while the operation is under way.
  FileOperation file{};
  IoLane* lane = nullptr;
  void* device_state = nullptr;
  std::uint64_t progress = 0;
  std::uint32_t generation = 0;
  std::uint32_t repeats = 0;
  ByteCount promised{};  // space, until it has ended
};

class LossRecord;
class VolumeSpace;

class BackingDevice {
 public:
  BackingDevice() = default;
  BackingDevice(const BackingDevice&) = delete;
  BackingDevice& operator=(const BackingDevice&) = delete;
  // Nothing may be in flight.
  virtual ~BackingDevice() = default;

  [[nodiscard]] virtual ByteCount size() const = 0;
  // Starts `io`; any thread, each with its own lane. zero_range and discard both leave zeros to
  // read. After a failed sync (or failed durable write) nothing is acknowledged until the device is
  // reopened: the kernel forgets dirty pages after it has reported them once. A sync, and what was
  // begun before the failure, answers sync_failed; a write, zero_range or discard that is refused
  // without having been begun answers unavailable. (A write refused for lack of space alone, on a
  // file without page cache, does not count: nothing was lost.)
  virtual void submit(IoLane& lane, BackingIo& io) = 0;
  // True from a failed sync until the reopen. Any thread.
  [[nodiscard]] virtual bool needs_reopen() const { return false; }
  // Operations that a disk beneath has not done, or not in time; not what was refused before it was
  // asked, nor lack of space. Any thread.
  [[nodiscard]] virtual std::uint64_t errors() const { return 0; }
  // DiskHealth::silent_since() of a disk beneath; of the one that is silent longest. Any thread.
  [[nodiscard]] virtual std::optional<Instant> silent_since(Instant /*now*/) {
    return std::nullopt;
  }
  // Where what is lost of it is written down; null: nowhere. Any thread.
  [[nodiscard]] virtual LossRecord* losses() { return nullptr; }
  // Who is asked for space before a write is taken that may need some; null: nobody, it has all
  // that it can need. Any thread.
  [[nodiscard]] virtual VolumeSpace* space() { return nullptr; }
};

}  // namespace engine
