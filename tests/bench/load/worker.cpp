#include "tests/bench/load/worker.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace bench {

std::atomic<bool> stop_requested{false};

namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t longest_wait_ns = 100'000'000;  // how late a stop may be noticed
constexpr std::size_t most_messages = 10;
constexpr int tries_for_a_free_unit = 64;

std::uint64_t monotonic_ns() {
  timespec now{};
  (void)::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * second_ns +
         static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint64_t to_ns(double seconds) {
  return static_cast<std::uint64_t>(seconds * static_cast<double>(second_ns));
}

}  // namespace

Worker::Worker(WorkerPlan plan, const LoadOptions& options, std::span<const std::byte> pattern)
    : options_(options), plan_(std::move(plan)) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  const std::size_t streams = plan_.connections.size();
  std::size_t depth = 0;
  for (std::size_t i = 0; i < streams; ++i) {
    const ConnectionSettings& settings = plan_.connections[i];
    depth += settings.depth;
    streams_.push_back({.connection = std::make_unique<LoadConnection>(settings, pattern),
                        .workload = Workload(plan_.region, options.pattern, options.read_percent,
                                             plan_.seed + i, plan_.region.units * i / streams)});
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
    CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, settings.socket, &event) == 0);
  }
  done_.reserve(depth);
  ready_.reserve(streams);
  if (options.verify) {
    map_.emplace(plan_.region, options.block_bytes, plan_.connections.front().lba_bytes, plan_.run);
  }
  if (plan_.rate != 0) interval_ns_ = second_ns / plan_.rate;
}

Worker::~Worker() {
  if (epoll_ >= 0) ::close(epoll_);
}

void Worker::pin() const {
  if (!plan_.cpu) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(*plan_.cpu, &set);
  (void)::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
}

void Worker::run() {
  pin();
  now_ns_ = monotonic_ns();
  due_ns_ = now_ns_;
  measure_from_ns_ = now_ns_ + to_ns(options_.warmup_s);
  measure_until_ns_ =
      plan_.count != 0 ? ~std::uint64_t{0} : measure_from_ns_ + to_ns(options_.duration_s);
  bool healthy = true;
  for (Stream& stream : streams_) {
    top_up(stream);
    healthy = healthy && stream.connection->flush();
  }
  while (healthy && phase_ != Phase::done) healthy = turn();
  if (!healthy) {
    figures_.connection_lost = true;
    for (const Stream& stream : streams_) {
      if (!stream.connection->error().empty()) complain(stream.connection->error());
    }
  }
  const std::uint64_t end = std::min(measure_until_ns_, std::max(last_done_ns_, measure_from_ns_));
  figures_.elapsed_ns = end - measure_from_ns_;
  if (map_) {
    figures_.verified_blocks = map_->verified_blocks();
    figures_.unknown_blocks = map_->unknown_blocks();
  }
}

bool Worker::turn() {
  if (options_.poll) {
    now_ns_ = monotonic_ns();
    for (Stream& stream : streams_) {
      if (!serve(stream)) return false;
    }
  } else {
    wait(idle_wait_ns());
    for (const std::uint32_t index : ready_) {
      if (!serve(streams_[index])) return false;
    }
    // A rate, a change of phase or a unit free again lets connections submit that had nothing to
    // receive.
    if (interval_ns_ != 0 || phase_ == Phase::reading_back || starved_) {
      starved_ = false;
      for (Stream& stream : streams_) {
        top_up(stream);
        if (!stream.connection->flush()) return false;
        watch(stream);
      }
    }
  }
  advance_phase();
  return true;
}

bool Worker::serve(Stream& stream) {
  done_.clear();
  const bool healthy = stream.connection->receive(done_);
  if (!done_.empty()) {
    now_ns_ = monotonic_ns();
    for (const Done& done : done_) finish(stream, done);
    progress_.store(progress_.load(std::memory_order_relaxed) + done_.size(),
                    std::memory_order_relaxed);
  }
  if (!healthy) return false;
  top_up(stream);
  if (!stream.connection->flush()) return false;
  if (!options_.poll) watch(stream);
  return true;
}

void Worker::watch(Stream& stream) {
  if (stream.connection->blocked() == stream.watching_output) return;
  stream.watching_output = stream.connection->blocked();
  const auto index = static_cast<std::uint64_t>(&stream - streams_.data());
  epoll_event event{.events = EPOLLIN | (stream.watching_output ? EPOLLOUT : 0u),
                    .data = {.u64 = index}};
  (void)::epoll_ctl(epoll_, EPOLL_CTL_MOD, stream.connection->socket(), &event);
}

std::uint64_t Worker::idle_wait_ns() const {
  std::uint64_t longest = longest_wait_ns;
  if (phase_ == Phase::running && measure_until_ns_ > now_ns_) {
    longest = std::min(longest, measure_until_ns_ - now_ns_);
  }
  if (phase_ == Phase::reading_back && in_flight() == 0) return 0;
  if (interval_ns_ != 0 && phase_ == Phase::running && due_ns_ > now_ns_) {
    longest = std::min(longest, due_ns_ - now_ns_);
  }
  return longest;
}

void Worker::wait(std::uint64_t at_most_ns) {
  std::array<epoll_event, 256> events;
  const timespec limit{.tv_sec = static_cast<time_t>(at_most_ns / second_ns),
                       .tv_nsec = static_cast<long>(at_most_ns % second_ns)};
  constexpr auto most = static_cast<int>(events.size());
  int count = ::epoll_pwait2(epoll_, events.data(), most, &limit, nullptr);
  if (count < 0 && errno == ENOSYS) {  // under valgrind, for one; coarser but as right
    count = ::epoll_wait(epoll_, events.data(), most,
                         static_cast<int>((at_most_ns + 999'999) / 1'000'000));
  }
  now_ns_ = monotonic_ns();
  ready_.clear();
  for (int i = 0; i < count; ++i) {
    ready_.push_back(static_cast<std::uint32_t>(events[static_cast<std::size_t>(i)].data.u64));
  }
}

void Worker::finish(Stream& stream, const Done& done) {
  LoadConnection& connection = *stream.connection;
  const Request request = connection.request(done.slot);
  last_done_ns_ = now_ns_;
  if (done.status != 0) {
    ++figures_.io_errors;
    complain(fmt::format("{} of LBA {} failed: status {:03x}h{}", request.read ? "read" : "write",
                         request.unit * (options_.block_bytes / plan_.connections[0].lba_bytes),
                         done.status & 0x7ff, (done.status & 0x4000) != 0 ? " DNR" : ""));
  }
  if (request.read) {
    finish_read(stream, request, done);
  } else if (map_) {
    map_->end_write(request.unit, request.generation, done.status == 0);
  }
  if (phase_ != Phase::reading_back && done.status == 0 && now_ns_ >= measure_from_ns_ &&
      now_ns_ <= measure_until_ns_) {
    (request.read ? figures_.reads : figures_.writes) += 1;
    (request.read ? figures_.read_latency : figures_.write_latency)
        .record(now_ns_ - std::min(now_ns_, request.start_ns));
  }
  connection.release(done.slot);
}

void Worker::finish_read(Stream& stream, const Request& request, const Done& done) {
  if (!map_ || done.status != 0) return;
  auto wrong = map_->check(request.unit, request.generation, stream.connection->data(done.slot));
  if (!wrong) return;
  ++figures_.verify_errors;
  complain(std::move(*wrong));
}

bool Worker::may_submit() const {
  if (phase_ == Phase::reading_back) return true;
  if (phase_ != Phase::running) return false;
  if (plan_.count != 0 && submitted_ >= plan_.count) return false;
  return interval_ns_ == 0 || due_ns_ <= now_ns_;
}

void Worker::top_up(Stream& stream) {
  while (may_submit()) {
    const auto slot = stream.connection->acquire();
    if (!slot) return;
    if (!prepare(stream, *slot)) {
      stream.connection->release(*slot);
      starved_ = true;
      return;
    }
    starved_ = false;
    stream.connection->submit(*slot);
    ++submitted_;
  }
}

bool Worker::prepare(Stream& stream, std::uint16_t slot) {
  if (phase_ == Phase::reading_back) return prepare_read_back(stream, slot);
  const Operation operation = stream.workload.next();
  if (map_) {
    if (!prepare_verified(stream, slot, operation)) return false;
  } else {
    stream.connection->request(slot) = {.read = operation.read, .unit = operation.unit};
  }
  // With a rate, latency counts from when the I/O was due: a stalled target cannot hide its queue.
  stream.connection->request(slot).start_ns = interval_ns_ != 0 ? due_ns_ : now_ns_;
  due_ns_ += interval_ns_;
  return true;
}

bool Worker::prepare_verified(Stream& stream, std::uint16_t slot, Operation operation) {
  Request& request = stream.connection->request(slot);
  if (!operation.read) {
    const Region& region = map_->region();
    for (int attempt = 0; attempt < tries_for_a_free_unit; ++attempt) {
      const std::uint64_t unit =
          region.first +
          (operation.unit - region.first + static_cast<std::uint64_t>(attempt)) % region.units;
      const auto generation = map_->begin_write(unit, stream.connection->data(slot));
      if (generation) {
        request = {.read = false, .unit = unit, .generation = *generation};
        return true;
      }
    }
    return false;  // every unit near has a write in flight: after a completion there is room
  }
  request = {.read = true, .unit = operation.unit, .generation = map_->floor(operation.unit)};
  return true;
}

bool Worker::prepare_read_back(Stream& stream, std::uint16_t slot) {
  const auto unit = map_->next_written(read_back_next_);
  if (!unit) {
    read_back_next_ = plan_.region.first + plan_.region.units;
    return false;
  }
  read_back_next_ = *unit + 1;
  stream.connection->request(slot) = {
      .read = true, .unit = *unit, .start_ns = now_ns_, .generation = map_->floor(*unit)};
  return true;
}

void Worker::advance_phase() {
  switch (phase_) {
    case Phase::running: {
      const bool counted = plan_.count != 0 && submitted_ >= plan_.count;
      // Starved with nothing in flight: every unit has had a failed write.
      const bool stuck = starved_ && in_flight() == 0;
      if (counted || stuck || now_ns_ >= measure_until_ns_ ||
          stop_requested.load(std::memory_order_relaxed)) {
        phase_ = Phase::draining;
        advance_phase();
      }
      return;
    }
    case Phase::draining:
      if (in_flight() != 0) return;
      phase_ = map_ ? Phase::reading_back : Phase::done;
      read_back_next_ = plan_.region.first;
      return;
    case Phase::reading_back:
      if (in_flight() == 0 && !map_->next_written(read_back_next_)) phase_ = Phase::done;
      return;
    case Phase::done:
      return;
  }
}

std::uint32_t Worker::in_flight() const {
  std::uint32_t sum = 0;
  for (const Stream& stream : streams_) sum += stream.connection->in_flight();
  return sum;
}

void Worker::complain(std::string message) {
  if (figures_.messages.size() < most_messages) figures_.messages.push_back(std::move(message));
}

}  // namespace bench
