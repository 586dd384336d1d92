// IoLane: one thread's way to the disks. Each reactor owns one; an operation completes on the lane
// it started on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/foundation/units.h"
#include "engine/media/buffer_pool.h"

namespace engine {

// One operation on a file descriptor; owned by the caller, untouched by it until `done` runs.
struct FileOperation {
  enum class Kind : std::uint8_t {
    read,
    write,
    write_durable,  // RWF_DSYNC: complete only when on stable media
    sync,           // fdatasync
    zero_range,     // fallocate: reads return zeros, space stays allocated
    punch_hole,     // fallocate: reads return zeros, space is given back
  };
  Kind kind = Kind::read;
  int fd = -1;
  MediaOffset offset;
  std::span<std::byte> buffer;  // read, write
  ByteCount length;             // zero_range, punch_hole
  // `result` as the system call gives it: bytes moved, or -errno. On the lane's thread; never
  // inside start().
  void (*done)(FileOperation& operation, int result) noexcept = nullptr;
};

class IoLane {
 public:
  IoLane() = default;
  IoLane(const IoLane&) = delete;
  IoLane& operator=(const IoLane&) = delete;
  virtual ~IoLane() = default;

  // Queues `operation`; the kernel sees it at the next submit(). Never blocks, never fails: an
  // operation that cannot be queued now waits inside the lane.
  virtual void start(FileOperation& operation) = 0;
  // Hands everything queued to the kernel: once at the end of a reactor turn.
  virtual void submit() = 0;
  // Runs the `done` of everything that finished; returns how many.
  virtual std::size_t reap() = 0;
  // Operations started and not yet done.
  [[nodiscard]] virtual std::size_t in_flight() const = 0;
  // Becomes readable when reap() has work while the thread sleeps; -1 if there is none
  // (simulation).
  [[nodiscard]] virtual int wake_descriptor() const = 0;
  // This thread's transfer buffers.
  [[nodiscard]] virtual BufferPool& buffers() = 0;
};

}  // namespace engine
