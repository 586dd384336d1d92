// A host that has connected and then sends anything: Connection and Session over simulated streams
// and a volume in memory. Whatever comes, the target answers in well-formed PDUs, and when
// everybody has gone it holds no connection and no buffer.
//
// Input: one byte of setup, then records of {kind and connection, length (two bytes), bytes}. Data
// is made here, so that inputs stay short and a mutation hits what matters.
// make_nvmf_connection_corpus.py writes the committed ones.
#pragma clang diagnostic ignored "-Wstring-conversion"  // CHECK(!"why") in the lane

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/foundation/random.h"
#include "protocol/nvme/fabrics_command.h"
#include "tests/fuzz/fuzz_peer.h"
#include "tests/fuzz/planted_volume.h"
#include "tests/sim/sim_clock.h"
#include "tests/target/nvmf/memory_lane.h"

namespace fuzz {
namespace {

namespace nvme = protocol::nvme;
using target::EndReason;
using namespace std::chrono_literals;

constexpr std::string_view subsystem = "nqn.2026-11.com.example:fuzz";
constexpr std::string_view host_nqn = "nqn.2026-11.com.example:host";
constexpr std::uint64_t blocks = 64;

// Bits of the first byte.
constexpr unsigned header_digest = 1, data_digest = 2, no_connect = 4, slow_host = 8;

enum class Kind : unsigned {
  raw,      // these bytes
  command,  // a submission entry, what is behind it in the capsule
  filled,   // a submission entry, as many bytes in the capsule as its data pointer says
  data,     // for the last R2T: as many bytes as `length` says; none follow
  time,     // passes: as many milliseconds as `length` says; none follow
  close,    // the host is gone
};
constexpr std::size_t record_bytes = 3;
constexpr unsigned kinds = 8, second_connection = 8;

class Scene {
 public:
  explicit Scene(unsigned setup)
      : reactor_(
            {}, [this] { return lane(); }, clock_),
        target_(options(), clock_) {
    CHECK(reactor_.attach());
    registry_ = std::make_unique<target::ConnectionRegistry>(reactor_, budget_, counters_);
    const NegotiatedLink link{.hdgst = (setup & header_digest) != 0,
                              .ddgst = (setup & data_digest) != 0};
    for (auto& peer : peers_) peer = std::make_unique<Peer>(*registry_, target_, link);
    run();
    if ((setup & no_connect) == 0) connect();
    if ((setup & slow_host) != 0) {
      for (const auto& peer : peers_) peer->wire->room = 100;
    }
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
  ~Scene() {
    for (const auto& peer : peers_) peer->wire->room = target::SimWire::unlimited;
    run();
    registry_->end(EndReason::stopping);
    for (int i = 0; i < 4; ++i) {
      run();
      clock_.advance(1min);
    }
    run();
    CHECK(registry_->size() == 0);
    registry_.reset();
    reactor_.detach();
    CHECK(budget_.used() == engine::ByteCount{0});
  }

  void play(std::span<const std::byte> input) {
    while (input.size() >= record_bytes) {
      const auto kind = static_cast<unsigned>(input[0]);
      const std::size_t length =
          static_cast<std::size_t>(input[1]) | static_cast<std::size_t>(input[2]) << 8;
      input = input.subspan(record_bytes);
      const auto what = static_cast<Kind>(kind % kinds);
      Peer& peer = *peers_[(kind & second_connection) != 0 ? 1 : 0];
      const bool follows = what != Kind::data && what != Kind::time;
      const std::size_t there = follows ? std::min(length, input.size()) : 0;
      act(what, peer, length, input.first(there));
      input = input.subspan(there);
      run();
    }
  }

 private:
  static constexpr std::size_t most_in_capsule = 8192;

  void act(Kind what, Peer& peer, std::size_t length, std::span<const std::byte> bytes) {
    constexpr std::size_t entry_bytes = sizeof(nvme::SubmissionEntry);
    switch (what) {
      case Kind::command:
      case Kind::filled: {
        if (bytes.size() < entry_bytes) return;
        if (what == Kind::command) {
          return peer.send_command(bytes.first(entry_bytes), bytes.subspan(entry_bytes));
        }
        nvme::SubmissionEntry entry;
        std::memcpy(&entry, bytes.data(), entry_bytes);
        const std::uint32_t wanted = entry.data_pointer.length;
        return peer.send_command(
            bytes.first(entry_bytes),
            std::span(filling_).first(std::min<std::size_t>(wanted, most_in_capsule)));
      }
      case Kind::data:
        return peer.send_data(std::span(filling_).first(std::min(length, filling_.size())));
      case Kind::time:
        return clock_.advance(std::chrono::milliseconds(length));
      case Kind::close:
        peer.wire->host_closed = true;
        return;
      case Kind::raw:
        break;
    }
    peer.send(bytes);
  }

  engine::Result<std::unique_ptr<engine::IoLane>, std::string> lane() {
    return std::unique_ptr<engine::IoLane>(std::make_unique<target::nvmf::MemoryLane>(budget_));
  }

  target::nvmf::TargetOptions options() {
    target::nvmf::SubsystemOptions one;
    one.nqn = subsystem;
    one.hosts.allow_any = true;
    one.listeners = {"io"};
    one.max_io_queues = 2;
    one.max_queue_entries = 32;
    one.namespaces = {{.nsid = 1, .volume = &block_, .hosts = std::nullopt}};
    target::nvmf::TargetOptions all;
    all.discovery_nqn = target::nvmf::make_discovery_nqn("fuzz");
    all.listeners = {{.name = "io", .address = "192.0.2.10"}};
    all.subsystems = {one};
    return all;
  }

  // Turns until nothing moves; time stands still.
  void run() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (const auto& peer : peers_) {
        if (!peer) continue;
        moved = notify(*peer->wire) || moved;
        peer->receive();
      }
      moved = reactor_.run_turn() || moved;
    }
  }

  // Queue 0 on the first connection, queue 1 of its controller on the second.
  void connect() {
    for (std::uint16_t qid = 0; qid < 2; ++qid) {
      nvme::ConnectDataWire data{};
      std::fill(std::begin(data.host_id), std::end(data.host_id), std::uint8_t{0x11});
      data.controller_id =
          qid == 0 ? std::uint16_t{0xffff} : static_cast<std::uint16_t>(peers_[0]->result);
      std::copy(subsystem.begin(), subsystem.end(), data.subsystem_nqn);
      std::copy(host_nqn.begin(), host_nqn.end(), data.host_nqn);
      nvme::SubmissionEntry entry = fabrics(nvme::FabricsType::connect);
      entry.cdw10 = std::uint32_t{qid} << 16;
      entry.cdw11 = 31;
      entry.cdw12 = 5000;
      entry.data_pointer.length = sizeof(data);
      entry.data_pointer.identifier = nvme::sgl_in_capsule;
      peers_[qid]->send_command(std::as_bytes(std::span(&entry, 1)),
                                std::as_bytes(std::span(&data, 1)));
      run();
      if (qid == 0) enable();
    }
  }
  void enable() {
    const std::uint32_t cntlid = peers_[0]->result;
    nvme::SubmissionEntry entry = fabrics(nvme::FabricsType::property_set);
    entry.cdw11 = 0x14;      // CC
    entry.cdw12 = 0x460001;  // IOCQES, IOSQES, EN
    peers_[0]->send_command(std::as_bytes(std::span(&entry, 1)), {});
    run();
    peers_[0]->result = cntlid;
  }
  static nvme::SubmissionEntry fabrics(nvme::FabricsType type) {
    nvme::SubmissionEntry entry{};
    entry.opcode = nvme::fabrics_opcode;
    entry.flags = nvme::psdt_sgl << 6;
    entry.command_id = 0xffff;
    entry.nsid = static_cast<std::uint32_t>(type);
    return entry;
  }

  const Bytes filling_ = Bytes(16384, std::byte{0x5a});
  target::SimClock clock_;
  engine::MemoryBudget budget_{engine::ByteCount{16U << 20}};
  target::CountersByProtocol counters_;
  target::Reactor reactor_;
  FuzzedVolume volume_{engine::BlockSize{4096}, blocks};
  target::block::BlockVolume block_{volume_};
  target::nvmf::NvmfTarget target_;
  std::unique_ptr<target::ConnectionRegistry> registry_;
  std::unique_ptr<Peer> peers_[2];
};

// Where the submission entries of an input begin.
std::vector<std::size_t> entries_of(std::span<const std::byte> input) {
  std::vector<std::size_t> found;
  std::size_t at = 1;
  while (at + record_bytes <= input.size()) {
    const auto what = static_cast<Kind>(static_cast<unsigned>(input[at]) % kinds);
    const std::size_t length =
        static_cast<std::size_t>(input[at + 1]) | static_cast<std::size_t>(input[at + 2]) << 8;
    at += record_bytes;
    if (what == Kind::data || what == Kind::time) continue;
    const bool whole = length >= sizeof(nvme::SubmissionEntry) && length <= input.size() - at;
    if (whole && (what == Kind::command || what == Kind::filled)) found.push_back(at);
    at += std::min(length, input.size() - at);
  }
  return found;
}

void change_field(std::uint8_t* entry, engine::SeededRandom& random) {
  struct Field {
    std::size_t offset;
    std::size_t bytes;
  };
  // Opcode, PSDT, NSID, the SGL's length and type, and the first five dwords of the command.
  constexpr Field fields[] = {{0, 1},  {1, 1},  {4, 4},  {32, 4}, {39, 1}, {40, 4},
                              {40, 8}, {44, 4}, {48, 2}, {48, 4}, {52, 4}, {56, 4}};
  const std::uint64_t values[] = {
      0,    1,      2,          blocks - 2, blocks - 1, blocks,           blocks + 1,       4096,
      8192, 0xffff, 0xffffffff, ~0ULL,      ~0ULL - 1,  random.below(32), random.below(256)};
  const Field& field = fields[random.below(std::size(fields))];
  const std::uint64_t value = values[random.below(std::size(values))];
  std::memcpy(entry + field.offset, &value, field.bytes);
}

}  // namespace
}  // namespace fuzz

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* bytes, std::size_t size, std::size_t most);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* bytes, std::size_t size,
                                               std::size_t most, unsigned seed) {
  engine::SeededRandom random(seed);
  const auto entries = fuzz::entries_of(std::as_bytes(std::span(bytes, size)));
  if (entries.empty() || random.chance(1, 2)) return LLVMFuzzerMutate(bytes, size, most);
  fuzz::change_field(bytes + entries[random.below(entries.size())], random);
  return size;
}

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  target::capture_log([](target::LogLevel, std::string_view) {});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  fuzz::Scene scene(bytes[0]);
  scene.play(std::as_bytes(std::span(bytes, size)).subspan(1));
  return 0;
}
