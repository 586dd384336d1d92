// An iSCSI target in virtual time with volumes in memory, and initiators at the other ends of
// simulated wires. What initiators send is encoded by tests/client, which shares nothing with
// protocol/.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "target/iscsi/target.h"
#include "target/net/connection_registry.h"
#include "tests/client/iscsi_login.h"
#include "tests/client/iscsi_pdu.h"
#include "tests/client/scsi_task.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_stream.h"
#include "tests/target/nvmf/held_volume.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target::iscsi {

using namespace std::chrono_literals;
namespace host = client::iscsi;
using client::Bytes;
using host::Opcode;
using host::Pdu;
using host::ReceivedPdu;

inline const std::string node_a = "iqn.2026-11.com.example:store.a";
inline const std::string node_b = "iqn.2026-11.com.example:store.b";
inline const std::string initiator_1 = "iqn.2026-11.com.example:host1";
inline const std::string initiator_2 = "iqn.2026-11.com.example:host2";
inline constexpr std::uint32_t block_bytes = 512;
inline constexpr std::uint32_t kib = 1024;

// What a login asks for; a test changes one field.
struct LoginFields {
  std::string initiator = initiator_1;
  std::string target = node_a;  // empty: discovery
  host::LoginRequest request = {};
  host::Keys keys = {};  // of the operational stage
};

// One initiator's end of one connection.
class Initiator {
 public:
  Initiator(IscsiTarget& target, ConnectionRegistry& registry, const ConnectionOptions& options) {
    target.serve(registry, std::make_unique<SimStream>(wire), options);
  }

  void send(const Pdu& pdu) { send(host::encode(pdu, framing)); }
  void send(const Bytes& bytes) {
    wire->to_target.insert(wire->to_target.end(), bytes.begin(), bytes.end());
  }
  // Takes what has arrived; all of it is well formed.
  void receive() {
    for (;;) {
      auto taken = host::take_pdu(wire->to_host, framing);
      ASSERT_TRUE(taken) << taken.error().text;
      if (!taken.value()) return;
      EXPECT_TRUE(taken.value()->data_digest_ok);
      EXPECT_TRUE(taken.value()->padding_is_zero);
      // Digests begin behind the last Login Response.
      const ReceivedPdu& pdu = *taken.value();
      if (pdu.is(Opcode::login_response) && (pdu.byte(1) & 0x83) == 0x83) framing = agreed;
      if (!pdu.is(Opcode::r2t) && !pdu.is(Opcode::data_in)) window_highest = pdu.u32(32);
      received.push_back(std::move(*taken.value()));
    }
  }
  // The first of this kind that has come; taken out.
  std::optional<ReceivedPdu> take(Opcode opcode) {
    const auto found = std::ranges::find_if(
        received, [&](const ReceivedPdu& pdu) { return pdu.opcode() == opcode; });
    if (found == received.end()) return std::nullopt;
    ReceivedPdu pdu = std::move(*found);
    received.erase(found);
    return pdu;
  }
  // One that must have come.
  ReceivedPdu must(Opcode opcode) {
    auto pdu = take(opcode);
    EXPECT_TRUE(pdu.has_value()) << "no PDU of type " << static_cast<unsigned>(opcode);
    return pdu.value_or(ReceivedPdu{});
  }

  // A request of this type with the next CmdSN.
  Pdu request(Opcode opcode, std::uint8_t flags = host::final_bit) {
    Pdu pdu(opcode, flags);
    return pdu.u32(16, next_tag++).u32(24, command_sn++);
  }
  Pdu immediate_request(Opcode opcode, std::uint8_t flags = host::final_bit) {
    Pdu pdu(opcode, flags);
    return pdu.immediate().u32(16, next_tag++).u32(24, command_sn);
  }
  // A SCSI command; what it sends is not in it.
  Pdu command(const host::Task& task) {
    const bool writes = !task.data_out.empty();
    const auto flags = static_cast<std::uint8_t>(host::final_bit | (writes ? 0x20 : 0) |
                                                 (task.read_bytes != 0 ? 0x40 : 0) | 1);
    Pdu pdu = request(Opcode::scsi_command, flags);
    const auto bytes = task.expected_bytes.value_or(
        writes ? static_cast<std::uint32_t>(task.data_out.size()) : task.read_bytes);
    pdu.u64(8, task.lun).u32(20, bytes);
    std::ranges::copy(task.cdb, pdu.header.begin() + 32);
    return pdu;
  }
  // Data-Out of a command.
  static Pdu data_out(std::uint32_t task_tag, std::uint32_t transfer_tag, std::uint32_t data_sn,
                      std::uint32_t offset, Bytes data, bool final) {
    Pdu pdu(Opcode::data_out, final ? host::final_bit : 0);
    pdu.u32(16, task_tag).u32(20, transfer_tag).u32(36, data_sn).u32(40, offset);
    pdu.data = std::move(data);
    return pdu;
  }

  [[nodiscard]] bool closed() const { return wire->target_closed || wire->target_finished; }

  std::shared_ptr<SimWire> wire = std::make_shared<SimWire>();
  host::Framing framing;
  host::Framing agreed;  // from the full feature phase on
  std::vector<ReceivedPdu> received;
  std::uint32_t command_sn = 1;
  std::uint32_t next_tag = 100;
  std::uint32_t window_highest = 0;  // MaxCmdSN
};

inline Bytes pattern(std::size_t bytes, unsigned seed = 1) {
  Bytes data(bytes);
  for (std::size_t i = 0; i < bytes; ++i) {
    data[i] = static_cast<std::byte>((i * 7 + i / 251 + seed) & 0xff);
  }
  return data;
}

// Node A: hosts 1 and 2 through san-a (group 1) and san-b (group 2), LUNs 0 and 1. Node B: any host
// through san-b only.
class SessionTest : public testing::Test {
 protected:
  SessionTest()
      : reactor_(
            {}, [this] { return lane(); }, clock_) {
    CHECK(reactor_.attach());
    registry_ = std::make_unique<ConnectionRegistry>(reactor_, budget_, all_counters_);
    options_.listener = "san-a";
    capture_log([this](LogLevel, std::string_view line) { log_.emplace_back(line); });
  }
  ~SessionTest() override {
    end_everything();
    registry_.reset();
    target_.reset();
    capture_log({});
    reactor_.detach();
    EXPECT_EQ(budget_.used(), engine::ByteCount{0});
  }

  static TargetOptions default_target(block::BlockVolume& first, block::BlockVolume& second) {
    TargetOptions all;
    all.listeners = {{.name = "san-a", .address = "192.0.2.10", .portal_group = 1},
                     {.name = "san-b", .address = {}, .portal_group = 2}};
    NodeOptions a;
    a.name = node_a;
    a.alias = "store A";
    a.initiators.names = {initiator_1, initiator_2};
    a.listeners = {"san-a", "san-b"};
    a.luns = {{.lun = 0, .volume = &first, .initiators = std::nullopt},
              {.lun = 1, .volume = &second, .initiators = std::nullopt}};
    NodeOptions b;
    b.name = node_b;
    b.initiators.allow_any = true;
    b.listeners = {"san-b"};
    all.nodes = {a, b};
    return all;
  }
  IscsiTarget& target() {
    if (!target_) target_ = std::make_unique<IscsiTarget>(setup_, clock_);
    return *target_;
  }

  Initiator& connect() {
    initiators_.push_back(std::make_unique<Initiator>(target(), *registry_, options_));
    return *initiators_.back();
  }
  // In one request, from the operational stage to full feature; the response.
  ReceivedPdu try_login(Initiator& at, const LoginFields& fields = {}) {
    host::Keys keys = {{"InitiatorName", fields.initiator}};
    if (fields.target.empty()) {
      keys.emplace_back("SessionType", "Discovery");
    } else {
      keys.emplace_back("TargetName", fields.target);
    }
    keys.insert(keys.end(), fields.keys.begin(), fields.keys.end());
    host::LoginRequest request = fields.request;
    request.command_sn = at.command_sn;
    at.send(host::to_pdu(request, host::to_text(keys)));
    run();
    return at.must(Opcode::login_response);
  }
  Initiator& login(const LoginFields& fields = {}, const host::Framing& digests = {}) {
    Initiator& at = connect();
    at.agreed = digests;
    LoginFields asked = fields;
    if (digests.header_digest) asked.keys.emplace_back("HeaderDigest", "CRC32C");
    if (digests.data_digest) asked.keys.emplace_back("DataDigest", "CRC32C");
    const ReceivedPdu response = try_login(at, asked);
    EXPECT_EQ(response.u16(36), 0) << "login status";
    EXPECT_EQ(response.byte(1) & 0x83, 0x83) << "full feature phase";
    return at;
  }
  // Takes the unit attentions of both units out of the way.
  Initiator& ready(const LoginFields& fields = {}, const host::Framing& digests = {}) {
    Initiator& at = login(fields, digests);
    for (std::uint16_t lun = 0; lun < 2; ++lun) {
      host::Task task = client::scsi::test_unit_ready();
      task.lun = host::lun_field(lun);
      at.send(at.command(task));
    }
    run();
    at.received.clear();
    return at;
  }
  // A command whose answer must have come at once.
  ReceivedPdu execute(Initiator& at, const host::Task& task) {
    Pdu pdu = at.command(task);
    pdu.data = task.data_out;
    at.send(pdu);
    run();
    return at.must(Opcode::scsi_response);
  }

  // Turns until nothing moves; time stands still.
  void run() {
    bool moved = true;
    for (int idle = 0; moved || idle < 2; idle = moved ? 0 : idle + 1) {
      moved = false;
      for (const auto& initiator : initiators_) {
        moved = notify(*initiator->wire) || moved;
        initiator->receive();
      }
      moved = reactor_.run_turn() || moved;
    }
  }
  void advance(engine::Duration by) {
    clock_.advance(by);
    run();
  }
  void end_everything() {
    first_.hold = second_.hold = false;
    while (!first_.held().empty()) first_.end(*first_.held().front());
    while (!second_.held().empty()) second_.end(*second_.held().front());
    for (const auto& initiator : initiators_) {
      initiator->wire->room = SimWire::unlimited;
      initiator->wire->host_closed = true;
    }
    run();
    for (int i = 0; i < 4 && registry_->size() != 0; ++i) advance(1min);
    EXPECT_EQ(registry_->size(), 0U);
  }
  [[nodiscard]] bool logged(std::string_view text) const {
    return std::ranges::any_of(
        log_, [&](const std::string& line) { return line.find(text) != std::string::npos; });
  }

  SimClock clock_;
  engine::MemoryBudget budget_{engine::ByteCount{64U << 20}};
  CountersByProtocol all_counters_;
  ConnectionCounters& counters_ = all_counters_.iscsi;
  Reactor reactor_;
  nvmf::HeldVolume first_{engine::BlockSize{block_bytes}, 8192};
  nvmf::HeldVolume second_{engine::BlockSize{block_bytes}, 1024};
  block::BlockVolume first_block_{first_};
  block::BlockVolume second_block_{second_};
  TargetOptions setup_ = default_target(first_block_, second_block_);
  ConnectionOptions options_;
  std::unique_ptr<ConnectionRegistry> registry_;
  std::unique_ptr<IscsiTarget> target_;
  std::vector<std::unique_ptr<Initiator>> initiators_;
  std::vector<std::string> log_;

 private:
  engine::Result<std::unique_ptr<engine::IoLane>, std::string> lane() {
    return std::unique_ptr<engine::IoLane>(std::make_unique<nvmf::MemoryLane>(budget_));
  }
};

}  // namespace target::iscsi
