#include "tests/end_to_end/harness/bystander.h"

#include <gtest/gtest.h>

namespace end_to_end {
namespace {

constexpr std::uint32_t nsid = 1;
constexpr std::uint32_t block_bytes = 4096;
constexpr std::uint32_t blocks = 4;
constexpr std::uint32_t area_blocks = 256;

}  // namespace

Bystander::Bystander(const client::Endpoint& endpoint, const HostOptions& options)
    : host_(endpoint, options) {
  if (!host_.connected()) return;
  const auto space = host_.controller->identify_namespace(nsid);
  EXPECT_GOOD(space);
  if (!space) return;
  first_lba_ = space.value().blocks - area_blocks;
  watcher_.start([this](std::uint64_t seed) {
    const std::uint64_t lba = first_lba_ + seed * blocks % area_blocks;
    const Bytes data = pattern(std::size_t{blocks} * block_bytes, seed);
    return timed("write", *host_.queue, client::io::write(nsid, lba, data, block_bytes), nullptr) &&
           timed("read", *host_.queue, client::io::read(nsid, lba, blocks, block_bytes), &data) &&
           timed("keep-alive", host_.controller->admin(), client::admin::keep_alive(), nullptr);
  });
}

bool Bystander::timed(const char* what, Queue& queue, client::Command command,
                      const Bytes* expected) {
  return watcher_.timed(what, [&]() -> std::string {
    const auto done = queue.execute(std::move(command));
    if (!done) return done.error().describe();
    if (!done.value().ok()) return done.value().describe();
    return expected != nullptr && done.value().data != *expected ? "wrong data" : "";
  });
}

}  // namespace end_to_end
