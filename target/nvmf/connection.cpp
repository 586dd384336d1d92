// The life of a connection: start, sending, time-outs, and its end.
#include "target/nvmf/connection.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/foundation/check.h"
#include "target/nvmf/connection_registry.h"
#include "target/reactor/log.h"

namespace target::nvmf {

namespace nvme_tcp = protocol::nvme_tcp;
using engine::Duration;
using engine::Instant;

namespace {

// When the daemon stops, what the disks still work on is answered for so long; the service manager
// waits a little longer.
constexpr Duration finish_patience = std::chrono::seconds(6);

}  // namespace

Connection::Connection(ConnectionRegistry& registry, std::unique_ptr<ByteStream> stream,
                       const ConnectionOptions& options)
    : registry_(registry),
      reactor_(registry.reactor()),
      options_(options),
      stream_(std::move(stream)),
      pool_wait_(*this),
      memory_wait_(*this),
      reserve_wait_(*this),
      timer_([this] { time_passed(); }),
      opened_(reactor_.clock().now()),
      last_received_(opened_),
      last_sent_(opened_) {
  link_.peer_address = stream_->peer_address();
  link_.local_address = stream_->local_address();
  link_.listener = options_.listener;
  reactor_.add_resident();
  registry_.counters_.opened.fetch_add(1, std::memory_order_relaxed);
}

Connection::~Connection() {
  CHECK(executing_ == 0);
  stream_->close();
  reactor_.remove_resident();
  registry_.counters_.closed.fetch_add(1, std::memory_order_relaxed);
}

void Connection::start(std::unique_ptr<CommandExecutor> executor) {
  executor_ = std::move(executor);
  if (options_.icreq_timeout > Duration{}) {
    reactor_.timers().arm(timer_, opened_ + options_.icreq_timeout);
  }
  // A host that was accepted a moment ago sends ICReq at once.
  arm_reading();
}

void Connection::bind(const QueueBinding& binding) {
  CHECK(!bound_);
  bound_ = true;
  answering_connect_ = true;
  binding_ = binding;
  stream_->settle();
  timer_.disarm();  // it watched over Connect
  if (host_owes() || !output_.empty()) watch_for_stall();
  slots_.grow(binding.entries);
  if (binding.qid != 0) decoder_.limit_in_capsule(options_.in_capsule_bytes);
}

void Connection::end(EndReason reason) { begin_end(reason, Phase::draining); }

// What this turn produced goes out, and the executor hears of an end that happened in it.
void Connection::end_of_turn() {
  if (ending() && !executor_told_) {
    executor_told_ = true;
    drop_transfers();
    executor_->connection_ended(reason_);
  }
  if (phase_ != Phase::closed) {
    consume_held_input();
    if (!write_blocked_) flush();
    after_flush();
  }
  if (phase_ == Phase::closed && executor_told_ && executing_ == 0 && !retired_) {
    retired_ = true;
    registry_.retire(*this);
  }
}

void Connection::flush() {
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
      tell_reserve_waiters();
      registry_.counters_.bytes_sent.fetch_add(written.value(), std::memory_order_relaxed);
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

void Connection::after_flush() {
  if (phase_ == Phase::closed) return;
  if (phase_ == Phase::draining && !(finishing_ && executing_ > 0)) {
    // From the last answer on, the host has so long to read it and to close.
    end_deadline_ = std::min(end_deadline_, reactor_.clock().now() + options_.linger);
    reactor_.timers().arm(timer_, end_deadline_);
    if (output_.empty()) {
      phase_ = Phase::lingering;
      stream_->finish_writing();
    }
  }
  if (output_.bytes() > options_.output_bound_bytes) {
    output_full_ = true;
  } else if (output_full_ && output_.bytes() <= options_.output_bound_bytes / 2) {
    output_full_ = false;
    last_received_ = reactor_.now();  // until now it was us who did not read
    if (host_owes()) watch_for_stall();
    if (may_read()) reactor_.keep_polling(*this);
  }
  if (waits_for_buffers()) serve_waiting();
}

// The host broke the protocol; `bytes` is the front of the stream from the offending PDU on.
void Connection::fail(const nvme_tcp::PduError& error, std::span<const std::byte> bytes) {
  ConnectionCounters& counters = registry_.counters_;
  if (error.fes == nvme_tcp::FatalErrorStatus::header_digest_error) {
    counters.header_digest_errors.fetch_add(1, std::memory_order_relaxed);
  }
  if (registry_.log_limit_.allows(reactor_.now())) {
    log_warn(
        "protocol error peer={} local={} listener={} security={} what=\"{}\" fes={:#x} fei={:#x} "
        "more={}",
        link_.peer_address, link_.local_address, link_.listener, link_.security,
        nvme_tcp::describe(error.fault), static_cast<unsigned>(error.fes), error.fei,
        registry_.log_limit_.suppressed());
  }
  if (error.closes_silently()) return begin_end(EndReason::protocol_error, Phase::closed);
  counters.protocol_errors.fetch_add(1, std::memory_order_relaxed);
  const auto offending = nvme_tcp::offending_header(bytes);
  const auto space = output_.append(nvme_tcp::term_req_bytes(offending));
  (void)nvme_tcp::encode_term_req(space, error, offending);
  begin_end(EndReason::protocol_error, Phase::draining);
}

// From here on nothing is executed. `phase` is draining, or closed when nothing can be sent.
void Connection::begin_end(EndReason reason, Phase phase) {
  if (phase_ == Phase::closed) return;
  const bool first = !ending();
  if (first) {
    reason_ = reason;
    registry_.counters_.ended[static_cast<std::size_t>(reason)].fetch_add(
        1, std::memory_order_relaxed);
    data_slot_ = nullptr;
    if (!bound_) log_end();
  }
  if (phase == Phase::closed) {
    close();
  } else if (first) {
    phase_ = Phase::draining;
    finishing_ = reason == EndReason::stopping;
    end_deadline_ = reactor_.clock().now() + (finishing_ ? finish_patience : options_.linger);
    reactor_.timers().arm(timer_, end_deadline_);
    // What follows is thrown away: closing with unread bytes would reset the connection and could
    // take our last words with it.
    reactor_.keep_polling(*this);
  }
  send_soon();
}

void Connection::lost(StreamError error) {
  EndReason reason = EndReason::connection_lost;
  if (error == StreamError::closed) reason = EndReason::closed_by_host;
  if (error == StreamError::evicted) reason = EndReason::connect_timeout;
  if (error == StreamError::unreadable) reason = EndReason::data_unreadable;
  begin_end(reason, Phase::closed);
}

void Connection::close() {
  phase_ = Phase::closed;
  reactor_.stop_polling(*this);
  timer_.disarm();
  stream_->close();
  output_.clear();
  tell_reserve_waiters();
  held_input_ = {};
}

// Once bound, the executor knows more and says it.
void Connection::log_end() {
  // fail(), and whoever refused, have said it.
  if (reason_ == EndReason::protocol_error || reason_ == EndReason::refused) return;
  if (!registry_.log_limit_.allows(reactor_.now())) return;
  log_info(
      "connection ended before Connect peer={} local={} listener={} security={} reason=\"{}\" "
      "more={}",
      link_.peer_address, link_.local_address, link_.listener, link_.security, text(reason_),
      registry_.log_limit_.suppressed());
}

bool Connection::host_owes() const {
  if (blocked_slot_ != nullptr || output_full_) return false;  // it is us who do not read
  return stage_ != Stage::header || stash_bytes_ != 0 || receiving_ != 0;
}

// Called whenever one side begins to owe something; costs nothing while the timer runs. (It may
// still run for a time-out that lies further ahead: that of Connect.)
void Connection::watch_for_stall() {
  if (options_.stall_timeout > Duration{}) look_again(reactor_.now() + options_.stall_timeout);
}

// time_passed() will be called no later.
void Connection::look_again(Instant deadline) {
  if (ending() || (timer_.armed() && timer_.deadline() <= deadline)) return;
  reactor_.timers().arm(timer_, deadline);
}

void Connection::time_passed() {
  if (ending()) return begin_end(reason_, Phase::closed);
  const Instant now = reactor_.clock().now();
  if (!let_go_of_pins(now)) return;
  std::optional<Instant> deadline;
  EndReason reason = EndReason::idle_timeout;
  const auto watch = [&](Instant since, Duration limit, EndReason when_passed) {
    if (limit <= Duration{} || (deadline && *deadline <= since + limit)) return;
    deadline = since + limit;
    reason = when_passed;
  };
  if (phase_ == Phase::initializing) {
    watch(opened_, options_.icreq_timeout, EndReason::connect_timeout);
  } else if (!bound_) {
    watch(opened_, options_.connect_timeout, EndReason::connect_timeout);
  }
  if (host_owes()) watch(last_received_, options_.stall_timeout, EndReason::idle_timeout);
  if (!output_.empty()) watch(last_sent_, options_.stall_timeout, EndReason::idle_timeout);
  if (!deadline || *deadline > now) {
    if (deadline) reactor_.timers().arm(timer_, *deadline);
    if (const auto pinned = output_.longest_pinned()) look_again(pinned->since + longest_pin);
    if (blocked_slot_ != nullptr) serve_waiting();  // does its volume hang?
    return;
  }
  registry_.counters_.timeouts.fetch_add(1, std::memory_order_relaxed);
  if (stage_ == Stage::header && output_.empty()) {
    // Something may be wrong with what has come, and only the rest of its header was waited for.
    const auto front = std::span<const std::byte>(stash_).first(stash_bytes_);
    if (const auto error = decoder_.error_at_end(front)) return fail(*error, front);
  }
  begin_end(reason, Phase::closed);
}

// What the host leaves for long where it lies is copied, and the cache may give up the place.
// False: it cannot be copied, and the connection has ended.
bool Connection::let_go_of_pins(Instant now) {
  for (;;) {
    const auto pinned = output_.longest_pinned();
    if (!pinned || now < pinned->since + longest_pin) return true;
    std::optional<engine::BufferLease> copy;
    if (memory_allows(held_by_host(), pinned->bytes)) {
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
    registry_.counters_.pins_copied.fetch_add(1, std::memory_order_relaxed);
  }
}

const char* text(EndReason reason) {
  switch (reason) {
    case EndReason::closed_by_host:
      return "closed by host";
    case EndReason::connection_lost:
      return "connection lost";
    case EndReason::protocol_error:
      return "protocol error";
    case EndReason::host_terminated:
      return "terminated by host";
    case EndReason::connect_timeout:
      return "no Connect in time";
    case EndReason::idle_timeout:
      return "host stalled";
    case EndReason::data_not_taken:
      return "host does not take its data, and there is no memory to keep it";
    case EndReason::data_unreadable:
      return "data cannot be read any more: bad memory";
    case EndReason::keep_alive_timeout:
      return "keep-alive timeout";
    case EndReason::controller_reset:
      return "controller reset";
    case EndReason::disconnected:
      return "disconnected";
    case EndReason::refused:
      return "refused";
    case EndReason::removed:
      return "removed from the configuration";
    case EndReason::stopping:
      return "target stops";
  }
  return "unknown";
}

}  // namespace target::nvmf
