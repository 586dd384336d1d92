#include "tests/end_to_end/harness/initiator.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace end_to_end {
namespace {

constexpr std::uint32_t piece_blocks = 4;
constexpr std::uint32_t place_blocks = 256;
constexpr std::uint8_t unit_attention = 6;
constexpr int most_unit_attentions = 16;

}  // namespace

ConfigText with_iscsi(ConfigText config, const std::string& listener_options) {
  if (config.listeners.empty()) config.listeners.emplace_back();
  config.listeners.push_back({.name = "scsi", .options = listener_options, .protocol = "iscsi"});
  config.volumes.push_back(
      {.name = "prey", .pool = config.pools.front().name, .size = "16MiB", .block_size = 4096});
  config.targets.push_back({.luns = {{.lun = 0, .volume = "big"}, {.lun = 1, .volume = "small"}}});
  config.targets.push_back({.iqn = prey_target, .luns = {{.lun = 0, .volume = "prey"}}});
  return config;
}

client::Endpoint iscsi_endpoint(const ConfigText& config) {
  const auto found = std::ranges::find(config.listeners, "scsi", &ListenerText::name);
  return config.endpoint(static_cast<std::size_t>(found - config.listeners.begin()));
}

iscsi::LoginOptions to_target(const client::Endpoint& endpoint, const std::string& target) {
  return {.endpoint = endpoint, .target = target};
}

std::unique_ptr<iscsi::Session> open_session(const iscsi::LoginOptions& options) {
  auto session = iscsi::Session::open(options);
  EXPECT_GOOD(session);
  if (!session) return nullptr;
  if (!options.target.empty()) take_unit_attentions(*session.value());
  return std::move(session.value());
}

void take_unit_attentions(iscsi::Session& session, std::uint16_t lun) {
  for (int i = 0; i < most_unit_attentions; ++i) {
    const auto done = session.execute(on_lun(lun, scsi::test_unit_ready()));
    ASSERT_GOOD(done);
    if (done.value().ok()) return;
    ASSERT_EQ(done.value().sense_key(), unit_attention) << done.value().describe();
  }
  FAIL() << "unit attentions without an end";
}

scsi::Task on_lun(std::uint16_t lun, scsi::Task task) {
  task.lun = iscsi::lun_field(lun);
  return task;
}

iscsi::Outcome execute(iscsi::Session& session, scsi::Task task) {
  auto done = session.execute(std::move(task));
  EXPECT_GOOD(done);
  if (!done) return {};
  EXPECT_TRUE(done.value().ok()) << done.value().describe();
  return std::move(done.value());
}

void write(iscsi::Session& session, std::uint16_t lun, std::uint64_t lba, const Bytes& data,
           std::uint32_t bytes_of_block) {
  execute(session, on_lun(lun, scsi::write(lba, data, bytes_of_block)));
}

Bytes read(iscsi::Session& session, std::uint16_t lun, std::uint64_t lba, std::uint32_t count,
           std::uint32_t bytes_of_block) {
  return execute(session, on_lun(lun, scsi::read(lba, count, bytes_of_block))).data;
}

InitiatorBystander::InitiatorBystander(const client::Endpoint& endpoint) {
  iscsi::LoginOptions options = to_target(endpoint);
  options.initiator = "iqn.2026-11.com.example:bystander";
  session_ = open_session(options);
  if (session_ == nullptr) return;
  const Bytes capacity = execute(*session_, scsi::read_capacity_16()).data;
  EXPECT_EQ(capacity.size(), 32U);
  if (capacity.size() != 32) return;
  first_lba_ = client::get_big(capacity, 0, 8) + 1 - place_blocks;
  const auto told = [](const client::Result<iscsi::Outcome>& done, const Bytes* expected) {
    if (!done) return done.error().describe();
    if (!done.value().ok()) return done.value().describe();
    return std::string(expected != nullptr && done.value().data != *expected ? "wrong data" : "");
  };
  watcher_.start([this, told](std::uint64_t seed) {
    const std::uint64_t lba = first_lba_ + seed * piece_blocks % place_blocks;
    const Bytes data = pattern(std::size_t{piece_blocks} * iscsi_block, seed);
    return watcher_.timed("write", [&] {
      return told(session_->execute(scsi::write(lba, data, iscsi_block)), nullptr);
    }) && watcher_.timed("read", [&] {
      return told(session_->execute(scsi::read(lba, piece_blocks, iscsi_block)), &data);
    }) && watcher_.timed("ping", [&]() -> std::string {
      const Bytes sent(data.begin(), data.begin() + 512);
      const auto back = session_->ping(sent);
      if (!back) return back.error().describe();
      return back.value() == sent ? "" : "wrong echo";
    });
  });
}

}  // namespace end_to_end
