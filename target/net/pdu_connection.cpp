// The life of a connection: start, sending, time-outs, and its end.
#include "target/net/pdu_connection.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "target/reactor/log.h"

namespace target {

using engine::Duration;
using engine::Instant;

namespace {

// When the daemon stops, what the disks still work on is answered for so long; the service manager
// waits a little longer.
constexpr Duration finish_patience = std::chrono::seconds(6);

}  // namespace

PduConnection::PduConnection(ConnectionRegistry& registry, std::unique_ptr<ByteStream> stream,
                             const std::string& listener, const PduConnectionLimits& limits,
                             const Protocol& protocol)
    : registry_(registry),
      reactor_(registry.reactor()),
      limits_(limits),
      introduction_(protocol.introduction),
      counters_(registry.counters(protocol.counted_as)),
      stream_(std::move(stream)),
      stash_(std::max(protocol.largest_header_bytes, most_trailer_bytes)),
      tally_(reactor_),
      buffers_(*this, registry, output_, limits.buffer_ceiling_bytes),
      timer_([this] { time_passed(); }),
      last_received_(reactor_.clock().now()),
      last_sent_(last_received_) {
  link_.peer_address = stream_->peer_address();
  link_.local_address = stream_->local_address();
  link_.listener = listener;
  reactor_.add_resident();
  counters().opened.fetch_add(1, std::memory_order_relaxed);
}

PduConnection::~PduConnection() {
  CHECK(executing_ == 0);
  stream_->close();
  reactor_.remove_resident();
  counters().closed.fetch_add(1, std::memory_order_relaxed);
}

void PduConnection::start() {
  watch_time_limit();
  // A host that was accepted a moment ago sends its first PDU at once.
  arm_reading();
}

void PduConnection::settle() {
  CHECK(!is_settled_);
  is_settled_ = true;
  stream_->settle();
  timer_.disarm();  // it watched over that
  watch_time_limit();
  if (host_owes() || !output_.empty()) watch_for_stall();
}

// What this turn produced goes out, and the protocol hears of an end that happened in it.
void PduConnection::end_of_turn() {
  if (ending() && !told_ended_) {
    told_ended_ = true;
    buffers_.stop();
    data_place_ = nullptr;
    owing_ = 0;
    bulk_expected_ = 0;
    tally_.settle();
    ended(reason_);
  }
  if (phase_ != Phase::closed) {
    consume_held_input();
    if (!write_blocked_) flush();
    after_flush();
  }
  if (phase_ == Phase::closed && told_ended_ && executing_ == 0 && !retired_) {
    retired_ = true;
    tally_.settle();  // of what ended since, into nothing
    registry_.retire(*this);
  }
}

void PduConnection::flush() {
  std::array<iovec, most_iovecs> pieces;
  while (!output_.empty()) {
    const std::size_t count = output_.gather(pieces);
    std::size_t offered = 0;
    for (std::size_t i = 0; i < count; ++i) offered += pieces[i].iov_len;
    const auto written = stream_->write(std::span(pieces).first(count));
    if (!written && written.error() != StreamError::would_block) return lost(written.error());
    last_sent_ = reactor_.now();
    if (written) {
      output_.sent(written.value());
      registry_.tell_reserve_waiters();
      counters().bytes_sent.fetch_add(written.value(), std::memory_order_relaxed);
      if (written.value() == offered) continue;
    }
    write_blocked_ = true;
    stream_->when_writable([this] {
      write_blocked_ = false;
      send_soon();
    });
    watch_for_stall();
    if (const auto pinned = output_.longest_pinned()) look_again(pinned->since + longest_pin);
    return;
  }
}

void PduConnection::after_flush() {
  if (phase_ == Phase::closed) return;
  if (phase_ == Phase::draining && !(finishing_ && executing_ > 0)) {
    // From the last answer on, the host has so long to read it and to close.
    end_deadline_ = std::min(end_deadline_, reactor_.clock().now() + limits_.linger);
    reactor_.timers().arm(timer_, end_deadline_);
    if (output_.empty()) {
      phase_ = Phase::lingering;
      stream_->finish_writing();
    }
  }
  if (output_.bytes() > limits_.output_bound_bytes) {
    output_full_ = true;
  } else if (output_full_ && output_.bytes() <= limits_.output_bound_bytes / 2) {
    output_full_ = false;
    last_received_ = reactor_.now();  // until now it was us who did not read
    if (host_owes()) watch_for_stall();
    if (may_read()) reactor_.keep_polling(*this);
  }
  if (buffers_.has_waiting()) buffers_.serve();
}

void PduConnection::stream_goes_on() {
  last_received_ = reactor_.now();  // until now it was us who did not read
  send_soon();  // what is held goes on at the end of the turn, not inside the pool's call
  if (may_read()) reactor_.keep_polling(*this);
}

void PduConnection::begin_end(EndReason reason, Phase phase) {
  if (phase_ == Phase::closed) return;
  const bool first = !ending();
  if (first) {
    reason_ = reason;
    counters().ended[static_cast<std::size_t>(reason)].fetch_add(1, std::memory_order_relaxed);
    data_place_ = nullptr;
    if (!is_settled_) log_end();
  }
  if (phase == Phase::closed) {
    close();
  } else if (first) {
    phase_ = Phase::draining;
    finishing_ = reason == EndReason::stopping;
    end_deadline_ = reactor_.clock().now() + (finishing_ ? finish_patience : limits_.linger);
    reactor_.timers().arm(timer_, end_deadline_);
    // What follows is thrown away: closing with unread bytes would reset the connection and could
    // take our last words with it.
    reactor_.keep_polling(*this);
  }
  send_soon();
}

void PduConnection::lost(StreamError error) {
  EndReason reason = EndReason::connection_lost;
  if (error == StreamError::closed) reason = EndReason::closed_by_host;
  if (error == StreamError::evicted) {
    const auto limit = time_limit();
    reason = limit ? limit->reason : EndReason::connect_timeout;
  }
  if (error == StreamError::unreadable) reason = EndReason::data_unreadable;
  if (error == StreamError::refused) reason = EndReason::refused;
  begin_end(reason, Phase::closed);
}

void PduConnection::close() {
  phase_ = Phase::closed;
  reactor_.stop_polling(*this);
  timer_.disarm();
  stream_->close();
  output_.clear();
  registry_.tell_reserve_waiters();
  held_input_ = {};
}

// Once settled, the protocol knows more and says it.
void PduConnection::log_end() {
  // Who found the error, or refused, has said it.
  if (reason_ == EndReason::protocol_error || reason_ == EndReason::refused) return;
  if (!log_limit().allows(reactor_.now())) return;
  log_info(
      "connection ended before {} peer={} local={} listener={} security={} reason=\"{}\" more={}",
      introduction_, link_.peer_address, link_.local_address, link_.listener, link_.security,
      text(reason_), log_limit().suppressed());
}

bool PduConnection::host_owes() const {
  if (buffers_.blocks_stream() || output_full_) return false;  // it is us who do not read
  return stage_ != Stage::header || stash_bytes_ != 0 || owing_ != 0;
}

void PduConnection::watch_for_stall() {
  if (limits_.stall_timeout > Duration{}) look_again(reactor_.now() + limits_.stall_timeout);
}

void PduConnection::look_again(Instant deadline) {
  if (ending() || (timer_.armed() && timer_.deadline() <= deadline)) return;
  reactor_.timers().arm(timer_, deadline);
}

void PduConnection::time_passed() {
  if (ending()) return begin_end(reason_, Phase::closed);
  const Instant now = reactor_.clock().now();
  if (!let_go_of_pins(now)) return;
  std::optional<TimeLimit> next = time_limit();
  const auto watch_stall = [&](Instant since) {
    if (limits_.stall_timeout <= Duration{}) return;
    if (next && next->at <= since + limits_.stall_timeout) return;
    next = TimeLimit{since + limits_.stall_timeout, EndReason::idle_timeout};
  };
  if (host_owes()) watch_stall(last_received_);
  if (!output_.empty()) watch_stall(last_sent_);
  if (!next || next->at > now) {
    if (next) reactor_.timers().arm(timer_, next->at);
    if (const auto pinned = output_.longest_pinned()) look_again(pinned->since + longest_pin);
    if (buffers_.blocks_stream()) buffers_.serve();  // does its volume hang?
    return;
  }
  counters().timeouts.fetch_add(1, std::memory_order_relaxed);
  if (stage_ == Stage::header && output_.empty() &&
      fail_unfinished(std::span<const std::byte>(stash_).first(stash_bytes_))) {
    return;
  }
  begin_end(next->reason, Phase::closed);
}

// What the host leaves for long where it lies is copied, and the cache may give up the place.
// False: it cannot be copied, and the connection has ended.
bool PduConnection::let_go_of_pins(Instant now) {
  for (;;) {
    const auto pinned = output_.longest_pinned();
    if (!pinned || now < pinned->since + longest_pin) return true;
    std::optional<engine::BufferLease> copy;
    if (buffers_.memory_allows(buffers_.held_by_host(), pinned->bytes)) {
      copy = reactor_.lane().buffers().lease({pinned->bytes});
    }
    if (!copy) {
      begin_end(EndReason::data_not_taken, Phase::closed);
      return false;
    }
    if (!output_.copy_longest_pinned(std::move(*copy))) {
      begin_end(EndReason::data_unreadable, Phase::closed);
      return false;
    }
    counters().pins_copied.fetch_add(1, std::memory_order_relaxed);
  }
}

void PduConnection::count_answered(block::VolumeRequest& request,
                                   const block::AnsweredCommand& command) {
  if (command.outcome == block::CommandOutcome::ok) {
    return count_unlike(request, command.kind, command.bytes);
  }
  if (request.volume != nullptr) count_for_itself(request, command);
}

void PduConnection::count_unlike(block::VolumeRequest& request, block::CommandKind kind,
                                 std::uint64_t bytes) {
  if (request.volume == nullptr) return;
  if (request.duties != 0) [[unlikely]] {
    return count_for_itself(request,
                            {.kind = kind, .outcome = block::CommandOutcome::ok, .bytes = bytes});
  }
  tally_.add(request.volume->counters(reactor_), kind, request.started, bytes);
}

void PduConnection::count_for_itself(block::VolumeRequest& request,
                                     const block::AnsweredCommand& command) {
  block::VolumeCounters& counters = request.volume->counters(reactor_);
  const Instant began = block::began(request);
  if (command.outcome == block::CommandOutcome::ok) {
    tally_.add(counters, command.kind, began, command.bytes);
  } else if (counters.failed(command.kind, command.outcome)) {
    reactor_.count_at_turn_end(counters.of(command.kind).latencies, began);
  }
  // Of what has asked nothing of its volume, or ended for a reason of its own, nothing is told.
  const bool has_stages = request.ended != Instant{} && command.kind != block::CommandKind::other &&
                          command.outcome != block::CommandOutcome::aborted;
  if (has_stages) {
    if (request.is_timed_for_reactor) count_stages(registry_.stages(), request, began);
    if (auto* const of_volume = request.volume->stages(reactor_)) {
      count_stages(*of_volume, request, began);
    }
  }
  block::forget_times(request);
}

void PduConnection::count_stages(block::StageCounters& stages, const block::VolumeRequest& request,
                                 Instant began) {
  using Timed = block::CommandStage;
  const engine::IoTimes& times = request.io.times;
  stages.of(Timed::receive).add(request.began - began - request.held);
  if (request.held != engine::Duration{}) stages.of(Timed::qos_wait).add(request.held);
  stages.of(Timed::cache).add(request.ended - request.began - times.commit - times.backing);
  if (times.committed) stages.of(Timed::commit).add(times.commit);
  if (times.reached_backing) stages.of(Timed::backing).add(times.backing);
  reactor_.count_at_turn_end(stages.of(Timed::send), request.ended);
}

void PduConnection::count_dropped(block::VolumeRequest& request) {
  if (request.volume == nullptr) return;
  request.volume->counters(reactor_).dropped();
  block::forget_times(request);
}

}  // namespace target
