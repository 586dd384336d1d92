#include "tests/end_to_end/harness/host.h"

#include <gtest/gtest.h>

#include "engine/foundation/random.h"

namespace end_to_end {

namespace io = client::io;

std::unique_ptr<Controller> attach(const client::Endpoint& endpoint, const HostOptions& options) {
  auto made = Controller::attach({.endpoint = endpoint,
                                  .transport = options.transport,
                                  .subsystem_nqn = options.subsystem,
                                  .host_nqn = options.host_nqn,
                                  .keep_alive_ms = options.keep_alive_ms,
                                  .dhchap = options.dhchap});
  EXPECT_GOOD(made);
  return made ? std::move(made.value()) : nullptr;
}

std::unique_ptr<Queue> open_queue(Controller& controller, std::uint16_t id, std::uint16_t entries,
                                  bool flow_control) {
  auto queue = controller.open_io_queue(id, entries, flow_control);
  EXPECT_GOOD(queue);
  return queue ? std::move(queue.value()) : nullptr;
}

Host::Host(const client::Endpoint& endpoint, const HostOptions& options)
    : controller(attach(endpoint, options)),
      queue(controller != nullptr ? open_queue(*controller) : nullptr) {}

Bytes pattern(std::size_t bytes, std::uint64_t seed) {
  Bytes data(bytes);
  engine::SeededRandom random(seed);
  random.fill(data);
  return data;
}

void write(Queue& queue, std::uint32_t nsid, std::uint64_t lba, const Bytes& data,
           std::uint32_t block_bytes) {
  const auto done = queue.execute(io::write(nsid, lba, data, block_bytes));
  ASSERT_GOOD(done);
  ASSERT_TRUE(done.value().ok()) << done.value().describe();
}

Bytes read(Queue& queue, std::uint32_t nsid, std::uint64_t lba, std::uint32_t blocks,
           std::uint32_t block_bytes) {
  auto done = queue.execute(io::read(nsid, lba, blocks, block_bytes));
  EXPECT_GOOD(done);
  if (!done) return {};
  EXPECT_TRUE(done.value().ok()) << done.value().describe();
  return std::move(done.value().data);
}

void write_and_read_back(Queue& queue, std::uint32_t nsid, std::uint64_t lba, std::uint32_t blocks,
                         std::uint32_t block_bytes, std::uint64_t seed) {
  const Bytes data = pattern(std::size_t{blocks} * block_bytes, seed);
  ASSERT_NO_FATAL_FAILURE(write(queue, nsid, lba, data, block_bytes));
  EXPECT_TRUE(read(queue, nsid, lba, blocks, block_bytes) == data)
      << blocks << " blocks of " << block_bytes << " at " << lba << " are not what was written";
}

std::uint16_t status_of(Queue& queue, client::Command command) {
  const auto done = queue.execute(std::move(command));
  EXPECT_GOOD(done);
  return done ? done.value().kind() : std::uint16_t{0xffff};
}

int ana_state(Controller& controller, std::uint32_t nsid) {
  const auto log = controller.read_log({.lid = 0x0c, .bytes = 4096, .nsid = 0});
  EXPECT_GOOD(log);
  if (!log) return 0;
  const auto groups = client::get<std::uint16_t>(log.value(), 8);
  std::size_t at = 16;
  for (std::uint16_t group = 0; group < groups && at + 32 <= log.value().size(); ++group) {
    const auto count = client::get<std::uint32_t>(log.value(), at + 4);
    const auto state = client::get<std::uint8_t>(log.value(), at + 16) & 0x0f;
    for (std::uint32_t i = 0; i < count && at + 36 + 4 * i <= log.value().size(); ++i) {
      if (client::get<std::uint32_t>(log.value(), at + 32 + 4 * i) == nsid) return state;
    }
    at += 32 + 4 * std::size_t{count};
  }
  return 0;
}

client::Result<std::uint16_t> request_event(Controller& controller, std::uint32_t notices) {
  constexpr std::uint8_t event_configuration = 0x0b;
  EXPECT_EQ(status_of(controller.admin(), client::admin::set_feature(event_configuration, notices)),
            0);
  return controller.admin().submit(client::admin::async_event_request());
}

}  // namespace end_to_end
