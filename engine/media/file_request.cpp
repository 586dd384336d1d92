#include "engine/media/file_request.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/foundation/check.h"

namespace engine {
namespace {

// Holes are made of whole blocks of the file system; it would zero the rest through its page cache,
// which must not meet direct writes of the neighbours.
constexpr std::uint64_t hole_granularity = 4096;
// A longer fallocate would hold the file's lock for too long.
constexpr std::uint64_t longest_allocation = std::uint64_t{1} << 30;
constexpr std::uint64_t longest_bounce = std::uint64_t{1} << 20;

// In zero-initialised storage; never written.
alignas(4096) std::array<std::byte, 256 << 10> zeros;

bool is_aligned(const std::byte* memory, std::uint32_t alignment) {
  return reinterpret_cast<std::uintptr_t>(memory) % alignment == 0;
}

bool is_all_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{}; });
}

bool is_refusal(int error) { return error == EOPNOTSUPP || error == ENOSYS || error == ENODEV; }

}  // namespace

void FileRequest::start(FileDevice& device, IoLane& lane, BackingIo& io) {
  (new FileRequest(device, lane, io))->advance();  // deletes itself in finish()
}

FileRequest::FileRequest(FileDevice& device, IoLane& lane, BackingIo& io)
    : device_(device),
      lane_(lane),
      io_(io),
      block_(device.geometry_.offset_alignment),
      at_(io.offset.value),
      end_(io.offset.value + (io.buffer.empty() ? io.length.value : io.buffer.size())) {
  operation_.fd = device.file_.fd();
  operation_.source = device.source_;
  operation_.context = this;
  operation_.done = [](FileOperation& operation, int result) noexcept {
    static_cast<FileRequest*>(operation.context)->operation_done(result);
  };
  lock_.lane = &lane;
  lock_.granted.context = this;
  lock_.granted.done = [](FileOperation& operation, int) noexcept {
    auto& request = *static_cast<FileRequest*>(operation.context);
    request.lock_held_ = true;
    request.advance();
  };
}

FileOperation::Kind FileRequest::write_kind() const {
  const bool each = io_.durable && !writes_zeros() && !device_.geometry_.durable_by_sync;
  return each ? FileOperation::Kind::write_durable : FileOperation::Kind::write;
}

void FileRequest::advance() {
  if (io_.kind != BackingIo::Kind::read && device_.needs_reopen()) {
    finish(begun_ ? IoStatus::sync_failed : IoStatus::unavailable);
  } else if (at_ == end_) {
    if (io_.durable && unsynced_) {
      start_operation(Step::sync, FileOperation::Kind::sync);
    } else {
      finish(IoStatus::ok);
    }
  } else if (io_.kind == BackingIo::Kind::read) {
    start_read_piece();
  } else if (writes_zeros()) {
    start_zero_piece();
  } else {
    start_write_piece();
  }
}

void FileRequest::start_read_piece() {
  const auto memory = caller_memory();
  const std::uint64_t whole = aligned_down(end_ - at_);
  if (at_ % block_ == 0 && whole != 0 &&
      is_aligned(memory.data(), device_.geometry_.memory_alignment)) {
    const std::uint64_t length = std::min(whole, FileOperation::largest_transfer.value);
    piece_ = {.begin = at_, .length = length, .media_begin = at_, .media_length = length};
    start_transfer(Step::transfer, FileOperation::Kind::read, memory.first(length));
    return;
  }
  const std::uint64_t begin = aligned_down(at_);
  if (!have_bounce(end_ - begin)) return;
  const std::uint64_t length =
      std::min<std::uint64_t>(aligned_down(end_ + block_ - 1) - begin, bounce_.bytes().size());
  piece_ = {.begin = at_,
            .length = std::min(end_, begin + length) - at_,
            .media_begin = begin,
            .media_length = length};
  start_transfer(Step::transfer, FileOperation::Kind::read, bounce_.bytes().first(length));
}

void FileRequest::start_write_piece() {
  const std::uint64_t whole = aligned_down(end_ - at_);
  if (at_ % block_ != 0 || whole == 0) {
    start_modify_piece();
    return;
  }
  auto memory = caller_memory();
  std::uint64_t length = std::min(whole, FileOperation::largest_transfer.value);
  if (is_aligned(memory.data(), device_.geometry_.memory_alignment)) {
    memory = memory.first(length);
  } else {
    if (!have_bounce(length)) return;
    length = std::min<std::uint64_t>(length, aligned_down(bounce_.bytes().size()));
    std::memcpy(bounce_.bytes().data(), memory.data(), length);
    memory = bounce_.bytes().first(length);
  }
  piece_ = {.begin = at_, .length = length, .media_begin = at_, .media_length = length};
  start_transfer(Step::transfer, write_kind(), memory);
}

void FileRequest::start_zero_piece() {
  const std::uint64_t granularity = std::max(hole_granularity, block_);
  const bool refused = gives_back() ? device_.punch_refused_.load(std::memory_order_relaxed)
                                    : device_.zero_range_refused_.load(std::memory_order_relaxed);
  const std::uint64_t rest = end_ - at_;
  if (!refused && at_ % granularity == 0 && rest >= granularity) {
    const std::uint64_t length = std::min(rest - rest % granularity, longest_allocation);
    piece_ = {.begin = at_, .length = length, .media_begin = at_, .media_length = length};
    start_operation(Step::allocate_zeros, gives_back() ? FileOperation::Kind::punch_hole
                                                       : FileOperation::Kind::zero_range);
    return;
  }
  if (at_ % block_ != 0 || rest < block_) {
    start_modify_piece();
    return;
  }
  // Up to where fallocate can take over, or as much as there are zeros.
  std::uint64_t length = std::min<std::uint64_t>(aligned_down(rest), zeros.size());
  if (!refused && at_ % granularity != 0)
    length = std::min(length, granularity - at_ % granularity);
  const bool looks_first = device_.zeroed_ == FileSpace::given_back;
  if (looks_first) {
    if (!have_bounce(length)) return;
    length = std::min<std::uint64_t>(length, aligned_down(bounce_.bytes().size()));
  }
  piece_ = {.begin = at_, .length = length, .media_begin = at_, .media_length = length};
  if (!looks_first) return start_zeros();
  start_transfer(Step::read_to_zero, FileOperation::Kind::read, bounce_.bytes().first(length));
}

void FileRequest::start_zeros() {
  start_transfer(Step::transfer, write_kind(), std::span(zeros).first(piece_.length));
}

// They are there: a hole is not filled with them.
void FileRequest::skip_zeros() {
  if (std::exchange(lock_held_, false)) device_.block_locks_.unlock(lock_);
  at_ += piece_.length;
  advance();
}

void FileRequest::start_modify_piece() {
  const std::uint64_t begin = aligned_down(at_);
  if (!have_bounce(block_)) return;
  if (!lock_held_) {
    lock_held_ = device_.block_locks_.lock(lock_, begin / block_);
    if (!lock_held_) return;
  }
  piece_ = {.begin = at_,
            .length = std::min(end_, begin + block_) - at_,
            .media_begin = begin,
            .media_length = block_};
  start_transfer(Step::read_to_modify, FileOperation::Kind::read, bounce_.bytes().first(block_));
}

bool FileRequest::have_bounce(std::uint64_t wanted) {
  if (bounce_) return true;
  wanted = std::clamp(wanted, block_, longest_bounce);
  BufferPool& buffers = lane_.buffers();
  if (auto lease = buffers.lease({aligned_down(wanted + block_ - 1)})) {
    bounce_ = std::move(*lease);
    return true;
  }
  // Holders of all buffers may wait for this very request: the reserve never depends on them.
  if (auto lease = buffers.lease_reserve()) {
    bounce_ = std::move(*lease);
    return true;
  }
  buffers.wait_for_reserve(*this);
  return false;
}

void FileRequest::start_transfer(Step step, FileOperation::Kind kind, std::span<std::byte> memory) {
  transferred_ = 0;
  memory_ = memory;
  operation_.buffer = memory;
  start_operation(step, kind);
}

void FileRequest::start_operation(Step step, FileOperation::Kind kind) {
  step_ = step;
  operation_.kind = kind;
  if (step == Step::allocate_zeros || step == Step::sync) operation_.buffer = {};
  operation_.offset = {piece_.media_begin + (operation_.buffer.empty() ? 0 : transferred_)};
  operation_.length = {piece_.media_length};
  begun_ = begun_ || kind != FileOperation::Kind::read;
  device_.start(lane_, operation_);
}

void FileRequest::operation_done(int result) {
  result = device_.end(operation_, result);
  if (result == -EINTR || (result < 0 && device_.may_repeat(operation_.kind, -result, repeats_))) {
    device_.start(lane_, operation_);
    return;
  }
  switch (step_) {
    case Step::transfer:
    case Step::read_to_modify:
    case Step::read_to_zero:
    case Step::write_modified: {
      if (result < 0) return fail(-result);
      transferred_ += static_cast<std::uint64_t>(result);
      // For the caller, what it asked for is enough (a file may end inside a block). A block that
      // is written back must be there whole: a short read is not the end of the file.
      const bool for_caller =
          step_ == Step::transfer && operation_.kind == FileOperation::Kind::read;
      const std::uint64_t needed =
          for_caller ? piece_.begin + piece_.length - piece_.media_begin : piece_.media_length;
      if (transferred_ >= needed) return transfer_done();
      const std::uint64_t resume = aligned_down(transferred_);
      if (result == 0 || memory_.size() - resume >= operation_.buffer.size()) {
        return fail(EIO);  // no progress
      }
      transferred_ = resume;
      operation_.buffer = memory_.subspan(resume);
      return start_operation(step_, operation_.kind);
    }
    case Step::allocate_zeros:
      if (result < 0 && is_refusal(-result)) {
        auto& refused = gives_back() ? device_.punch_refused_ : device_.zero_range_refused_;
        refused.store(true, std::memory_order_relaxed);
        return advance();
      }
      if (result < 0) return fail(-result);
      unsynced_ = true;
      at_ += piece_.length;
      return advance();
    case Step::sync:
      if (result < 0) return fail(-result);
      unsynced_ = false;
      return advance();
  }
}

void FileRequest::transfer_done() {
  switch (step_) {
    case Step::read_to_modify: {
      auto part = bounce_.bytes().subspan(piece_.begin - piece_.media_begin, piece_.length);
      if (writes_zeros()) {
        if (device_.zeroed_ == FileSpace::given_back && is_all_zero(part)) return skip_zeros();
        std::memset(part.data(), 0, part.size());
      } else {
        std::memcpy(part.data(), caller_memory().data(), part.size());
      }
      return start_transfer(Step::write_modified, write_kind(), bounce_.bytes().first(block_));
    }
    case Step::read_to_zero:
      return is_all_zero(memory_) ? skip_zeros() : start_zeros();
    case Step::write_modified:
      lock_held_ = false;
      device_.block_locks_.unlock(lock_);
      break;
    case Step::transfer:
      if (io_.kind == BackingIo::Kind::read && memory_.data() == bounce_.bytes().data()) {
        const auto part = memory_.subspan(piece_.begin - piece_.media_begin, piece_.length);
        std::memcpy(caller_memory().data(), part.data(), part.size());
      }
      break;
    case Step::allocate_zeros:
    case Step::sync:
      break;
  }
  if (operation_.kind == FileOperation::Kind::write) unsynced_ = true;
  at_ += piece_.length;
  advance();
}

void FileRequest::fail(int error) { finish(device_.status_of_failure(operation_.kind, error)); }

void FileRequest::finish(IoStatus status) {
  if (lock_held_) device_.block_locks_.unlock(lock_);
  FileDevice& device = device_;
  BackingIo& io = io_;
  delete this;
  device.finish(io, status);
}

}  // namespace engine
