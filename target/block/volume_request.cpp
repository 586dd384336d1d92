#include "target/block/volume_request.h"

#include <algorithm>
#include <boost/intrusive/parent_from_member.hpp>
#include <optional>
#include <utility>

#include "engine/foundation/check.h"

namespace target::block {

using engine::IoStatus;
using engine::VolumeIo;
using Place = VolumeRequest::Place;
using Stage = VolumeRequest::Stage;

namespace {

// The engine verifies with a buffer of its own, no longer than this.
constexpr std::uint64_t longest_verify_buffer = 256U << 10;

VolumeRequest& request_of(VolumeIo& io) {
  return *boost::intrusive::get_parent_from_member(&io, &VolumeRequest::io);
}
VolumeRequest& request_of(OrderedWrite& write) {
  return *boost::intrusive::get_parent_from_member(&write, &VolumeRequest::order);
}

}  // namespace

void VolumeRequest::Admission::run() { request.requests->admitted(request); }

VolumeRequests::~VolumeRequests() { CHECK(waiting_.empty()); }

void VolumeRequests::submit(VolumeRequest& request, Done done) {
  DCHECK(request.stage == Stage::idle || request.stage == Stage::held);
  request.requests = this;
  request.done = done;
  start(request);
}

bool VolumeRequests::submit_verify(VolumeRequest& request, Done done) {
  DCHECK(request.io.kind == VolumeIo::Kind::verify);
  BufferShare& share = request.volume->buffers();
  const engine::BlockSize block_size = request.volume->volume().identity().block_size;
  const std::uint64_t needed =
      std::min(longest_verify_buffer, (request.io.blocks * block_size).value);
  if (!share.admits(needed, reactor_.lane().buffers().budget())) return false;
  share.take(needed, reactor_.now());
  request.verify_bytes = needed;
  submit(request, done);
  return true;
}

void VolumeRequests::submit_ordered(VolumeRequest& request, Done done) {
  request.place = Place::until_done;
  request.done = done;
  enter(request, {request.io.lba, request.io.lba + request.io.blocks}, {});
}

void VolumeRequests::submit_pieces(VolumeRequest& request, std::span<const Extent> pieces,
                                   Done done) {
  request.place = Place::until_done;
  request.done = done;
  enter(request, {pieces.front().begin, pieces.back().end}, pieces);
}

void VolumeRequests::hold(VolumeRequest& request, const Extent& blocks, InPlace in_place,
                          Done refused) {
  request.place = Place::until_leave;
  request.in_place = in_place;
  request.done = refused;
  enter(request, blocks, {});
}

void VolumeRequests::leave(VolumeRequest& request) {
  CHECK(request.stage == Stage::held);
  request.stage = Stage::idle;
  request.place = Place::none;
  request.volume->write_order().leave(request.order);
}

bool VolumeRequests::cancel(VolumeRequest& request) {
  if (request.stage != Stage::waiting) return false;
  if (!request.volume->write_order().cancel(request.order)) return false;
  waiting_.erase(waiting_.iterator_to(request));
  request.stage = Stage::idle;
  request.place = Place::none;
  return true;
}

void VolumeRequests::end() {
  // Those that another thread admits meanwhile have been posted, and find that they may not start.
  // All leave the order before the first is told: from there on its owner may do what it likes.
  Waiting cancelled;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    VolumeRequest& request = *it++;
    if (cancel(request)) cancelled.push_back(request);
  }
  while (!cancelled.empty()) {
    VolumeRequest& request = cancelled.front();
    cancelled.pop_front();
    request.done(request, IoStatus::cancelled);
  }
}

bool VolumeRequests::lease_second(VolumeRequest& request, std::uint64_t bytes) {
  CHECK(!request.second);
  BufferShare& share = request.volume->buffers();
  engine::BufferPool& pool = reactor_.lane().buffers();
  std::optional<engine::BufferLease> found;
  if (share.admits(bytes, pool.budget())) found = pool.lease({bytes});
  if (!found) return false;
  share.take(found->bytes().size(), reactor_.now());
  request.second = std::move(*found);
  return true;
}

void VolumeRequests::release_second(VolumeRequest& request) {
  if (!request.second) return;
  request.volume->buffers().give_back(request.second.bytes().size(), reactor_.now());
  request.second.release();
}

void VolumeRequests::start(VolumeRequest& request) {
  request.stage = Stage::running;
  request.io.done = &VolumeRequests::completed;
  request.volume->volume().submit(reactor_.lane(), request.io);
}

void VolumeRequests::enter(VolumeRequest& request, const Extent& hull,
                           std::span<const Extent> pieces) {
  DCHECK(request.stage == Stage::idle);
  request.requests = this;
  request.next_piece = 0;
  request.order.begin = hull.begin;
  request.order.end = hull.end;
  request.order.pieces = pieces;
  request.order.admitted = [](OrderedWrite& write) noexcept {
    VolumeRequest& waited = request_of(write);
    waited.requests->reactor_.post(waited.admission);
  };
  if (request.volume->write_order().enter(request.order)) return in_order(request);
  // Another thread may have admitted it meanwhile; but what it posts runs on this one, later.
  request.stage = Stage::waiting;
  waiting_.push_back(request);
}

void VolumeRequests::admitted(VolumeRequest& request) {
  waiting_.erase(waiting_.iterator_to(request));
  if (owner_.may_start()) return in_order(request);
  request.stage = Stage::held;
  leave(request);
  request.done(request, IoStatus::cancelled);
}

void VolumeRequests::in_order(VolumeRequest& request) {
  if (request.place == Place::until_leave) {
    request.stage = Stage::held;
    return request.in_place(request);
  }
  if (!request.order.pieces.empty()) return start_next_piece(request);
  start(request);
}

void VolumeRequests::start_next_piece(VolumeRequest& request) {
  const Extent& extent = request.order.pieces[request.next_piece++];
  request.io.lba = extent.begin;
  request.io.blocks = extent.end - extent.begin;
  start(request);
}

void VolumeRequests::completed(VolumeIo& io, IoStatus outcome) noexcept {
  VolumeRequest& request = request_of(io);
  request.requests->complete(request, outcome);
}

void VolumeRequests::complete(VolumeRequest& request, IoStatus outcome) {
  if (request.verify_bytes != 0) {
    request.volume->buffers().give_back(std::exchange(request.verify_bytes, 0), reactor_.now());
  }
  request.stage = request.place == Place::none ? Stage::idle : Stage::held;
  if (request.place == Place::until_done) {
    // All pieces hold their place until the last one is done: a newer write to one of them may not
    // come before it.
    if (outcome == IoStatus::ok && request.next_piece < request.order.pieces.size()) {
      if (owner_.may_start()) return start_next_piece(request);
      outcome = IoStatus::cancelled;
    }
    leave(request);
  }
  request.done(request, outcome);
}

}  // namespace target::block
