// A well-behaved host: attaches, opens queues, and knows what it has written. Every call fails the
// test when the target does not do what it should.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/client/controller.h"
#include "tests/end_to_end/harness/config_text.h"

namespace end_to_end {

using client::Bytes;
using client::Controller;
using client::Queue;

struct HostOptions {
  client::TransportOptions transport = {};
  std::string subsystem = default_subsystem;
  std::string host_nqn = {};
  std::uint32_t keep_alive_ms = 0;
  std::shared_ptr<const client::DhchapOptions> dhchap = {};
};

// nullptr and a test failure when it is refused.
[[nodiscard]] std::unique_ptr<Controller> attach(const client::Endpoint& endpoint,
                                                 const HostOptions& options = {});
[[nodiscard]] std::unique_ptr<Queue> open_queue(Controller& controller, std::uint16_t id = 1,
                                                std::uint16_t entries = 128,
                                                bool flow_control = false);

// An association with one I/O queue.
struct Host {
  Host(const client::Endpoint& endpoint, const HostOptions& options = {});
  [[nodiscard]] bool connected() const { return queue != nullptr; }
  std::unique_ptr<Controller> controller;
  std::unique_ptr<Queue> queue;
};

// The same bytes for the same seed.
[[nodiscard]] Bytes pattern(std::size_t bytes, std::uint64_t seed);

// Each ends with success, or the test has failed.
void write(Queue& queue, std::uint32_t nsid, std::uint64_t lba, const Bytes& data,
           std::uint32_t block_bytes);
[[nodiscard]] Bytes read(Queue& queue, std::uint32_t nsid, std::uint64_t lba, std::uint32_t blocks,
                         std::uint32_t block_bytes);
// Writes pattern(seed) and reads it back.
void write_and_read_back(Queue& queue, std::uint32_t nsid, std::uint64_t lba, std::uint32_t blocks,
                         std::uint32_t block_bytes, std::uint64_t seed);

// The status of a command, or FFFFh and a test failure when there was no completion at all.
[[nodiscard]] std::uint16_t status_of(Queue& queue, client::Command command);

// ANA state of the group of `nsid`; 0 when no group has it. Base 2.0, Asymmetric Namespace Access
// log page.
[[nodiscard]] int ana_state(Controller& controller, std::uint32_t nsid);

// What Asynchronous Event Configuration (feature 0Bh) turns on.
constexpr std::uint32_t attribute_notices = 1U << 8;
constexpr std::uint32_t ana_change_notices = 1U << 11;
// Turns them on, and asks for the first event: to await() on the admin queue.
[[nodiscard]] client::Result<std::uint16_t> request_event(Controller& controller,
                                                          std::uint32_t notices);

template <class T>
testing::AssertionResult is_good(const char* expression, const client::Result<T>& result) {
  if (result) return testing::AssertionSuccess();
  return testing::AssertionFailure() << expression << " failed: " << result.error().describe();
}

}  // namespace end_to_end

// Fails and leaves the function (or goes on) when a client::Result is an error.
#define ASSERT_GOOD(result) ASSERT_PRED_FORMAT1(::end_to_end::is_good, result)
#define EXPECT_GOOD(result) EXPECT_PRED_FORMAT1(::end_to_end::is_good, result)
