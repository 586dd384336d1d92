// PduConnection with a protocol of its own: what NVMe/TCP has no use for, or does in one way alone.
// What it does use is tested with it (tests/target/nvmf).
#include "target/net/pdu_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/foundation/crc32c.h"
#include "engine/foundation/random.h"
#include "tests/target/net/sim_reactor.h"

namespace target {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;

constexpr std::size_t header_bytes = 8;
constexpr std::size_t longest_extension = 250;  // behind the header, as iSCSI's AHS
enum class Kind : unsigned {
  buffered = 1,   // data goes into a leased buffer
  small = 2,      // into a place of the connection's own
  discarded = 3,  // nowhere
  answered = 4,   // has a reply of four bytes
  wrong = 5,
};

// A PDU: kind, length of the extension, has a digest; length of the data in bytes 4 to 7;
// extension; data, padded to four bytes; CRC-32C.
Bytes pdu(Kind kind, std::span<const std::byte> data, bool has_digest, std::size_t extension = 0) {
  Bytes bytes(header_bytes + extension);
  bytes[0] = static_cast<std::byte>(kind);
  bytes[1] = static_cast<std::byte>(extension);
  bytes[2] = static_cast<std::byte>(has_digest);
  for (std::size_t i = 0; i < 4; ++i) {
    bytes[4 + i] = static_cast<std::byte>(data.size() >> (8 * i) & 0xff);
  }
  if (data.empty()) return bytes;
  Bytes padded(data.begin(), data.end());
  while (padded.size() % 4 != 0) padded.push_back(std::byte{0xa5});
  bytes.insert(bytes.end(), padded.begin(), padded.end());
  if (!has_digest) return bytes;
  const std::uint32_t crc = engine::crc32c(padded);
  for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<std::byte>(crc >> (8 * i) & 0xff));
  return bytes;
}

Bytes pattern(std::size_t bytes, unsigned seed = 1) {
  Bytes data(bytes);
  for (std::size_t i = 0; i < bytes; ++i) data[i] = static_cast<std::byte>(i * 7 + seed);
  return data;
}

struct ToySlot : BufferHolder {
  ToySlot() : BufferHolder(buffer, volume) {}
  engine::BufferLease buffer;
  block::BlockVolume* volume = nullptr;
};

// What has come of a PDU.
struct Arrived {
  Kind kind;
  Bytes data;
  bool digest_matches = false;
  friend bool operator==(const Arrived&, const Arrived&) = default;
};

// What a connection did, kept beyond its life.
struct Record {
  std::vector<Arrived> arrived;
  std::vector<EndReason> ended;
  std::optional<Bytes> unfinished;
  bool destroyed = false;
};

class ToyConnection final : public PduConnection {
 public:
  ToyConnection(ConnectionRegistry& registry, std::unique_ptr<ByteStream> stream,
                const PduConnectionLimits& limits, Record& record)
      : PduConnection(
            registry, std::move(stream), "toys", limits,
            {.largest_header_bytes = header_bytes + longest_extension, .introduction = "login"}),
        record_(record),
        opened_(registry.reactor().clock().now()) {}
  ~ToyConnection() override { record_.destroyed = true; }

  using PduConnection::buffers;
  using PduConnection::command_began;
  using PduConnection::command_ended;
  using PduConnection::may_answer;
  using PduConnection::output;
  using PduConnection::send_soon;
  using PduConnection::settle;
  using PduConnection::start;
  using PduConnection::throw_data_away;

  engine::Duration login_limit{};
  block::BlockVolume* volume = nullptr;

 private:
  std::size_t take_header(std::span<const std::byte> bytes) override {
    if (bytes.size() < header_bytes) return 0;
    const std::size_t length = header_bytes + std::to_integer<std::size_t>(bytes[1]);
    if (bytes.size() < length) return 0;
    kind_ = static_cast<Kind>(bytes[0]);
    std::uint32_t data = 0;
    for (std::size_t i = 4; i-- != 0;) {
      data = data << 8 | std::to_integer<std::uint32_t>(bytes[4 + i]);
    }
    expect_data(
        {.bytes = data, .padding = (4 - data % 4) % 4, .has_digest = bytes[2] != std::byte{}});
    if (kind_ == Kind::wrong) {
      begin_end(EndReason::protocol_error, Phase::draining);
      return 0;
    }
    if (kind_ == Kind::answered) {
      std::ranges::fill(output().append(4), std::byte{0x5a});
      send_soon();
    }
    if (data == 0) {
      record_.arrived.push_back({kind_, {}, true});
    } else if (kind_ == Kind::buffered) {
      slot_.volume = volume;
      buffers().wait_in_stream(slot_, data);
    } else if (kind_ == Kind::small) {
      small_.resize(data);
      receive_into(small_.data());
    }
    return length;
  }
  void data_complete(bool digest_matches) override {
    Arrived arrived{kind_, {}, digest_matches};
    if (kind_ == Kind::small) arrived.data = small_;
    if (kind_ == Kind::buffered && slot_.buffer) {
      const auto data = slot_.buffer.bytes().first(pdu_data_bytes());
      arrived.data.assign(data.begin(), data.end());
      buffers().release(slot_);
    }
    record_.arrived.push_back(std::move(arrived));
  }
  void ended(EndReason reason) override {
    record_.ended.push_back(reason);
    buffers().release(slot_);
  }
  [[nodiscard]] std::optional<TimeLimit> time_limit() const override {
    if (is_settled() || login_limit == engine::Duration{}) return std::nullopt;
    return TimeLimit{opened_ + login_limit, EndReason::login_timeout};
  }
  [[nodiscard]] bool fail_unfinished(std::span<const std::byte> front) override {
    record_.unfinished = Bytes(front.begin(), front.end());
    return false;
  }
  void buffer_granted(BufferHolder&) override {}
  void stream_granted(BufferHolder&) override { receive_into(slot_.buffer.bytes().data()); }
  void stream_refused(BufferHolder&) override {}
  [[nodiscard]] bool uses_reserve() const override { return false; }

  Record& record_;
  const engine::Instant opened_;
  Kind kind_{};
  ToySlot slot_;
  Bytes small_;
};

class PduConnectionTest : public testing::Test {
 protected:
  ToyConnection& open(const PduConnectionLimits& limits = {}, engine::Duration login_limit = {}) {
    ToyConnection& opened = sim.registry->add(std::make_unique<ToyConnection>(
        *sim.registry, std::make_unique<SimStream>(wire), limits, record));
    opened.login_limit = login_limit;
    opened.start();
    return opened;
  }
  void send(const Bytes& bytes) {
    wire->to_target.insert(wire->to_target.end(), bytes.begin(), bytes.end());
  }
  void send_and_run(const Bytes& bytes) {
    send(bytes);
    sim.run(*wire);
  }

  Record record;  // before `sim`: connections write to it until the end
  SimReactor sim;
  std::shared_ptr<SimWire> wire = std::make_shared<SimWire>();
};

TEST_F(PduConnectionTest, PaddedDataArrivesWhereItBelongsHoweverTheStreamIsCut) {
  engine::SeededRandom random(3);
  Bytes all;
  std::vector<Arrived> expected;
  constexpr Kind kinds[] = {Kind::buffered, Kind::small, Kind::discarded};
  for (unsigned i = 0; i < 120; ++i) {
    const Kind kind = kinds[random.below(3)];
    const Bytes data = pattern(random.below(random.chance(1, 8) ? 20000 : 40), i);
    const Bytes bytes = pdu(kind, data, random.chance(1, 2), random.below(longest_extension + 1));
    all.insert(all.end(), bytes.begin(), bytes.end());
    expected.push_back({kind, kind == Kind::discarded ? Bytes{} : data, true});
  }
  for (const std::size_t cut :
       {SimWire::unlimited, std::size_t{1}, std::size_t{3}, std::size_t{1461}}) {
    wire = std::make_shared<SimWire>();
    wire->largest_read = cut;
    record.arrived.clear();
    open();
    send_and_run(all);
    ASSERT_EQ(record.arrived.size(), expected.size()) << "cut every " << cut;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      // Of data that is thrown away nobody has computed a digest.
      Arrived& got = record.arrived[i];
      if (got.kind == Kind::discarded) got.digest_matches = true;
      ASSERT_TRUE(got == expected[i]) << "PDU " << i << ", cut every " << cut;
    }
  }
  EXPECT_EQ(sim.counters.data_digest_errors, 0U);
}

TEST_F(PduConnectionTest, TheDigestCoversThePadding) {
  open();
  const Bytes data = pattern(1001);
  const Bytes good = pdu(Kind::small, data, /*has_digest=*/true);
  for (const std::size_t at : {std::size_t{0}, data.size() - 1, data.size(), data.size() + 2,
                               data.size() + 3, data.size() + 6}) {
    Bytes bad = good;
    bad[header_bytes + at] ^= std::byte{1};
    send_and_run(bad);
    EXPECT_FALSE(record.arrived.back().digest_matches) << "byte " << at;
  }
  send_and_run(good);
  EXPECT_TRUE(record.arrived.back().digest_matches);
  EXPECT_EQ(sim.counters.data_digest_errors, 6U);
  EXPECT_TRUE(record.ended.empty());
}

TEST_F(PduConnectionTest, DataMayLoseItsPlaceOnTheWay) {
  ToyConnection& connection = open();
  const Bytes data = pattern(8000);
  const Bytes bytes = pdu(Kind::small, data, /*has_digest=*/true);
  send_and_run(Bytes(bytes.begin(), bytes.begin() + 5000));
  connection.throw_data_away();
  send(Bytes(bytes.begin() + 5000, bytes.end()));
  send_and_run(pdu(Kind::small, pattern(10), true));
  ASSERT_EQ(record.arrived.size(), 2U);
  EXPECT_NE(record.arrived[0].data, data);  // the rest of it never came there
  EXPECT_EQ(record.arrived[1].data, pattern(10));
  EXPECT_TRUE(record.arrived[1].digest_matches);
  EXPECT_EQ(sim.counters.data_digest_errors, 0U);
}

TEST_F(PduConnectionTest, TheStreamStandsStillForABufferAndGoesOn) {
  open();
  std::vector<engine::BufferLease> others;
  while (auto lease = sim.reactor.lane().buffers().lease({1U << 20})) {
    others.push_back(std::move(*lease));
  }
  send(pdu(Kind::buffered, pattern(5000), true));
  send_and_run(pdu(Kind::answered, {}, false));
  EXPECT_TRUE(record.arrived.empty());
  EXPECT_TRUE(wire->to_host.empty()) << "it overtook";
  others.clear();
  sim.run(*wire);
  ASSERT_EQ(record.arrived.size(), 2U);
  EXPECT_EQ(record.arrived[0].data, pattern(5000));
  EXPECT_EQ(wire->to_host.size(), 4U);
  EXPECT_EQ(sim.counters.buffer_waits, 1U);
}

TEST_F(PduConnectionTest, WhatIsNoHeaderEndsTheConnectionAndWhatFollowsIsThrownAway) {
  open();
  send(pdu(Kind::answered, {}, false));
  send(pdu(Kind::wrong, {}, false));
  send_and_run(pdu(Kind::small, pattern(100), false));
  EXPECT_EQ(record.arrived.size(), 1U);
  EXPECT_THAT(record.ended, testing::ElementsAre(EndReason::protocol_error));
  EXPECT_EQ(wire->to_host.size(), 4U);  // what was said before still goes out
  EXPECT_TRUE(wire->target_finished);
  EXPECT_TRUE(wire->to_target.empty());
  wire->host_closed = true;
  sim.run(*wire);
  EXPECT_TRUE(record.destroyed);
}

TEST_F(PduConnectionTest, WhoDoesNotLogInInTimeIsCutAndTheLogSaysSo) {
  open({}, 5s);
  send_and_run(pdu(Kind::small, pattern(3), false));
  sim.clock.advance(4s);
  sim.run(*wire);
  EXPECT_TRUE(record.ended.empty());
  sim.clock.advance(1s);
  sim.run(*wire);
  EXPECT_THAT(record.ended, testing::ElementsAre(EndReason::login_timeout));
  EXPECT_THAT(sim.log,
              testing::Contains(testing::AllOf(testing::HasSubstr("connection ended before login"),
                                               testing::HasSubstr("listener=toys"),
                                               testing::HasSubstr("no login in time"))));
  EXPECT_EQ(sim.counters.timeouts, 1U);
}

TEST_F(PduConnectionTest, WhoHasLoggedInMayBeSilent) {
  ToyConnection& connection = open({}, 5s);
  sim.run(*wire);
  connection.settle();
  EXPECT_TRUE(wire->settled);
  sim.clock.advance(1h);
  sim.run(*wire);
  EXPECT_TRUE(record.ended.empty());
}

TEST_F(PduConnectionTest, APlaceTakenAwayBeforeLoginCountsAsItsTimeout) {
  open({}, 5s);
  sim.run(*wire);
  wire->evicted = true;
  sim.run(*wire);
  EXPECT_THAT(record.ended, testing::ElementsAre(EndReason::login_timeout));
}

TEST_F(PduConnectionTest, HalfAPduIsAStall) {
  ToyConnection& connection = open({.stall_timeout = 2s}, 5s);
  sim.run(*wire);
  connection.settle();
  const Bytes bytes = pdu(Kind::small, pattern(100), true, 20);
  send_and_run(Bytes(bytes.begin(), bytes.begin() + 11));
  sim.clock.advance(2s);
  sim.run(*wire);
  EXPECT_THAT(record.ended, testing::ElementsAre(EndReason::idle_timeout));
  ASSERT_TRUE(record.unfinished);
  EXPECT_EQ(*record.unfinished, Bytes(bytes.begin(), bytes.begin() + 11));
}

TEST_F(PduConnectionTest, HalfATrailerIsAStallToo) {
  ToyConnection& connection = open({.stall_timeout = 2s});
  connection.settle();
  const Bytes bytes = pdu(Kind::small, pattern(101), true);
  send_and_run(Bytes(bytes.begin(), bytes.end() - 5));
  sim.clock.advance(2s);
  sim.run(*wire);
  EXPECT_THAT(record.ended, testing::ElementsAre(EndReason::idle_timeout));
  EXPECT_FALSE(record.unfinished) << "its header was whole";
}

TEST_F(PduConnectionTest, ItStaysUntilWhatIsExecutedHasEnded) {
  ToyConnection& connection = open();
  sim.run(*wire);
  connection.command_began();
  wire->broken = true;
  sim.run(*wire);
  EXPECT_THAT(record.ended, testing::ElementsAre(EndReason::connection_lost));
  EXPECT_FALSE(record.destroyed);
  EXPECT_FALSE(connection.may_answer());
  connection.command_ended();
  connection.send_soon();
  sim.run(*wire);
  EXPECT_TRUE(record.destroyed);
}

TEST_F(PduConnectionTest, WhenTheTargetStopsWhatIsExecutedIsAnsweredFirst) {
  ToyConnection& connection = open();
  connection.settle();
  sim.run(*wire);
  connection.command_began();
  sim.registry->end(EndReason::stopping);
  sim.run(*wire);
  EXPECT_TRUE(connection.may_answer());
  EXPECT_FALSE(wire->target_finished);
  (void)connection.output().append(4);
  connection.command_ended();
  connection.send_soon();
  sim.run(*wire);
  EXPECT_EQ(wire->to_host.size(), 4U);
  EXPECT_TRUE(wire->target_finished);
}

TEST_F(PduConnectionTest, TheRegistryEndsThoseThatAreChosen) {
  ToyConnection& first = open();
  Record other_record;
  auto other_wire = std::make_shared<SimWire>();
  ToyConnection& other = sim.registry->add(std::make_unique<ToyConnection>(
      *sim.registry, std::make_unique<SimStream>(other_wire), PduConnectionLimits{}, other_record));
  other.start();
  sim.registry->end(EndReason::removed,
                    [&](const PduConnection& connection) { return &connection == &first; });
  sim.run(*wire);
  EXPECT_THAT(record.ended, testing::ElementsAre(EndReason::removed));
  EXPECT_TRUE(other_record.ended.empty());
  EXPECT_EQ(sim.counters.ended[static_cast<std::size_t>(EndReason::removed)], 1U);
  other_wire->broken = true;
  sim.run(*other_wire);
  EXPECT_TRUE(other_record.destroyed);
}

TEST_F(PduConnectionTest, EveryReasonHasItsText) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < end_reason_count; ++i) {
    texts.emplace_back(text(static_cast<EndReason>(i)));
  }
  EXPECT_THAT(texts, testing::Not(testing::Contains("unknown")));
  std::ranges::sort(texts);
  EXPECT_EQ(std::ranges::adjacent_find(texts), texts.end());
}

}  // namespace
}  // namespace target
