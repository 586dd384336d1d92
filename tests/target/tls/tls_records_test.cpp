// Both directions of an established connection, against OpenSSL's client.
#include "target/tls/tls_records.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/client/tls_client.h"

namespace target::tls {
namespace {

namespace ptls = protocol::tls;
using client::Bytes;

const client::TlsOptions options{.identity = "x", .psk = Bytes(32, std::byte{7})};

class Records : public testing::Test {
 protected:
  void SetUp() override {
    const ptls::HandshakeContext context({});
    ptls::ServerHandshake::Psk psk{.identity = "x", .key = {.size = 32}};
    std::ranges::fill(psk.key.bytes(), std::byte{7});
    ptls::ServerHandshake ours(context, psk);
    std::optional<ptls::HandshakeResult> result;
    for (int round = 0; round < 4 && !result; ++round) {
      (void)peer_.shake_hands();
      std::vector<std::byte> out;
      const auto taken = ours.take(peer_.to_send(), out);
      ASSERT_TRUE(taken) << taken.error();
      result = taken.value();
      peer_.feed(out);
    }
    ASSERT_TRUE(result);
    records_ = std::make_unique<TlsRecords>(*result, ours.rest(), counters_);
  }

  // Sends to us, in one piece, and reads into places of these sizes.
  Bytes read(const std::vector<std::size_t>& places) {
    receive(peer_.to_send());
    return read_received(places);
  }
  void receive(const Bytes& bytes) {
    const auto room = records_->room();
    ASSERT_LE(bytes.size(), room.size());
    std::ranges::copy(bytes, room.begin());
    records_->received(bytes.size());
  }
  Bytes read_received(const std::vector<std::size_t>& places) {
    Bytes space(std::accumulate(places.begin(), places.end(), std::size_t{0}));
    std::vector<iovec> into;
    std::size_t at = 0;
    for (const std::size_t size : places) {
      into.push_back({.iov_base = space.data() + at, .iov_len = size});
      at += size;
    }
    const auto taken = records_->read(into, reply_);
    fault_ = taken ? std::nullopt : std::optional(taken.error());
    is_closed_ = taken && taken.value().is_closed;
    space.resize(taken ? taken.value().bytes : 0);
    return space;
  }
  Bytes heard(std::span<const std::byte> sent) {
    peer_.feed(sent);
    auto plain = peer_.read();
    return plain ? plain.value() : Bytes();
  }
  static Bytes words(std::size_t size) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 256);
    return bytes;
  }

  client::TlsClient peer_{options};
  TlsCounters counters_;
  std::unique_ptr<TlsRecords> records_;
  std::vector<std::byte> reply_;
  std::optional<TlsFault> fault_;
  bool is_closed_ = false;
};

TEST_F(Records, WhatIsReadIsWhatWasSentHoweverThePlacesLie) {
  const Bytes sent = words(40'000);
  for (const std::vector<std::size_t>& places :
       {std::vector<std::size_t>{50'000}, std::vector<std::size_t>{24, 4096, 1, 40'000},
        std::vector<std::size_t>{16'384, 16'384, 16'384}}) {
    ASSERT_TRUE(peer_.write(sent));
    EXPECT_TRUE(read(places) == sent);
    EXPECT_FALSE(records_->has_input());
  }
}

TEST_F(Records, WhatHasNoRoomIsKeptForTheNextRead) {
  const Bytes sent = words(10'000);
  ASSERT_TRUE(peer_.write(sent));
  Bytes all = read({100});
  while (records_->has_input()) {
    const Bytes more = read_received({700, 1});
    ASSERT_FALSE(more.empty());
    all.insert(all.end(), more.begin(), more.end());
  }
  EXPECT_TRUE(all == sent);
}

TEST_F(Records, PartsOfRecordsWaitForTheirRest) {
  const Bytes sent = words(3000);
  ASSERT_TRUE(peer_.write(sent));
  const Bytes wire = peer_.to_send();
  for (std::size_t at = 0; at < wire.size(); ++at) {
    EXPECT_FALSE(records_->has_input());
    receive({wire[at]});
  }
  EXPECT_TRUE(read_received({4000}) == sent);
}

TEST_F(Records, ManyPiecesBecomeFewRecords) {
  const Bytes data = words(100'000);
  std::vector<iovec> pieces;
  for (std::size_t at = 0; at < data.size();) {
    const std::size_t size =
        std::min<std::size_t>(pieces.size() % 3 == 0 ? 24 : 5000, data.size() - at);
    pieces.push_back({.iov_base = const_cast<std::byte*>(data.data()) + at, .iov_len = size});
    at += size;
  }
  Bytes out(200'000);
  std::size_t taken = 0;
  Bytes all;
  while (taken < data.size()) {
    // Room for two records and a half.
    const auto sealed = records_->seal(pieces, taken, std::span(out).first(40'000));
    ASSERT_FALSE(sealed.is_unreadable);
    ASSERT_NE(sealed.bytes, 0U);
    taken += sealed.bytes;
    const Bytes plain = heard(std::span(out).first(sealed.length));
    all.insert(all.end(), plain.begin(), plain.end());
  }
  EXPECT_TRUE(all == data);
}

TEST_F(Records, ADamagedRecordIsTheEnd) {
  ASSERT_TRUE(peer_.write(words(2000)));
  Bytes wire = peer_.to_send();
  wire[wire.size() / 2] ^= std::byte{4};
  receive(wire);
  EXPECT_TRUE(read_received({4000}).empty());
  EXPECT_EQ(fault_, TlsFault::bad_record);
  peer_.feed(reply_);
  const auto told = peer_.read();
  ASSERT_FALSE(told);
  EXPECT_NE(told.error().text.find("bad record mac"), std::string::npos) << told.error().text;
}

TEST_F(Records, WhatIsNoRecordIsTheEnd) {
  receive({std::byte{22}, std::byte{3}, std::byte{3}, std::byte{0}, std::byte{1}, std::byte{0}});
  (void)read_received({100});
  EXPECT_EQ(fault_, TlsFault::unexpected);
}

TEST_F(Records, ARecordThatIsTooLongIsTheEndBeforeItIsThere) {
  receive({std::byte{23}, std::byte{3}, std::byte{3}, std::byte{0x41}, std::byte{1}});
  (void)read_received({100});
  EXPECT_EQ(fault_, TlsFault::bad_record);
}

TEST_F(Records, CloseNotifyComesBehindTheData) {
  ASSERT_TRUE(peer_.write(words(10)));
  peer_.say_goodbye();
  EXPECT_EQ(read({100}).size(), 10U);
  EXPECT_TRUE(read_received({100}).empty());
  EXPECT_TRUE(is_closed_);
  std::vector<std::byte> out;
  records_->append_alert(Alert::close_notify, out);
  peer_.feed(out);
  const auto end = peer_.read();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().kind, client::ErrorKind::closed);
}

TEST_F(Records, KeysChangeWhenThePeerChangesThemAndOursWhenItAsks) {
  for (const bool also_ours : {false, true, true}) {
    peer_.update_keys(also_ours);
    ASSERT_TRUE(peer_.write(words(100)));
    reply_.clear();
    EXPECT_TRUE(read({200}) == words(100));
    EXPECT_EQ(reply_.empty(), !also_ours);
    peer_.feed(reply_);
    const Bytes data = words(500);
    const iovec piece{.iov_base = const_cast<std::byte*>(data.data()), .iov_len = data.size()};
    Bytes out(1000);
    const auto sealed = records_->seal({&piece, 1}, 0, out);
    EXPECT_TRUE(heard(std::span(out).first(sealed.length)) == data);
  }
  EXPECT_EQ(counters_.key_updates, 3U);
}

TEST_F(Records, AFloodOfKeyUpdatesIsTheEndButNotOneInEveryMegabyte) {
  const Bytes data = words(16'000);
  for (int i = 0; i < 20; ++i) {
    peer_.update_keys(false);
    (void)read({100});
    ASSERT_FALSE(fault_) << i;
    for (int record = 0; record < 70; ++record) {
      ASSERT_TRUE(peer_.write(data));
      ASSERT_EQ(read({20'000}).size(), data.size());
    }
  }
  int followed = 0;
  while (!fault_ && followed < 100) {
    peer_.update_keys(false);
    (void)read({100});
    ++followed;
  }
  EXPECT_EQ(fault_, TlsFault::too_many_updates);
  EXPECT_LE(followed, 20);
}

}  // namespace
}  // namespace target::tls
