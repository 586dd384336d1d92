// FileRequest: one operation on a FileDevice that the kernel does not take as it is.
#pragma once

#include "engine/media/file_device.h"

namespace engine {

// Carries `io` out in pieces, front to back, one at a time: whole aligned blocks straight from or
// to the caller's memory where that is aligned, through a bounce buffer where it is not; parts of a
// block by read-modify-write; ranges of zeros by fallocate, with their unaligned ends (and all of
// them where the file system refuses) written as zeros. Deletes itself when `io` ends. On one
// lane's thread.
class FileRequest final : private BufferWaiter {
 public:
  static void start(FileDevice& device, IoLane& lane, BackingIo& io);

 private:
  // What the piece under way does with the media.
  enum class Step : std::uint8_t {
    transfer,        // read or write, from or to wherever `memory_` is
    read_to_modify,  // first half of read-modify-write
    write_modified,  // second half
    read_to_zero,    // what may be zeros already, and has no space then
    allocate_zeros,  // fallocate
    sync,            // makes everything before it durable
  };
  struct Piece {
    std::uint64_t begin = 0;  // what the caller sees of it
    std::uint64_t length = 0;
    std::uint64_t media_begin = 0;  // what is transferred, aligned
    std::uint64_t media_length = 0;
  };

  FileRequest(FileDevice& device, IoLane& lane, BackingIo& io);

  // Starts the next piece, or ends the request.
  void advance();
  void start_zero_piece();
  void start_read_piece();
  void start_write_piece();
  void start_modify_piece();
  void start_zeros();
  void skip_zeros();
  void start_transfer(Step step, FileOperation::Kind kind, std::span<std::byte> memory);
  void start_operation(Step step, FileOperation::Kind kind);
  void operation_done(int result);
  void transfer_done();
  void fail(int error);
  void finish(IoStatus status);

  // True: `bounce_` is there. False: advance() is called when it is.
  [[nodiscard]] bool have_bounce(std::uint64_t wanted);
  void buffer_available() override { advance(); }

  [[nodiscard]] bool writes_zeros() const {
    return io_.kind == BackingIo::Kind::zero_range || io_.kind == BackingIo::Kind::discard;
  }
  // Rather than that the space is kept.
  [[nodiscard]] bool gives_back() const {
    return device_.zeroed_ == FileSpace::given_back ||
           (device_.zeroed_ == FileSpace::as_asked && io_.kind == BackingIo::Kind::discard);
  }
  [[nodiscard]] std::uint64_t aligned_down(std::uint64_t value) const {
    return value - value % block_;
  }
  [[nodiscard]] std::span<std::byte> caller_memory() const {
    return io_.buffer.subspan(static_cast<std::size_t>(at_ - io_.offset.value));
  }
  [[nodiscard]] FileOperation::Kind write_kind() const;

  FileDevice& device_;
  IoLane& lane_;
  BackingIo& io_;
  const std::uint64_t block_;  // offset alignment
  std::uint64_t at_;           // everything before it is done
  const std::uint64_t end_;

  Step step_ = Step::transfer;
  Piece piece_;
  FileOperation operation_;
  std::uint64_t transferred_ = 0;  // of the piece
  std::span<std::byte> memory_;    // of the piece
  std::uint32_t repeats_ = 0;      // of operations that the kernel gave back
  bool begun_ = false;             // something may have been changed
  bool unsynced_ = false;          // something durable is wanted and only written
  bool lock_held_ = false;
  BufferLease bounce_;
  BlockLocks::Holder lock_;
};

}  // namespace engine
