#include "tests/end_to_end/harness/bystander.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace end_to_end {
namespace {

constexpr std::uint32_t nsid = 1;
constexpr std::uint32_t block_bytes = 4096;
constexpr std::uint32_t blocks = 4;
constexpr std::uint32_t area_blocks = 256;
// A pause between rounds: it watches, it does not compete.
constexpr Milliseconds pause{5};

}  // namespace

Bystander::Bystander(const client::Endpoint& endpoint) : host_(endpoint) {
  if (!host_.connected()) return;
  const auto space = host_.controller->identify_namespace(nsid);
  EXPECT_GOOD(space);
  if (!space) return;
  first_lba_ = space.value().blocks - area_blocks;
  thread_ = std::thread([this] { work(); });
}

Bystander::~Bystander() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void Bystander::expect_undisturbed() {
  await_rounds(1);
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  EXPECT_EQ(trouble_, "");
  EXPECT_LE(slowest_.count(), longest_reply.count()) << "of a " << slowest_what_;
}

void Bystander::await_rounds(int count) {
  const int wanted = rounds_ + count;
  for (int now = rounds_; now < wanted && !stop_; now = rounds_) rounds_.wait(now);
}

void Bystander::work() {
  for (std::uint64_t seed = 1; !stop_; ++seed) {
    if (!round(seed)) stop_ = true;
    ++rounds_;
    rounds_.notify_all();
    std::this_thread::sleep_for(pause);
  }
}

bool Bystander::round(std::uint64_t seed) {
  const std::uint64_t lba = first_lba_ + seed * blocks % area_blocks;
  const Bytes data = pattern(std::size_t{blocks} * block_bytes, seed);
  return timed("write", *host_.queue, client::io::write(nsid, lba, data, block_bytes), nullptr) &&
         timed("read", *host_.queue, client::io::read(nsid, lba, blocks, block_bytes), &data) &&
         timed("keep-alive", host_.controller->admin(), client::admin::keep_alive(), nullptr);
}

bool Bystander::timed(const char* what, Queue& queue, client::Command command,
                      const Bytes* expected) {
  const auto begin = SteadyClock::now();
  const auto done = queue.execute(std::move(command));
  const auto took = std::chrono::duration_cast<Milliseconds>(SteadyClock::now() - begin);
  if (took > slowest_) {
    slowest_ = took;
    slowest_what_ = what;
  }
  if (!done) {
    trouble_ = fmt::format("{}: {}", what, done.error().describe());
  } else if (!done.value().ok()) {
    trouble_ = fmt::format("{}: {}", what, done.value().describe());
  } else if (expected != nullptr && done.value().data != *expected) {
    trouble_ = fmt::format("{}: wrong data", what);
  }
  return trouble_.empty();
}

}  // namespace end_to_end
