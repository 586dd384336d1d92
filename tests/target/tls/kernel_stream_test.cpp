// A TLS stream whose records the kernel carries, or could: what is handed over, when, and what
// becomes of it where the kernel cannot. The host is OpenSSL, the kernel a FakeKernel.
#include <gtest/gtest.h>

#include <chrono>

#include "engine/foundation/clock.h"
#include "protocol/tls/psk.h"
#include "target/tls/kernel_keys.h"
#include "target/tls/tls_stream.h"
#include "tests/client/tls_client.h"
#include "tests/target/nvmf/memory_lane.h"
#include "tests/target/tls/fake_kernel.h"

namespace target::tls {
namespace {

namespace ptls = protocol::tls;
using client::Bytes;
using namespace std::chrono_literals;

constexpr std::size_t finest = 1;

Bytes words_of(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 256);
  return bytes;
}

class KernelStream : public testing::TestWithParam<ptls::Hash> {
 protected:
  KernelStream() : reactor_({}, lane(), clock_), wire_(std::make_shared<SimWire>()) {
    const ptls::Names names{"nqn.2026-11.com.example:host", "nqn.2026-11.com.example:store"};
    const HostKey key{
        .name = "k",
        .psk = {.retained_by = GetParam(), .key = {.size = ptls::bytes_of(GetParam())}},
        .until = {}};
    constexpr auto derivation = ptls::Derivation::rfc8446;
    const auto retained = ptls::retained_psk(key.psk, names.host_nqn, derivation);
    options_.identity = ptls::psk_identity(ptls::IdentityVersion::v1, GetParam(), names, *retained);
    const auto psk = ptls::tls_psk(ptls::IdentityVersion::v1, GetParam(), options_.identity,
                                   *retained, derivation);
    options_.psk.assign(psk->bytes().begin(), psk->bytes().end());
    options_.is_sha384 = GetParam() == ptls::Hash::sha384;
    keys_.replace(std::make_shared<const KeyRing>(
        std::vector<HostKeys>{{.host_nqn = std::string(names.host_nqn), .keys = {key}}}));
    host_ = std::make_unique<client::TlsClient>(options_);
  }

  void open(bool may_use_kernel = true) {
    auto door = std::make_shared<Door>("x", Policy::required, ptls::HandshakeOptions{}, keys_,
                                       counters_, HostObserver{}, may_use_kernel);
    stream_ = std::make_unique<TlsStream>(reactor_, std::make_unique<FakeKernel>(wire_, kernel_),
                                          std::move(door));
  }

  // Up to where the host is done; `with_it` goes out together with its last message.
  void shake_hands(std::span<const std::byte> with_it = {}) {
    for (int round = 0; round < 4; ++round) {
      const auto done = host_->shake_hands();
      ASSERT_TRUE(done) << done.error().describe();
      if (done.value()) break;
      send();
      expect_nothing();
    }
    ASSERT_TRUE(host_->write(with_it));
    send();
    if (with_it.empty()) expect_nothing();
  }
  void send() {
    const Bytes sent = host_->to_send();
    wire_->to_target.insert(wire_->to_target.end(), sent.begin(), sent.end());
  }
  void hear() { host_->feed(std::exchange(wire_->to_host, {})); }
  void expect_nothing() {
    EXPECT_EQ(read_once(4096).error(), StreamError::would_block);
    hear();
  }

  engine::Result<std::size_t, StreamError> read_once(std::size_t bytes) {
    space_.resize(bytes);
    const iovec place{.iov_base = space_.data(), .iov_len = space_.size()};
    const auto got = stream_->read({&place, 1});
    space_.resize(got ? got.value() : 0);
    return got;
  }
  // All that there is; the error that ended it is `end_`.
  Bytes read_all(std::size_t at_once = 4096) {
    Bytes all;
    for (;;) {
      const auto got = read_once(at_once);
      if (!got) {
        end_ = got.error();
        return all;
      }
      all.insert(all.end(), space_.begin(), space_.end());
    }
  }
  void expect_to_target(const Bytes& words) {
    ASSERT_TRUE(host_->write(words));
    send();
    EXPECT_EQ(read_all(), words);
    EXPECT_EQ(end_, StreamError::would_block);
  }
  void expect_to_host(Bytes words) {
    std::size_t at = 0;
    while (at < words.size()) {
      const iovec piece{.iov_base = words.data() + at, .iov_len = words.size() - at};
      const auto sent = stream_->write({&piece, 1});
      ASSERT_TRUE(sent);
      at += sent.value();
    }
    hear();
    const auto heard = host_->read();
    ASSERT_TRUE(heard) << heard.error().describe();
    EXPECT_EQ(heard.value(), words);
  }
  void expect_both_ways() {
    for (const std::size_t size : {1, 24, 4120, 50000}) {
      expect_to_target(words_of(size));
      expect_to_host(words_of(size + 1));
    }
  }

  Reactor::LaneFactory lane() {
    return [this]() -> engine::Result<std::unique_ptr<engine::IoLane>, std::string> {
      return std::unique_ptr<engine::IoLane>(std::make_unique<nvmf::MemoryLane>(budget_));
    };
  }

  engine::MemoryBudget budget_{engine::ByteCount{1U << 20}};
  engine::SystemClock clock_;
  Reactor reactor_;
  std::shared_ptr<SimWire> wire_;
  KernelBehaviour kernel_;
  KeyStore keys_;
  TlsCounters counters_;
  client::TlsOptions options_;
  std::unique_ptr<client::TlsClient> host_;
  std::unique_ptr<TlsStream> stream_;
  Bytes space_;
  StreamError end_ = StreamError::would_block;
};

TEST_P(KernelStream, CarriesAllRecordsFromTheHandshakeOn) {
  open();
  shake_hands();
  EXPECT_EQ(kernel_.keys_for_receiving, 1);
  EXPECT_EQ(kernel_.keys_for_sending, 1);
  EXPECT_TRUE(stream_->security()->text.ends_with("/k/kernel"));
  expect_both_ways();
  EXPECT_EQ(counters_.kernel_connections, 1u);
}

// The host's first words come with its last message, and with the beginning of more.
TEST_P(KernelStream, IsGivenReceivingWhereARecordEnds) {
  const Bytes first = words_of(200);
  const Bytes more = words_of(20000);
  for (const std::size_t cut :
       {std::size_t{1}, std::size_t{4}, std::size_t{5}, std::size_t{300}, std::size_t{16411}}) {
    SCOPED_TRACE(cut);
    wire_ = std::make_shared<SimWire>();
    host_ = std::make_unique<client::TlsClient>(options_);
    kernel_ = {};
    open();
    shake_hands(first);
    ASSERT_TRUE(host_->write(more));
    Bytes rest = host_->to_send();
    const auto at = rest.begin() + static_cast<std::ptrdiff_t>(cut);
    wire_->to_target.insert(wire_->to_target.end(), rest.begin(), at);
    wire_->largest_read = 700;  // so that a hello comes in pieces
    Bytes heard = read_all();
    EXPECT_EQ(end_, StreamError::would_block);
    wire_->to_target.insert(wire_->to_target.end(), at, rest.end());
    const Bytes last = read_all();
    heard.insert(heard.end(), last.begin(), last.end());
    Bytes expected = first;
    expected.insert(expected.end(), more.begin(), more.end());
    EXPECT_EQ(heard, expected);
    EXPECT_EQ(kernel_.keys_for_receiving, 1);
    wire_->largest_read = SimWire::unlimited;
    expect_both_ways();
    EXPECT_EQ(kernel_.keys_for_sending, 1);
  }
}

TEST_P(KernelStream, WithoutTheKernelsHelpNothingIsLost) {
  struct Lack {
    const char* what;
    bool KernelBehaviour::*has;
  };
  for (const Lack& lack : {Lack{"TLS", &KernelBehaviour::has_tls},
                           Lack{"receiving", &KernelBehaviour::takes_receiving},
                           Lack{"sending", &KernelBehaviour::takes_sending}}) {
    SCOPED_TRACE(lack.what);
    wire_ = std::make_shared<SimWire>();
    host_ = std::make_unique<client::TlsClient>(options_);
    kernel_ = {};
    kernel_.*lack.has = false;
    open();
    shake_hands(words_of(200));
    EXPECT_EQ(read_all(), words_of(200));
    expect_both_ways();
    host_->update_keys(true);
    expect_both_ways();
    EXPECT_EQ(kernel_.keys_for_sending, 0);
    stream_->finish_writing();
    hear();
    EXPECT_EQ(host_->read().error().kind, client::ErrorKind::closed);
  }
}

TEST_P(KernelStream, IsNotAskedWhereTheConfigurationSaysSo) {
  open(false);
  shake_hands();
  EXPECT_FALSE(kernel_.attached);
  EXPECT_TRUE(stream_->security()->text.ends_with("/k"));
  expect_both_ways();
}

TEST_P(KernelStream, FollowsKeyUpdatesWhereTheKernelCan) {
  kernel_.largest_control_piece = finest;
  open();
  shake_hands();
  for (const bool also_ours : {false, true, true}) {
    host_->update_keys(also_ours);
    expect_both_ways();
  }
  EXPECT_EQ(kernel_.keys_for_receiving, 4);
  EXPECT_EQ(kernel_.keys_for_sending, 3);
  EXPECT_EQ(counters_.key_updates, 3u);
}

// RFC 8446, 4.6.3: before the next data.
TEST_P(KernelStream, AnswersAKeyUpdateAsSoonAsThereIsRoom) {
  open();
  shake_hands();
  kernel_.full_controls = 2;
  host_->update_keys(true);
  expect_to_target(words_of(10));
  Bytes words = words_of(100);
  const iovec piece{.iov_base = words.data(), .iov_len = words.size()};
  EXPECT_EQ(stream_->write({&piece, 1}).error(), StreamError::would_block);
  EXPECT_EQ(kernel_.keys_for_sending, 1);
  expect_to_host(words);
  EXPECT_EQ(kernel_.keys_for_sending, 2);
}

TEST_P(KernelStream, EndsWithItsReasonWhereTheKernelCannotChangeKeys) {
  kernel_.changes_keys = false;
  open();
  shake_hands();
  host_->update_keys(true);
  send();
  EXPECT_EQ(read_once(4096).error(), StreamError::broken);
  EXPECT_EQ(counters_.failures[static_cast<std::size_t>(TlsFault::kernel_key_update)], 1u);
  hear();
  EXPECT_EQ(host_->read().error().kind, client::ErrorKind::refused);  // an alert
}

TEST_P(KernelStream, EndsAFloodOfKeyUpdates) {
  open();
  shake_hands();
  for (int i = 0; i < 17; ++i) host_->update_keys(false);
  send();
  EXPECT_EQ(read_once(4096).error(), StreamError::broken);
  EXPECT_EQ(counters_.failures[static_cast<std::size_t>(TlsFault::too_many_updates)], 1u);
}

TEST_P(KernelStream, TellsTheEndOfEitherSide) {
  open();
  shake_hands();
  kernel_.full_controls = 1;
  stream_->finish_writing();
  EXPECT_FALSE(wire_->target_finished);
  ASSERT_TRUE(notify(*wire_));
  EXPECT_TRUE(wire_->target_finished);
  hear();
  EXPECT_EQ(host_->read().error().kind, client::ErrorKind::closed);
  host_->say_goodbye();
  send();
  EXPECT_EQ(read_once(4096).error(), StreamError::closed);
  EXPECT_EQ(read_once(4096).error(), StreamError::closed);
}

TEST_P(KernelStream, EndsWhatIsDamaged) {
  open();
  shake_hands();
  ASSERT_TRUE(host_->write(words_of(100)));
  send();
  wire_->to_target[50] ^= std::byte{1};
  EXPECT_EQ(read_once(4096).error(), StreamError::broken);
  EXPECT_EQ(counters_.failures[static_cast<std::size_t>(TlsFault::bad_record)], 1u);
}

INSTANTIATE_TEST_SUITE_P(Suites, KernelStream,
                         testing::Values(ptls::Hash::sha256, ptls::Hash::sha384),
                         [](const auto& suite) {
                           return suite.param == ptls::Hash::sha256 ? "Aes128" : "Aes256";
                         });

// RFC 8448, section 3: the server's keys for data, as <linux/tls.h> lays them out; after two
// records.
TEST(KernelKeys, AreThoseOfRfc8448) {
  ptls::Secret secret{.size = 32};
  const Bytes bytes =
      client::from_hex("a11af9f05531f856ad47116b45a95032 8204b4f44bfb6b3a4b4f1f3fcb631643");
  std::ranges::copy(bytes, secret.space.begin());
  ptls::RecordCipher cipher(ptls::Hash::sha256, secret, ptls::RecordCipher::Direction::seal);
  for (int i = 0; i < 2; ++i) {
    Bytes record(ptls::record_overhead_bytes);
    cipher.begin_sealing(0, record);
    cipher.end_sealing(ptls::ContentType::application_data);
  }
  EXPECT_EQ(client::to_hex(kernel_keys(cipher.keys())),
            client::to_hex(client::from_hex("0403 3300 dd83549aadf1e984"
                                            "9f02283b6c9c07efc26bb9f2ac92e356"
                                            "cf782b88 0000000000000002")));
}

}  // namespace
}  // namespace target::tls
