// A Connection between a simulated host and a scripted executor, in simulated time.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "target/nvmf/connection.h"
#include "tests/protocol/nvme_tcp/host_pdus.h"
#include "tests/target/net/sim_reactor.h"

namespace target::nvmf {

using protocol::nvme_tcp::Bytes;
using protocol::nvme_tcp::NegotiatedLink;
namespace host = protocol::nvme_tcp;  // the PDU builders of host_pdus.h
namespace status = protocol::nvme::status;
using namespace std::chrono_literals;

inline std::uint64_t get(std::span<const std::byte> bytes, std::size_t offset, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- != 0;) {
    value = value << 8 | static_cast<std::uint64_t>(bytes[offset + i]);
  }
  return value;
}

// A PDU as the host receives it; offsets are the specification's.
struct ReceivedPdu {
  Bytes bytes;
  [[nodiscard]] unsigned type() const { return static_cast<unsigned>(get(bytes, 0, 1)); }
  [[nodiscard]] unsigned flags() const { return static_cast<unsigned>(get(bytes, 1, 1)); }
  [[nodiscard]] std::size_t hlen() const { return get(bytes, 2, 1); }
  [[nodiscard]] std::size_t pdo() const { return get(bytes, 3, 1); }
  // CapsuleResp
  [[nodiscard]] unsigned command_id() const { return static_cast<unsigned>(get(bytes, 20, 2)); }
  [[nodiscard]] protocol::nvme::Status status() const {
    return protocol::nvme::Status::from_field(static_cast<std::uint16_t>(get(bytes, 22, 2)));
  }
  [[nodiscard]] unsigned sq_head() const { return static_cast<unsigned>(get(bytes, 16, 2)); }
  // C2HData, R2T
  [[nodiscard]] std::uint16_t cccid() const { return static_cast<std::uint16_t>(get(bytes, 8, 2)); }
  [[nodiscard]] std::uint16_t ttag() const { return static_cast<std::uint16_t>(get(bytes, 10, 2)); }
  [[nodiscard]] std::uint32_t offset() const {
    return static_cast<std::uint32_t>(get(bytes, 12, 4));
  }
  [[nodiscard]] std::uint32_t length() const {
    return static_cast<std::uint32_t>(get(bytes, 16, 4));
  }
  [[nodiscard]] std::span<const std::byte> data() const {
    return std::span(bytes).subspan(pdo(), length());
  }
  // C2HTermReq
  [[nodiscard]] unsigned fes() const { return static_cast<unsigned>(get(bytes, 8, 2)); }
  [[nodiscard]] std::uint32_t fei() const { return static_cast<std::uint32_t>(get(bytes, 10, 4)); }
};

inline constexpr unsigned ic_resp_type = 1, term_req_type = 3, response_type = 5, data_type = 7,
                          r2t_type = 9;

inline Bytes pattern(std::size_t bytes, unsigned seed = 1) {
  Bytes data(bytes);
  for (std::size_t i = 0; i < bytes; ++i) {
    data[i] = static_cast<std::byte>((i * 7 + (i >> 8) * 13 + seed * 31) & 0xff);
  }
  return data;
}

// What a command asks for, as bytes of a submission queue entry.
struct Sqe {
  std::uint16_t command_id = 1;
  std::uint32_t nsid = 1;
  std::uint8_t opcode = 0x02;
  std::uint8_t sgl = 0x5a;
  std::uint32_t sgl_length = 4096;
  std::uint64_t sgl_address = 0;
};

inline Bytes capsule(const NegotiatedLink& link, const Sqe& sqe,
                     std::span<const std::byte> data = {}) {
  Bytes header(72);
  host::put(header, 0, 0x04, 1);
  host::put(header, 2, 72, 1);
  host::put(header, 8, sqe.opcode, 1);
  host::put(header, 9, 0x40, 1);
  host::put(header, 10, sqe.command_id, 2);
  host::put(header, 12, sqe.nsid, 4);
  host::put(header, 32, sqe.sgl_address, 8);
  host::put(header, 40, sqe.sgl_length, 4);
  host::put(header, 47, sqe.sgl, 1);
  return host::with_data(header, link, data);
}

// A Write whose data the target asks for.
inline Sqe write_of(std::uint16_t command_id, std::uint32_t bytes, std::uint32_t nsid = 1) {
  return {.command_id = command_id, .nsid = nsid, .opcode = 0x01, .sgl_length = bytes};
}

// A Write whose data is in its capsule.
inline Bytes write_capsule(const NegotiatedLink& link, std::uint16_t command_id,
                           std::span<const std::byte> data, std::uint32_t nsid = 1) {
  return capsule(link,
                 {.command_id = command_id,
                  .nsid = nsid,
                  .opcode = 0x01,
                  .sgl = 0x01,
                  .sgl_length = static_cast<std::uint32_t>(data.size())},
                 data);
}

// Does what the test says with each command; by default it parks it.
class ScriptedExecutor final : public CommandExecutor {
 public:
  // What happened, kept beyond the executor's life.
  struct Record {
    std::vector<Command*> parked;
    std::vector<std::uint16_t> executed;
    std::vector<std::uint16_t> ready;
    std::vector<EndReason> ended;
    std::vector<std::uint16_t> not_executed;
    std::vector<std::uint16_t> partners_lost;
    bool destroyed = false;
    // By namespace; commands to others are for no volume.
    std::map<std::uint32_t, block::BlockVolume*> volumes;
    std::function<void(CommandPermit)> on_execute;
    std::function<void(CommandPermit)> on_data;
  };

  ScriptedExecutor(std::shared_ptr<Record> record, Reactor& reactor)
      : record_(std::move(record)), reactor_(reactor) {}
  ~ScriptedExecutor() override { record_->destroyed = true; }

  [[nodiscard]] block::BlockVolume* volume_of(const Command& command) override {
    const auto found = record_->volumes.find(command.entry.nsid);
    return found == record_->volumes.end() ? nullptr : found->second;
  }
  [[nodiscard]] protocol::nvme::Status try_later(const Command&) override {
    return status::command_interrupted.with_retry_delay(1);
  }
  void execute(CommandPermit permit) override {
    EXPECT_TRUE(record_->ended.empty());
    if (block::BlockVolume* const volume = volume_of(permit.command())) {
      block::begin_command(permit.command().request, *volume, reactor_);
    }
    record_->executed.push_back(permit.command().entry.command_id);
    act(record_->on_execute, std::move(permit));
  }
  void data_ready(CommandPermit permit) override {
    EXPECT_TRUE(record_->ended.empty());
    record_->ready.push_back(permit.command().entry.command_id);
    act(record_->on_data, std::move(permit));
  }
  void not_executed(const protocol::nvme::SubmissionEntry& entry) override {
    record_->not_executed.push_back(entry.command_id);
  }
  void partner_lost(Command& command) override {
    record_->partners_lost.push_back(command.entry.command_id);
    command.partner->partner = nullptr;
    command.partner = nullptr;
  }
  void connection_ended(EndReason reason) override { record_->ended.push_back(reason); }

 private:
  void act(const std::function<void(CommandPermit)>& what, CommandPermit permit) {
    if (what) return what(std::move(permit));
    record_->parked.push_back(&permit.park());
  }
  std::shared_ptr<Record> record_;
  Reactor& reactor_;
};

// One host and its connection.
class SimHost {
 public:
  explicit SimHost(SimReactor& sim, ConnectionOptions options = {})
      : wire(std::make_shared<SimWire>()),
        record(std::make_shared<ScriptedExecutor::Record>()),
        sim_(sim) {
    Connection::open(*sim_.registry, std::make_unique<SimStream>(wire), options,
                     [this](CommandPort& opened) {
                       port = &opened;
                       return std::make_unique<ScriptedExecutor>(record, sim_.reactor);
                     });
  }
  ~SimHost() {
    // Nobody is left who could answer: the connection would wait for it for ever.
    if (!record->destroyed) {
      for (Command* command : std::exchange(record->parked, {})) {
        CommandPermit::resume(*command).respond(status::internal_error);
      }
    }
  }

  [[nodiscard]] Connection& connection() { return static_cast<Connection&>(*port); }

  void send(std::span<const std::byte> bytes) {
    wire->to_target.insert(wire->to_target.end(), bytes.begin(), bytes.end());
  }
  // Turns until nothing moves any more; time stands still.
  void run() { sim_.run(*wire); }
  void send_and_run(std::span<const std::byte> bytes) {
    send(bytes);
    run();
  }

  // Takes everything that has arrived, cut into PDUs. Incomplete ones stay.
  std::vector<ReceivedPdu> receive() {
    std::vector<ReceivedPdu> pdus;
    Bytes& bytes = wire->to_host;
    std::size_t at = 0;
    while (bytes.size() - at >= 8) {
      const std::size_t plen = get(std::span(bytes).subspan(at), 4, 4);
      if (plen < 8 || bytes.size() - at < plen) break;
      const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
      pdus.push_back({Bytes(begin, begin + static_cast<std::ptrdiff_t>(plen))});
      at += plen;
    }
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
    return pdus;
  }
  ReceivedPdu receive_one() {
    auto pdus = receive();
    EXPECT_EQ(pdus.size(), 1U);
    return pdus.empty() ? ReceivedPdu{Bytes(128)} : pdus.front();
  }

  // ICReq and ICResp.
  void initialize(NegotiatedLink wanted = {}, std::uint32_t maxr2t = 0) {
    const unsigned dgst = (wanted.hdgst ? 1U : 0U) | (wanted.ddgst ? 2U : 0U);
    send_and_run(host::ic_req(0, wanted.hpda, static_cast<std::uint8_t>(dgst), maxr2t));
    const ReceivedPdu answer = receive_one();
    EXPECT_EQ(answer.type(), ic_resp_type);
    EXPECT_EQ(get(answer.bytes, 11, 1), dgst);
    wanted.maxh2cdata = static_cast<std::uint32_t>(get(answer.bytes, 12, 4));
    link = wanted;
  }
  // A Connect that the executor accepts.
  void connect(QueueBinding binding = {.qid = 1, .entries = 32}) {
    auto before = std::exchange(record->on_execute, [this, binding](CommandPermit permit) {
      port->bind(binding);
      permit.respond(status::success);
    });
    send_and_run(capsule(link, {.command_id = 0xc0, .opcode = 0x7f}));
    record->on_execute = std::move(before);
    const ReceivedPdu answer = receive_one();
    EXPECT_EQ(answer.type(), response_type);
    connect_sq_head = answer.sq_head();
    record->executed.clear();
  }

  [[nodiscard]] Command& parked(std::size_t index = 0) { return *record->parked.at(index); }
  CommandPermit resume(std::size_t index = 0) {
    Command* command = record->parked.at(index);
    record->parked.erase(record->parked.begin() + static_cast<std::ptrdiff_t>(index));
    return CommandPermit::resume(*command);
  }
  [[nodiscard]] bool closed() const { return wire->target_closed; }

  // Reads are answered with pattern(length, command id), writes with success once their data is
  // there.
  void serve_like_memory() {
    record->on_execute = [this](CommandPermit permit) {
      Command& command = permit.command();
      const std::uint32_t length = command.entry.data_pointer.length;
      if (command.entry.opcode == 0x02) return permit.lease_for_host(length);
      if (command.entry.opcode == 0x01) return permit.receive_from_host(length);
      permit.respond(status::success);
    };
    record->on_data = [this](CommandPermit permit) {
      Command& command = permit.command();
      const std::uint32_t length = command.entry.data_pointer.length;
      if (command.entry.opcode == 0x02) {
        const Bytes data = pattern(length, command.entry.command_id);
        std::memcpy(command.buffer.bytes().data(), data.data(), data.size());
        return permit.respond_with_data(length);
      }
      const auto bytes = command.buffer.bytes().first(command.data_bytes);
      written.emplace_back(bytes.begin(), bytes.end());
      permit.respond(status::success);
    };
  }

  std::shared_ptr<SimWire> wire;
  std::shared_ptr<ScriptedExecutor::Record> record;
  CommandPort* port = nullptr;
  NegotiatedLink link;
  unsigned connect_sq_head = 0;
  std::vector<Bytes> written;

 private:
  SimReactor& sim_;
};

// Answers an R2T with H2CData of at most `piece` bytes.
inline void answer_r2t(SimHost& peer, const ReceivedPdu& r2t, const Bytes& data,
                       std::size_t piece) {
  const std::size_t end = r2t.offset() + r2t.length();
  for (std::size_t at = r2t.offset(); at < end; at += piece) {
    const std::size_t length = std::min(piece, end - at);
    peer.send(host::h2c_data(peer.link,
                             {.cccid = r2t.cccid(),
                              .ttag = r2t.ttag(),
                              .offset = static_cast<std::uint32_t>(at),
                              .last = at + length == end},
                             std::span(data).subspan(at, length)));
  }
}

class ConnectionTest : public testing::Test {
 protected:
  SimReactor sim;
};

}  // namespace target::nvmf
