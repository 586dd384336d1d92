// A target with two subsystems and hosts that talk to it without a wire, in virtual time.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/nvme/admin_command.h"
#include "protocol/nvme/fabrics_command.h"
#include "target/nvmf/target.h"
#include "tests/target/nvmf/fake_port.h"
#include "tests/target/nvmf/manual_clock.h"
#include "tests/target/nvmf/memory_lane.h"
#include "tests/target/nvmf/settable_volume.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
namespace status = protocol::nvme::status;

inline const std::string subsystem_a = "nqn.2026-11.com.example:store1.a";
inline const std::string subsystem_b = "nqn.2026-11.com.example:store1.b";
inline const std::string unique_discovery = make_discovery_nqn("store1");
inline const std::string host_1 =
    "nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427";
inline const std::string host_2 =
    "nqn.2014-08.org.nvmexpress:uuid:7d4441a0-9dc0-11d1-b245-5ffdce74fad2";
inline const std::string host_3 = "nqn.2026-11.com.example:host3";

inline engine::Uuid uuid_of(int last) {
  auto uuid = *engine::Uuid::parse("9d3f0000-0000-4000-8000-00000000e200");
  uuid.bytes[15] = static_cast<std::byte>(last);
  return uuid;
}

// The calling thread as a reactor in virtual time.
class SimReactor {
 public:
  explicit SimReactor(const engine::Clock& clock)
      : reactor_(
            {}, [this] { return lane(); }, clock) {
    CHECK(reactor_.attach());
  }
  ~SimReactor() { reactor_.detach(); }
  [[nodiscard]] Reactor& get() { return reactor_; }
  // A timer is no activity, but may have posted something: one turn more.
  void run_until_idle() {
    for (int idle = 0; idle < 2; ++idle) {
      while (reactor_.run_turn()) idle = 0;
    }
  }

 private:
  engine::Result<std::unique_ptr<engine::IoLane>, std::string> lane() {
    return std::unique_ptr<engine::IoLane>(std::make_unique<MemoryLane>(budget_));
  }
  engine::MemoryBudget budget_{engine::ByteCount{64U << 20}};
  Reactor reactor_;
};

// What a Connect says; a test changes one field.
struct ConnectFields {
  std::string host = host_1;
  std::string subsystem = subsystem_a;
  std::uint16_t qid = 0;
  std::uint16_t sqsize = 31;  // 0's based
  std::uint16_t cntlid = 0xffff;
  std::uint8_t host_id = 0x11;  // each byte; 0: the nil identifier
  std::uint16_t record_format = 0;
  std::uint8_t attributes = 0;
  std::uint32_t keep_alive_ms = 5000;
  std::uint32_t sgl_length = nvme::connect_data_bytes;
  bool in_capsule = true;
};

// One connection with its session. Answers stay in port.answers.
class Link {
 public:
  Link(NvmfTarget& target, Reactor& reactor, std::string listener = "san-a",
       std::string local = "192.0.2.10:4420")
      : port(reactor) {
    port.link_.listener = std::move(listener);
    port.link_.local_address = std::move(local);
    session = target.make_session(port);
    port.data_ready = [this](CommandPermit permit) { session->data_ready(std::move(permit)); };
  }
  ~Link() { close(); }

  // The connection ends, as a real one does at the end of its turn.
  void close(EndReason reason = EndReason::connection_lost) {
    if (closed_) return;
    closed_ = true;
    session->connection_ended(port.ended.value_or(reason));
  }
  // Ends the connection if its session has asked for it; true if it has ended.
  bool ended() {
    if (port.ended) close();
    return closed_;
  }

  // The answer, if it has come at once.
  const FakePort::Answer* run(nvme::SubmissionEntry entry,
                              std::span<const std::byte> in_capsule = {}) {
    entry.command_id = next_command_++;
    session->execute(CommandPermit(port.command(entry, in_capsule)));
    return port.answer_to(entry.command_id);
  }
  // An answer that must have come.
  FakePort::Answer must(nvme::SubmissionEntry entry, std::span<const std::byte> in_capsule = {}) {
    const auto* answer = run(entry, in_capsule);
    EXPECT_NE(answer, nullptr) << "not answered";
    return answer == nullptr ? FakePort::Answer{} : *answer;
  }
  [[nodiscard]] std::uint16_t last_command() const {
    return static_cast<std::uint16_t>(next_command_ - 1);
  }

  FakePort::Answer connect(const ConnectFields& fields);

  FakePort port;
  std::unique_ptr<CommandExecutor> session;

 private:
  std::uint16_t next_command_ = 1;
  bool closed_ = false;
};

// Submission entries as a host makes them.

inline nvme::SubmissionEntry entry_of(std::uint8_t opcode, std::uint32_t bytes = 0) {
  nvme::SubmissionEntry entry{};
  entry.opcode = opcode;
  entry.flags = nvme::psdt_sgl << 6;
  entry.data_pointer.identifier = nvme::sgl_transport;
  entry.data_pointer.length = bytes;
  return entry;
}
inline nvme::SubmissionEntry entry_of(nvme::AdminOpcode opcode, std::uint32_t bytes = 0) {
  return entry_of(static_cast<std::uint8_t>(opcode), bytes);
}
inline nvme::SubmissionEntry fabrics_entry(nvme::FabricsType type) {
  nvme::SubmissionEntry entry{};
  entry.opcode = nvme::fabrics_opcode;
  entry.nsid = static_cast<std::uint32_t>(type);
  return entry;
}
inline nvme::SubmissionEntry property_get(std::uint32_t offset, int size_bytes = 4) {
  auto entry = fabrics_entry(nvme::FabricsType::property_get);
  entry.cdw10 = size_bytes == 8 ? 1U : 0U;
  entry.cdw11 = offset;
  return entry;
}
inline nvme::SubmissionEntry property_set(std::uint32_t offset, std::uint32_t value) {
  auto entry = fabrics_entry(nvme::FabricsType::property_set);
  entry.cdw11 = offset;
  entry.cdw12 = value;
  return entry;
}
inline constexpr std::uint32_t cc_enable = 0x0046'0001;  // EN, IOSQES 6, IOCQES 4
inline constexpr std::uint32_t cc_disable = 0x0046'0000;
inline constexpr std::uint32_t cc_shutdown = 0x0046'4001;  // SHN 01b

inline nvme::SubmissionEntry abort_entry(std::uint16_t qid, std::uint16_t cid) {
  auto entry = entry_of(nvme::AdminOpcode::abort);
  entry.cdw10 = qid | (std::uint32_t{cid} << 16);
  return entry;
}
inline nvme::SubmissionEntry identify_entry(std::uint8_t cns, std::uint32_t nsid = 0,
                                            std::uint16_t cntid = 0, std::uint8_t csi = 0) {
  auto entry = entry_of(nvme::AdminOpcode::identify, nvme::identify_page_bytes);
  entry.nsid = nsid;
  entry.cdw10 = cns | (std::uint32_t{cntid} << 16);
  entry.cdw11 = std::uint32_t{csi} << 24;
  return entry;
}
inline nvme::SubmissionEntry log_entry(std::uint8_t lid, std::uint32_t bytes,
                                       std::uint64_t offset = 0, bool retain = false,
                                       std::uint32_t nsid = 0xffff'ffff) {
  auto entry = entry_of(nvme::AdminOpcode::get_log_page, bytes);
  entry.nsid = nsid;
  const std::uint32_t dwords = bytes / 4 - 1;
  entry.cdw10 = lid | (retain ? 0x8000U : 0U) | (dwords << 16);
  entry.cdw11 = dwords >> 16;
  entry.cdw12 = static_cast<std::uint32_t>(offset);
  entry.cdw13 = static_cast<std::uint32_t>(offset >> 32);
  return entry;
}
inline nvme::SubmissionEntry get_feature(nvme::FeatureId id, std::uint32_t dword11 = 0,
                                         unsigned select = 0, std::uint32_t bytes = 0) {
  auto entry = entry_of(nvme::AdminOpcode::get_features, bytes);
  entry.cdw10 = static_cast<std::uint32_t>(id) | (select << 8);
  entry.cdw11 = dword11;
  return entry;
}
inline nvme::SubmissionEntry set_feature(nvme::FeatureId id, std::uint32_t dword11,
                                         std::uint32_t bytes = 0) {
  auto entry = entry_of(nvme::AdminOpcode::set_features, bytes);
  entry.cdw10 = static_cast<std::uint32_t>(id);
  entry.cdw11 = dword11;
  return entry;
}

inline FakePort::Answer Link::connect(const ConnectFields& fields) {
  nvme::ConnectDataWire data{};
  std::fill(std::begin(data.host_id), std::end(data.host_id), fields.host_id);
  data.controller_id = fields.cntlid;
  std::copy_n(fields.subsystem.data(), std::min<std::size_t>(fields.subsystem.size(), 255),
              data.subsystem_nqn);
  std::copy_n(fields.host.data(), std::min<std::size_t>(fields.host.size(), 255), data.host_nqn);
  auto entry = fabrics_entry(nvme::FabricsType::connect);
  entry.cdw10 = fields.record_format | (std::uint32_t{fields.qid} << 16);
  entry.cdw11 = fields.sqsize | (std::uint32_t{fields.attributes} << 16);
  entry.cdw12 = fields.keep_alive_ms;
  entry.data_pointer.length = fields.sgl_length;
  const auto* first = reinterpret_cast<const std::byte*>(&data);
  if (fields.in_capsule) {
    entry.data_pointer.identifier = nvme::sgl_in_capsule;
    return must(entry, std::span(first, sizeof(data)));
  }
  entry.data_pointer.identifier = nvme::sgl_transport;
  port.host_data.assign(first, first + sizeof(data));
  return must(entry);
}

template <class T>
T page_of(const FakePort::Answer& answer) {
  T page{};
  EXPECT_EQ(answer.data.size(), sizeof(T));
  std::memcpy(&page, answer.data.data(), std::min(sizeof(T), answer.data.size()));
  return page;
}

// Formats nothing: remembers who has asked, until the test says how it ends.
class FakeFormatter final : public block::VolumeFormatter {
 public:
  struct Asked {
    block::BlockVolume* volume = nullptr;
    std::string host;
    engine::BlockSize blocks;
    Ended ended;
  };
  std::vector<Asked> asked;
  void format(block::BlockVolume& volume, const std::string& host, engine::BlockSize blocks,
              Ended ended) override {
    asked.push_back({&volume, host, blocks, std::move(ended)});
  }
};

// Subsystem A: san-a and san-b, hosts 1 and 2, namespaces 1 (512), 2 (4096), 7 (host 1 only).
// Subsystem B: san-b only, any host, namespace 1. Listener "disc" (wildcard) is for discovery only,
// "bare" has none.
class TargetHarness : public testing::Test {
 protected:
  static constexpr std::uint32_t most_reactors = 4;  // of which each counts for itself

  TargetHarness() : target(options(), clock) {
    capture_log([](LogLevel, std::string_view) {});
  }
  ~TargetHarness() override { capture_log({}); }

  TargetOptions options() {
    TargetOptions options;
    options.discovery_nqn = unique_discovery;
    options.formatter = &formatter;
    options.firmware_revision = "1.2.3";
    using Family = ListenerOptions::Family;
    using Discovery = ListenerOptions::Discovery;
    options.listeners = {
        {.name = "san-a", .family = Family::ipv4, .address = "192.0.2.10", .port = 4420},
        {.name = "san-b", .family = Family::ipv6, .address = "2001:db8::5", .port = 4421},
        {.name = "disc",
         .family = Family::any,
         .address = "",
         .port = 8009,
         .discovery = Discovery::only},
        {.name = "bare",
         .family = Family::any,
         .address = "",
         .port = 4422,
         .discovery = Discovery::none},
    };
    SubsystemOptions a;
    a.nqn = subsystem_a;
    a.hosts.nqns = {host_1, host_2};
    a.listeners = {"san-a", "san-b"};
    a.max_io_queues = 4;
    a.max_queue_entries = 64;
    a.namespaces = {
        {.nsid = 1, .volume = &block_small, .hosts = std::nullopt},
        {.nsid = 2, .volume = &block_large, .hosts = std::nullopt},
        {.nsid = 7, .volume = &block_masked, .hosts = std::vector<std::string>{host_1}}};
    SubsystemOptions b;
    b.nqn = subsystem_b;
    b.serial = "SERIAL-B";
    b.model = "Forebay test";
    b.hosts.allow_any = true;
    b.listeners = {"san-b"};
    b.cntlid_min = 100;
    b.cntlid_max = 102;
    b.namespaces = {{.nsid = 1, .volume = &block_other, .hosts = std::nullopt}};
    options.subsystems = {a, b};
    return options;
  }

  std::unique_ptr<Link> link(std::string listener = "san-a",
                             std::string local = "192.0.2.10:4420") {
    return std::make_unique<Link>(target, reactor.get(), std::move(listener), std::move(local));
  }
  // An Admin queue, enabled.
  std::unique_ptr<Link> admin(ConnectFields fields = {}) {
    const bool b = fields.subsystem == subsystem_b;
    auto made = b ? link("san-b", "[2001:db8::5]:4421") : link();
    const auto answer = made->connect(fields);
    EXPECT_EQ(answer.status, status::success);
    cntlid = static_cast<std::uint16_t>(answer.result);
    EXPECT_EQ(made->must(property_set(nvme::property::cc, cc_enable)).status, status::success);
    return made;
  }
  std::unique_ptr<Link> discovery(std::uint32_t keep_alive_ms = 30'000,
                                  const std::string& host = host_1,
                                  std::string local = "198.51.100.7:8009") {
    auto made = link("disc", std::move(local));
    const auto answer = made->connect({.host = host,
                                       .subsystem = std::string(nvme::discovery_nqn),
                                       .keep_alive_ms = keep_alive_ms});
    EXPECT_EQ(answer.status, status::success);
    EXPECT_EQ(made->must(property_set(nvme::property::cc, cc_enable)).status, status::success);
    return made;
  }
  // An I/O queue of the controller that admin() has made last.
  std::unique_ptr<Link> io(std::uint16_t qid, ConnectFields fields = {}) {
    auto made = link();
    fields.qid = qid;
    fields.cntlid = cntlid;
    EXPECT_EQ(made->connect(fields).status, status::success);
    return made;
  }
  void pass(engine::Duration time) {
    clock.advance(time);
    reactor.run_until_idle();
  }

  ManualClock clock;
  SimReactor reactor{clock};
  SettableVolume small{"small", uuid_of(1), 512, 2048};
  SettableVolume large{"large", uuid_of(2), 4096, 1024};
  SettableVolume masked{"masked", uuid_of(7), 4096, 512};
  SettableVolume other{"other", uuid_of(9), 4096, 256};
  block::BlockVolume block_small{small, most_reactors};
  block::BlockVolume block_large{large, most_reactors};
  block::BlockVolume block_masked{masked, most_reactors};
  block::BlockVolume block_other{other, most_reactors};
  FakeFormatter formatter;
  NvmfTarget target;
  std::uint16_t cntlid = 0;
};

}  // namespace target::nvmf
