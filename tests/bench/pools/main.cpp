// forebay-pool-bench: how fast a file or block device is through FileDevice and a lane, as the
// backings of pools are reached. One line of JSON; tests/bench/run --only pools puts it beside fio.
#include <fmt/format.h>
#include <poll.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <utility>

#include "engine/foundation/clock.h"
#include "engine/foundation/random.h"
#include "engine/media/file_device.h"
#include "engine/media/uring_lane.h"

namespace engine {
namespace {

struct BenchOrder {
  std::string path;
  bool writes = false;
  bool random = false;
  std::uint64_t block = 4096;
  std::uint64_t depth = 32;
  std::uint64_t size = 0;
  double seconds = 1;
};

class BackingLoad {
 public:
  BackingLoad(const BenchOrder& order, BackingDevice& device, UringLane& lane)
      : order_(order), device_(device), lane_(lane), blocks_(order.size / order.block) {}

  // False: memory or an operation has failed.
  bool run() {
    for (std::uint64_t at = 0; at < order_.depth; ++at) {
      auto buffer = lane_.buffers().lease({order_.block});
      if (!buffer) return false;
      std::memset(buffer->bytes().data(), 0x5a, order_.block);
      Slot& slot = slots_.emplace_back();
      slot.lease = std::move(*buffer);
      slot.owner = this;
    }
    const Instant begin = clock_.now();
    end_ =
        begin + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(order_.seconds));
    for (Slot& slot : slots_) submit(slot);
    while (under_way_ != 0) turn();
    took_ = std::chrono::duration<double>(clock_.now() - begin).count();
    return failed_ == 0;
  }
  [[nodiscard]] double rate() const { return static_cast<double>(ended_) / took_; }

 private:
  struct Slot : BackingIo {
    BufferLease lease;
    BackingLoad* owner = nullptr;
  };

  void submit(Slot& slot) {
    const std::uint64_t block = order_.random ? random_.below(blocks_) : next_++ % blocks_;
    static_cast<BackingIo&>(slot) = {
        .kind = order_.writes ? BackingIo::Kind::write : BackingIo::Kind::read,
        .offset = {block * order_.block},
        .buffer = slot.lease.bytes().first(order_.block),
        .done = [](BackingIo& io, IoStatus status) noexcept {
          auto& ended = static_cast<Slot&>(io);
          ended.owner->ended(ended, status);
        }};
    ++under_way_;
    device_.submit(lane_, slot);
  }
  void ended(Slot& slot, IoStatus status) {
    --under_way_;
    ++ended_;
    failed_ += status == IoStatus::ok ? 0 : 1;
    if (failed_ == 0 && clock_.now() < end_) submit(slot);
  }
  // As a reactor's, which looks first and sleeps only when there is nothing.
  void turn() {
    lane_.submit();
    if (lane_.reap() != 0 || under_way_ == 0) return;
    pollfd wake{.fd = lane_.wake_descriptor(), .events = POLLIN, .revents = 0};
    (void)::poll(&wake, 1, -1);
    lane_.clear_wake();
  }

  const BenchOrder& order_;
  BackingDevice& device_;
  UringLane& lane_;
  const std::uint64_t blocks_;
  const SystemClock clock_;
  SeededRandom random_{1};
  std::deque<Slot> slots_;
  Instant end_{};
  std::uint64_t next_ = 0;
  std::uint64_t under_way_ = 0;
  std::uint64_t ended_ = 0;
  std::uint64_t failed_ = 0;
  double took_ = 0;
};

int measure(const BenchOrder& order) {
  auto file = OpenFile::open(order.path, {order.size});
  if (!file) {
    fmt::print(stderr, "{} {}\n", order.path, file.error());
    return 1;
  }
  const bool is_direct = file.value().geometry().direct;
  MemoryBudget budget{1_GiB};
  auto lane = UringLane::create(budget);
  if (!lane) {
    fmt::print(stderr, "{}\n", lane.error().text);
    return 1;
  }
  FileDevice device(std::move(file.value()), {order.size},
                    IoSource::new_file(IoSource::new_backing()));
  BackingLoad load(order, device, *lane.value());
  if (!load.run()) {
    fmt::print(stderr, "{}: an operation has failed\n", order.path);
    return 1;
  }
  fmt::print("{{\"iops\": {:.1f}, \"bytes_per_second\": {:.0f}, \"direct\": {}}}\n", load.rate(),
             load.rate() * static_cast<double>(order.block), is_direct);
  return 0;
}

}  // namespace
}  // namespace engine

int main(int count, char** words) {
  engine::BenchOrder order;
  CLI::App app{"How fast a file or block device is, as the backings of pools are reached"};
  app.add_option("path", order.path, "What is read and written over")->required();
  app.add_option("--size", order.size, "Bytes of it that are used")->required();
  app.add_option("--block", order.block, "Bytes of an operation, at most 2 MiB");
  app.add_option("--depth", order.depth, "Operations under way");
  app.add_option("--seconds", order.seconds, "How long");
  app.add_flag("--write", order.writes, "Write, not read");
  app.add_flag("--random", order.random, "Anywhere, not one behind the other");
  CLI11_PARSE(app, count, words);
  if (order.block == 0 || order.size < order.block) {
    fmt::print(stderr, "--size must hold a block\n");
    return 1;
  }
  return engine::measure(order);
}
