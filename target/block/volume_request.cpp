#include "target/block/volume_request.h"

#include <algorithm>
#include <boost/intrusive/parent_from_member.hpp>
#include <optional>
#include <utility>

#include "engine/foundation/check.h"

namespace target::block {

using engine::Instant;
using engine::IoStatus;
using engine::VolumeIo;
using Place = VolumeRequest::Place;
using Stage = VolumeRequest::Stage;

namespace {

// The engine verifies with a buffer of its own, no longer than this.
constexpr std::uint64_t longest_verify_buffer = 256U << 10;
// Turns that come sooner are given out together.
constexpr engine::Duration shortest_hold = std::chrono::microseconds(100);
// How often those are looked at whose disk does not answer: nobody tells when it does.
constexpr engine::Duration stall_period = std::chrono::milliseconds(100);

VolumeRequest& request_of(VolumeIo& io) {
  return *boost::intrusive::get_parent_from_member(&io, &VolumeRequest::io);
}
VolumeRequest& request_of(OrderedWrite& write) {
  return *boost::intrusive::get_parent_from_member(&write, &VolumeRequest::order);
}

}  // namespace

void VolumeRequest::Admission::run() { request.requests->admitted(request); }

void VolumeRequest::Stall::take_back() {
  is_taken_back = true;
  VolumeRequests& requests = *request.requests;
  requests.reactor_.timers().arm(requests.stall_timer_, requests.reactor_.now());
}

VolumeRequests::~VolumeRequests() {
  CHECK(waiting_.empty() && held_back_.empty() && stalled_.empty());
}

// The limits of its volume

bool VolumeRequests::within_limits(VolumeRequest& request, const Traffic& traffic, InPlace let_go,
                                   Done refused) {
  DCHECK(request.stage == Stage::idle);
  if (!holds_back_ || !request.volume->limiter().is_limiting()) return true;
  const Instant now = reactor_.now();
  request.toll = {.traffic = traffic, .since = now};
  const bool is_its_turn = request.volume->limiter().pay(request.toll, now);
  // Those whose turn has been go first, though their timer has yet to expire.
  if (is_its_turn && (held_back_.empty() || held_back_.begin()->toll.turn > now)) return true;
  request.requests = this;
  request.in_place = let_go;
  request.done = refused;
  request.volume->limiter().hold(request.toll);
  hold_back(request);
  watch_turns();
  return false;
}

void VolumeRequests::hold_back(VolumeRequest& request) {
  request.stage = Stage::held_back;
  held_back_.insert(request);  // behind those whose turn is the same
}

void VolumeRequests::end_hold(VolumeRequest& request) {
  held_back_.erase(held_back_.iterator_to(request));
  request.stage = Stage::idle;
  const Instant now = reactor_.now();
  request.volume->limiter().let_go(request.toll, now);
  if (request.io.is_timed) request.held += now - request.toll.since;
}

// A thread that could be woken up for each command of a fast volume had nothing else to do; and
// limits may change.
void VolumeRequests::watch_turns() {
  if (held_back_.empty()) return turn_timer_.disarm();
  const Instant now = reactor_.now();
  const Instant next = std::clamp(held_back_.begin()->toll.turn, now + shortest_hold,
                                  now + VolumeLimiter::look_interval);
  if (!turn_timer_.armed() || next < turn_timer_.deadline()) {
    reactor_.timers().arm(turn_timer_, next);
  }
}

void VolumeRequests::let_go_of_due() {
  const Instant now = reactor_.now();
  follow_changed_limits(now);
  while (!held_back_.empty() && held_back_.begin()->toll.turn <= now) {
    VolumeRequest& request = *held_back_.begin();
    if (!request.volume->limiter().pay(request.toll, now)) {  // there is one limit more
      held_back_.erase(held_back_.begin());
      hold_back(request);
      continue;
    }
    end_hold(request);
    request.in_place(request);
  }
  watch_turns();
}

// Those whose limits have changed pay the new ones, in the order of their turns by the old.
void VolumeRequests::follow_changed_limits(Instant now) {
  Waiting changed;
  for (auto it = held_back_.begin(); it != held_back_.end();) {
    VolumeRequest& request = *it;
    if (request.toll.version == request.volume->limiter().version()) {
      ++it;
      continue;
    }
    it = held_back_.erase(it);
    changed.push_back(request);
  }
  while (!changed.empty()) {
    VolumeRequest& request = changed.front();
    changed.pop_front();
    (void)request.volume->limiter().pay(request.toll, now);  // its turn, now or later
    hold_back(request);
  }
}

void VolumeRequests::refuse_held_back() {
  holds_back_ = false;
  while (!held_back_.empty()) {
    VolumeRequest& request = *held_back_.begin();
    (void)cancel(request);
    request.done(request, IoStatus::cancelled);
  }
}

// Its place in the order

void VolumeRequests::submit(VolumeRequest& request, Done done) {
  DCHECK(request.stage == Stage::idle || request.stage == Stage::held);
  request.requests = this;
  request.done = done;
  note_beginning(request);
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
  request.duties |= VolumeRequest::gives_back_verify_bytes;
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
  if (request.stage == Stage::held_back) {
    end_hold(request);
    request.volume->limiter().give_back(request.toll);
    if (held_back_.empty()) turn_timer_.disarm();
    return true;
  }
  if (request.stage != Stage::waiting) return false;
  if (!request.volume->write_order().cancel(request.order)) return false;
  waiting_.erase(waiting_.iterator_to(request));
  request.stage = Stage::idle;
  request.place = Place::none;
  return true;
}

void VolumeRequests::end() {
  refuse_held_back();
  for (VolumeRequest& request : without_room_) (void)take_back(request);
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
  request.io.waits = &VolumeRequests::begin_wait;
  request.io.gives_way = true;
  request.volume->volume().submit(reactor_.lane(), request.io);
}

void VolumeRequests::enter(VolumeRequest& request, const Extent& hull,
                           std::span<const Extent> pieces) {
  DCHECK(request.stage == Stage::idle);
  request.requests = this;
  note_beginning(request);
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
  refuse_if_formatting(request);
}

// What it waits for is most likely the formatting, and then it would be refused all the same.
void VolumeRequests::refuse_if_formatting(VolumeRequest& request) {
  if (request.place != Place::until_done || request.io.formats) return;
  if (!request.volume->volume().is_formatting() || !cancel(request)) return;
  request.done(request, IoStatus::formatting);
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

// The volume has no room for it

void VolumeRequests::begin_wait(VolumeIo& io, engine::TakeBack& take_back) noexcept {
  VolumeRequest& request = request_of(io);
  VolumeRequests& self = *request.requests;
  request.take_back = &take_back;
  request.duties |= VolumeRequest::has_waited_for_room;
  request.held_since = self.reactor_.now();
  self.without_room_.push_back(request);
  request.volume->overload().began_hold();
}

void VolumeRequests::end_wait(VolumeRequest& request) {
  request.take_back = nullptr;
  request.duties &= static_cast<std::uint8_t>(~VolumeRequest::has_waited_for_room);
  without_room_.erase(without_room_.iterator_to(request));
  request.volume->overload().ended_hold(reactor_.now() - request.held_since);
}

// The volume's disk does not answer

void VolumeRequests::stall(VolumeRequest& request) {
  begin_wait(request.io, request.stall);
  const Instant now = reactor_.now();
  if (request.stall.since == Instant{}) request.stall.since = now;
  request.duties |= VolumeRequest::has_stalled;
  stalled_.push_back(request);
  if (!stall_timer_.armed()) reactor_.timers().arm(stall_timer_, now + stall_period);
}

void VolumeRequests::look_at_stalled() {
  Stalled now;
  now.swap(stalled_);
  while (!now.empty()) {
    VolumeRequest& request = now.front();
    now.pop_front();
    if (!end_stall(request)) stalled_.push_back(request);
  }
  if (!stalled_.empty() && !stall_timer_.armed()) {
    reactor_.timers().arm(stall_timer_, reactor_.now() + stall_period);
  }
}

bool VolumeRequests::end_stall(VolumeRequest& request) {
  const BlockVolume& volume = *request.volume;
  if (request.stall.is_taken_back || !owner_.may_start()) {
    complete(request, IoStatus::cancelled);
    return true;
  }
  if (reactor_.now() - request.stall.since >= volume.overload().hold()) {
    complete(request, IoStatus::no_room);
    return true;
  }
  if (volume.volume().is_backing_silent()) return false;
  end_wait(request);
  start(request);
  return true;
}

void VolumeRequests::completed(VolumeIo& io, IoStatus outcome) noexcept {
  VolumeRequest& request = request_of(io);
  request.requests->complete(request, outcome);
}

void VolumeRequests::complete(VolumeRequest& request, IoStatus outcome) {
  if (outcome == IoStatus::no_answer) [[unlikely]]
    return stall(request);
  if (request.duties != 0) [[unlikely]]
    do_duties(request);
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

void VolumeRequests::do_duties(VolumeRequest& request) {
  const std::uint8_t duties = request.duties;
  request.duties &= VolumeRequest::tells_its_times;  // until the command has been answered
  if ((duties & VolumeRequest::tells_its_times) != 0) {
    request.ended = std::max(reactor_.now(), reactor_.lane().now());
  }
  if ((duties & VolumeRequest::has_waited_for_room) != 0) end_wait(request);
  if ((duties & VolumeRequest::has_stalled) != 0) {
    request.stall.since = {};
    request.stall.is_taken_back = false;
  }
  if ((duties & VolumeRequest::gives_back_verify_bytes) != 0) {
    request.volume->buffers().give_back(std::exchange(request.verify_bytes, 0), reactor_.now());
  }
}

// The times of a command

void VolumeRequests::note_timed_beginning(VolumeRequest& request) {
  if (request.began == Instant{}) request.began = reactor_.now();
}

void begin_run(BlockVolume& volume, Reactor& reactor) {
  reactor.begin_run(&volume, volume.counters(reactor).begun());
}

void move_command(VolumeRequest& request, BlockVolume& volume, Reactor& reactor) {
  request.volume->counters(reactor).moved();
  request.volume = nullptr;
  forget_times(request);
  begin_command(request, volume, reactor);
}

void begin_timed_command(VolumeRequest& request, const Reactor& reactor) {
  BegunCounter& begun = request.volume->counters(reactor).begun();
  const bool is_named = request.volume->stages(reactor) != nullptr;
  begun.time_again_after(is_named ? 1 : commands_for_one_timed);
  request.is_timed_for_reactor = !is_named || begun.is_reactors_turn(commands_for_one_timed);
  request.started = request.started + VolumeRequest::timed_mark;
  request.io.is_timed = true;
  request.duties |= VolumeRequest::tells_its_times;
}

void forget_times(VolumeRequest& request) {
  request.began = request.ended = {};
  request.held = {};
  request.io.times = {};
  request.io.is_timed = false;
  request.duties &= static_cast<std::uint8_t>(~VolumeRequest::tells_its_times);
}

}  // namespace target::block
