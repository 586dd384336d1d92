// An initiator that has logged in, or has not, and then sends anything: Connection, IscsiTarget and
// Nexus over simulated streams and a volume in memory. Whatever comes, the target answers in
// well-formed PDUs, and when everybody has gone it holds no connection, session or buffer.
//
// Input: one byte of setup, then records of {kind and connection, length (two bytes), bytes}.
// CmdSN is filled in, so that inputs stay valid when records are left out, and half of the
// mutations change one field of a header to a value at which something changes.
// make_iscsi_connection_corpus.py writes the committed ones.
#pragma clang diagnostic ignored "-Wstring-conversion"  // CHECK(!"why") in the lane

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/foundation/check.h"
#include "engine/foundation/random.h"
#include "target/iscsi/target.h"
#include "target/net/connection_registry.h"
#include "target/reactor/log.h"
#include "tests/client/iscsi_pdu.h"
#include "tests/fuzz/planted_volume.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_stream.h"
#include "tests/target/nvmf/memory_lane.h"

namespace fuzz {
namespace {

namespace host = client::iscsi;
using client::Bytes;
using host::Opcode;
using namespace std::chrono_literals;

constexpr std::string_view node = "iqn.2026-11.com.example:fuzz";
constexpr std::uint64_t blocks = 64;

// Bits of the first byte.
constexpr unsigned header_digest = 1, data_digest = 2, no_login = 4, slow_host = 8, solicited = 16;

enum class Kind : unsigned {
  raw,      // these bytes
  request,  // a header, and what is behind it as its data
  filled,   // a header; as much data as byte 7 says in units of 32 bytes
  data,     // for the last R2T: as many bytes as `length` says; none follow
  time,     // passes: as many milliseconds as `length` says; none follow
  close,    // the initiator is gone
  release,  // the volume ends what it holds; from then on it holds what comes, or does not
};
constexpr std::size_t record_bytes = 3;
constexpr unsigned kinds = 8, second_connection = 8;

class Peer {
 public:
  Peer(target::iscsi::IscsiTarget& target, target::ConnectionRegistry& registry) {
    target::iscsi::ConnectionOptions options;
    options.listener = "san";
    options.queue_depth = 16;
    target.serve(registry, std::make_unique<target::SimStream>(wire), options);
  }

  void send(const Bytes& bytes) {
    wire->to_target.insert(wire->to_target.end(), bytes.begin(), bytes.end());
  }
  void send(host::Pdu pdu) {
    const bool numbered = (pdu.header[0] & std::byte{host::immediate_bit}) == std::byte{0};
    const auto opcode = static_cast<Opcode>(static_cast<unsigned>(pdu.header[0]) & 0x3f);
    if (opcode != Opcode::data_out && opcode != Opcode::snack) {
      pdu.u32(host::at::command_sn, command_sn);
      if (numbered) ++command_sn;
    }
    send(host::encode(pdu, framing));
  }
  void log_in(std::string_view initiator, const host::Framing& wanted, bool ask_for_all) {
    host::Pdu pdu(Opcode::login, 0x87);  // T, from the operational stage to full feature
    pdu.immediate().u64(8, 0x8000'0000'0000'0000U | std::uint64_t{initiator.size()} << 16);
    std::string text = "InitiatorName=" + std::string(initiator);
    text.push_back('\0');
    const auto add = [&](std::string_view key, std::string_view value) {
      text.append(key).append("=").append(value).push_back('\0');
    };
    add("TargetName", node);
    add("InitialR2T", ask_for_all ? "Yes" : "No");
    add("ImmediateData", ask_for_all ? "No" : "Yes");
    if (wanted.header_digest) add("HeaderDigest", "CRC32C");
    if (wanted.data_digest) add("DataDigest", "CRC32C");
    for (const char c : text) pdu.data.push_back(static_cast<std::byte>(c));
    agreed_ = wanted;
    send(pdu);
  }
  // Data for the R2T that came last; nothing if none is open.
  void send_data(std::size_t bytes) {
    if (!asked_) return;
    const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(bytes, asked_->u32(44)));
    host::Pdu pdu(Opcode::data_out, size == asked_->u32(44) ? host::final_bit : 0);
    pdu.u64(8, asked_->u64(8)).u32(16, asked_->u32(16)).u32(20, asked_->u32(20));
    pdu.u32(40, asked_->u32(40));
    pdu.data = Bytes(size, std::byte{0x5a});
    asked_.reset();
    send(pdu);
  }
  // Takes what has arrived.
  void receive() {
    for (;;) {
      auto taken = host::take_pdu(wire->to_host, framing);
      CHECK(static_cast<bool>(taken));
      if (!taken.value()) return;
      const host::ReceivedPdu& pdu = *taken.value();
      CHECK(pdu.header_digest_ok && pdu.data_digest_ok && pdu.padding_is_zero);
      switch (pdu.opcode()) {
        case Opcode::login_response:
          if ((pdu.byte(1) & 0x83) == 0x83 && pdu.byte(36) == 0) framing = agreed_;
          break;
        case Opcode::r2t:
          asked_ = pdu;
          break;
        case Opcode::nop_in:
        case Opcode::scsi_response:
        case Opcode::task_management_response:
        case Opcode::text_response:
        case Opcode::data_in:
        case Opcode::logout_response:
        case Opcode::async_message:
        case Opcode::reject:
          break;
        default:
          CHECK(!"a PDU that no target sends");
      }
    }
  }

  std::shared_ptr<target::SimWire> wire = std::make_shared<target::SimWire>();
  host::Framing framing;
  std::uint32_t command_sn = 1;

 private:
  host::Framing agreed_;
  std::optional<host::ReceivedPdu> asked_;
};

class Scene {
 public:
  explicit Scene(unsigned setup)
      : reactor_(
            {}, [this] { return lane(); }, clock_),
        target_(options(), clock_) {
    CHECK(reactor_.attach());
    registry_ = std::make_unique<target::ConnectionRegistry>(reactor_, budget_, counters_);
    for (auto& peer : peers_) peer = std::make_unique<Peer>(target_, *registry_);
    run();
    const host::Framing digests{.header_digest = (setup & header_digest) != 0,
                                .data_digest = (setup & data_digest) != 0};
    if ((setup & no_login) == 0) {
      peers_[0]->log_in("iqn.2026-11.com.example:one", digests, (setup & solicited) != 0);
      peers_[1]->log_in("iqn.2026-11.com.example:second", digests, false);
      run();
      // Their unit attentions.
      for (const auto& peer : peers_) peer->send(host::Pdu(Opcode::scsi_command, 0x81));
      run();
    }
    if ((setup & slow_host) != 0) {
      for (const auto& peer : peers_) peer->wire->room = 100;
    }
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
  ~Scene() {
    release(false);
    for (const auto& peer : peers_) {
      peer->wire->room = target::SimWire::unlimited;
      peer->wire->host_closed = true;
    }
    run();
    registry_->end(target::EndReason::stopping);
    for (int i = 0; i < 4; ++i) {
      run();
      clock_.advance(1min);
    }
    run();
    CHECK(registry_->size() == 0);
    CHECK(target_.status().sessions.empty());
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
      const bool follows = what == Kind::raw || what == Kind::request || what == Kind::filled;
      const std::size_t there = follows ? std::min(length, input.size()) : 0;
      act(what, peer, length, input.first(there));
      input = input.subspan(there);
      run();
    }
  }

 private:
  void act(Kind what, Peer& peer, std::size_t length, std::span<const std::byte> bytes) {
    switch (what) {
      case Kind::request:
      case Kind::filled: {
        if (bytes.size() < host::header_bytes) return;
        host::Pdu pdu;
        std::copy_n(bytes.begin(), host::header_bytes, pdu.header.begin());
        if (what == Kind::request) {
          pdu.data.assign(bytes.begin() + host::header_bytes, bytes.end());
        } else {
          pdu.data = Bytes(static_cast<std::size_t>(bytes[7]) * 32, std::byte{0x5a});
        }
        return peer.send(pdu);
      }
      case Kind::data:
        return peer.send_data(length);
      case Kind::time:
        return clock_.advance(std::chrono::milliseconds(length));
      case Kind::close:
        peer.wire->host_closed = true;
        return;
      case Kind::release:
        return release(length % 2 != 0);
      case Kind::raw:
        break;
    }
    peer.send(Bytes(bytes.begin(), bytes.end()));
  }

  void release(bool hold_what_comes) {
    volume_.hold = hold_what_comes;
    const auto held = volume_.held();
    for (engine::VolumeIo* io : held) volume_.end(*io);
  }

  engine::Result<std::unique_ptr<engine::IoLane>, std::string> lane() {
    return std::unique_ptr<engine::IoLane>(std::make_unique<target::nvmf::MemoryLane>(budget_));
  }

  target::iscsi::TargetOptions options() {
    target::iscsi::NodeOptions one;
    one.name = node;
    one.initiators.allow_any = true;
    one.listeners = {"san"};
    one.luns = {{.lun = 0, .volume = &block_, .initiators = std::nullopt}};
    target::iscsi::TargetOptions all;
    all.listeners = {{.name = "san", .address = "192.0.2.10"}};
    all.nodes = {one};
    return all;
  }

  // Turns until nothing moves; time stands still.
  void run() {
    bool moved = true;
    for (int idle = 0; moved || idle < 2; idle = moved ? 0 : idle + 1) {
      moved = false;
      for (const auto& peer : peers_) {
        if (!peer) continue;
        moved = notify(*peer->wire) || moved;
        peer->receive();
      }
      moved = reactor_.run_turn() || moved;
    }
  }

  target::SimClock clock_;
  engine::MemoryBudget budget_{engine::ByteCount{16U << 20}};
  target::CountersByProtocol counters_;
  target::Reactor reactor_;
  FuzzedVolume volume_{engine::BlockSize{4096}, blocks};
  target::block::BlockVolume block_{volume_};
  target::iscsi::IscsiTarget target_;
  std::unique_ptr<target::ConnectionRegistry> registry_;
  std::unique_ptr<Peer> peers_[2];
};

// Where the headers of an input begin.
std::vector<std::size_t> headers_of(std::span<const std::byte> input) {
  std::vector<std::size_t> found;
  std::size_t at = 1;
  while (at + record_bytes <= input.size()) {
    const auto what = static_cast<Kind>(static_cast<unsigned>(input[at]) % kinds);
    const std::size_t length =
        static_cast<std::size_t>(input[at + 1]) | static_cast<std::size_t>(input[at + 2]) << 8;
    at += record_bytes;
    if (what != Kind::raw && what != Kind::request && what != Kind::filled) continue;
    const bool whole = length >= host::header_bytes && length <= input.size() - at;
    if (whole && what != Kind::raw) found.push_back(at);
    at += std::min(length, input.size() - at);
  }
  return found;
}

struct Field {
  std::size_t offset;
  std::size_t bytes;
};

std::uint64_t value_of(std::span<const std::uint8_t> header, Field field) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : header.subspan(field.offset, field.bytes)) {
    value = value << 8 | byte;
  }
  return value;
}
void set(std::span<std::uint8_t> header, Field field, std::uint64_t value) {
  for (std::size_t i = 0; i < field.bytes; ++i) {
    header[field.offset + i] = static_cast<std::uint8_t>(value >> (8 * (field.bytes - 1 - i)));
  }
}

// Where a CDB of this length has its LBA and its count; it begins at byte 32.
struct Blocks {
  Field lba;
  Field count;
};
Blocks blocks_of(std::uint8_t opcode) {
  switch (opcode >> 5) {
    case 0:
      return {{33, 3}, {36, 1}};
    case 1:
    case 2:
      return {{34, 4}, {39, 2}};
    case 5:
      return {{34, 4}, {38, 4}};
    default:
      return {{34, 8}, {42, 4}};
  }
}

void change_field(std::span<std::uint8_t> header, engine::SeededRandom& random) {
  const bool is_command = (header[0] & 0x3f) == static_cast<std::uint8_t>(Opcode::scsi_command);
  if (is_command && random.chance(1, 2)) {
    // The range of a command: at the start, at the end, one block off either, and far away.
    const Blocks range = blocks_of(header[32]);
    const std::uint64_t count = value_of(header, range.count);
    const std::uint64_t places[] = {
        0, 1, blocks - count, blocks - count - 1, blocks - count + 1, blocks, ~0ULL - count + 1};
    if (random.chance(1, 4)) {
      const std::uint64_t counts[] = {0, 1, 2, blocks, blocks + 1, 0xff, ~0ULL};
      return set(header, range.count, counts[random.below(std::size(counts))]);
    }
    return set(header, range.lba, places[random.below(std::size(places))]);
  }
  // Opcode, flags, lengths, LUN, both tags, what is expected, and what stands from byte 32 on: CDB,
  // DataSN and offset, tags of task management.
  constexpr Field fields[] = {{0, 1},  {1, 1},  {4, 1},  {7, 1},  {8, 2},  {16, 4}, {20, 4},
                              {32, 1}, {33, 1}, {34, 1}, {36, 4}, {38, 2}, {40, 4}, {44, 4}};
  const std::uint64_t values[] = {
      0, 1, 2, 4096, 8192, 0xffff, ~0ULL, random.below(16), 0x80, 0xc1, 0xa1, random.below(256)};
  set(header, fields[random.below(std::size(fields))], values[random.below(std::size(values))]);
}

}  // namespace
}  // namespace fuzz

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* bytes, std::size_t size, std::size_t most);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* bytes, std::size_t size,
                                               std::size_t most, unsigned seed) {
  engine::SeededRandom random(seed);
  const auto headers = fuzz::headers_of(std::as_bytes(std::span(bytes, size)));
  if (headers.empty() || random.chance(1, 2)) return LLVMFuzzerMutate(bytes, size, most);
  const std::size_t at = headers[random.below(headers.size())];
  fuzz::change_field(std::span(bytes, size).subspan(at, client::iscsi::header_bytes), random);
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
