// NVMe/TCP inside TLS: who has a key of a host reaches its volumes, and nobody else; whatever bytes
// come, the others do not notice.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <thread>

#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/holdings.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/tls_proof.h"

namespace end_to_end {
namespace {

namespace tls = protocol::tls;
using tls::Derivation;
using tls::IdentityVersion;

constexpr int poll_time_out_ms = 20'000;
constexpr std::size_t alert_bytes = 7;
constexpr std::size_t record_header_bytes = 5;
constexpr std::size_t largest_hello_bytes = 8192;
constexpr std::size_t tls_crowd = 400;
constexpr std::uint64_t allowed_for_one = 64 << 10;
constexpr std::uint64_t allowed_afterwards = (8 << 20) + sanitizer_bytes;

using Proof = TlsProof;
constexpr std::string_view key_of_a = tls_key_of_a;
constexpr std::string_view long_key_of_a =
    "NVMeTLSkey-1:02:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wyg3Bcw==:";

std::string another_key(std::byte fill) { return tls_key_of(fill); }

HostOptions host_of(const Proof& proof, client::TransportOptions transport = {}) {
  transport.tls = std::make_shared<const client::TlsOptions>(options_of(proof));
  return {.transport = transport, .subsystem = proof.subsystem, .host_nqn = proof.host};
}

std::string refusal_of(const client::Endpoint& endpoint, const client::TlsOptions& options) {
  const auto opened = client::TlsTunnel::open(endpoint, options);
  return opened ? std::string("let in") : opened.error().describe();
}

class Tls : public testing::Test {
 protected:
  Tls() : daemon_(workplace_, config()) {}

  std::string place(const std::string& name, std::string_view key) {
    write_file(workplace_.path(name), std::string(key) + "\n");
    ::chmod(workplace_.path(name).c_str(), 0600);
    return fmt::format("\"file:{}\"", workplace_.path(name));
  }

  ConfigText config() {
    ConfigText text = memory_config();
    for (const char* const policy : {"permitted", "required"}) {
      text.listeners.push_back({.name = policy,
                                .port = workplace_.free_port(),
                                // So that the test alone ends connections.
                                .options = std::string("icreq_timeout: 5m, tls: ") + policy});
    }
    text.subsystems[0].listeners = "[permitted, required]";
    text.subsystems[0].hosts = "[a, b]";
    text.hosts.push_back({.name = "a",
                          .nqn = nqn_of_a,
                          .options = fmt::format("tls_psk: [{}, {}]\n", place("a", key_of_a),
                                                 place("a-long", long_key_of_a))});
    text.hosts.push_back(
        {.name = "b",
         .nqn = nqn_of_b,
         .options = fmt::format("tls_psk: [{}]\n", place("b", another_key(std::byte{2})))});
    return text;
  }

  [[nodiscard]] client::Endpoint permitted() const { return daemon_.endpoint(0); }
  [[nodiscard]] client::Endpoint required() const { return daemon_.endpoint(1); }

  Workplace workplace_;
  Daemon daemon_;
};

TEST_F(Tls, BothDerivationsIdentitiesAndSuitesReachTheirVolumes) {
  ASSERT_TRUE(daemon_.start());
  std::uint64_t seed = 1;
  for (const std::string_view key : {key_of_a, long_key_of_a}) {
    for (const auto derivation : {Derivation::rfc8446, Derivation::early_libnvme}) {
      for (const auto version : {IdentityVersion::v0, IdentityVersion::v1}) {
        const Proof proof{.key = std::string(key), .derivation = derivation, .version = version};
        // Digests inside TLS too, every other time.
        const bool with_digests = seed % 2 == 0;
        Host host(required(),
                  host_of(proof, {.header_digest = with_digests, .data_digest = with_digests}));
        ASSERT_TRUE(host.connected());
        write_and_read_back(*host.queue, 1, seed * 300, 1, 4096, seed);
        write_and_read_back(*host.queue, 1, seed * 300 + 1, 250, 4096, seed + 100);
        write_and_read_back(*host.queue, 2, seed * 10, 1, 512, seed + 200);
        ++seed;
      }
    }
  }
  EXPECT_TRUE(daemon_.await_log({"tls agreed", nqn_of_a, "derivation=\"early libnvme\""}));

  Host host(permitted(), host_of({.key = std::string(long_key_of_a)}));
  ASSERT_TRUE(host.connected());
  // What is here of the hosts before may still be there.
  EXPECT_TRUE(daemon_.await_status([](const auto& now) {
    const auto& hosts = now.at("hosts").as_array();
    return hosts.size() == 1 && hosts[0].at("security").as_string() == "tls1.3/aes-256-gcm/a-long";
  }));
  // On the same port, without TLS.
  Host plain(permitted(), {.host_nqn = nqn_of_b});
  ASSERT_TRUE(plain.connected());
  write_and_read_back(*plain.queue, 1, 0, 32, 4096, 99);
}

TEST_F(Tls, DiscoveryTellsWhichListenersHaveIt) {
  ASSERT_TRUE(daemon_.start());
  const Proof proof{.subsystem = client::discovery_nqn};
  const auto controller = attach(required(), host_of(proof));
  ASSERT_NE(controller, nullptr);
  const auto log = controller->discovery_log();
  ASSERT_GOOD(log);
  int seen = 0;
  for (const auto& entry : log.value().entries) {
    const bool is_required = entry.service_id == std::to_string(required().port);
    EXPECT_EQ(entry.transport_requirements & 3, is_required ? 1 : 2);
    EXPECT_EQ(entry.security_type, 2);
    ++seen;
  }
  EXPECT_GE(seen, 2);
}

TEST_F(Tls, WhoHasNoKeyOrAnothersIsRefusedAndTheReasonIsToldHere) {
  ASSERT_TRUE(daemon_.start());
  // One answer whatever is wrong: nobody learns which names there are.
  client::TlsOptions wrong = options_of({.version = IdentityVersion::v0});
  wrong.psk[0] ^= std::byte{1};
  EXPECT_NE(refusal_of(required(), wrong).find("decrypt error"), std::string::npos);
  EXPECT_TRUE(daemon_.await_log({"tls refused", nqn_of_a, "its key is not the one"}));
  const auto unknown = options_of({.host = "nqn.2026-11.com.example:nobody"});
  EXPECT_NE(refusal_of(required(), unknown).find("decrypt error"), std::string::npos);
  EXPECT_TRUE(daemon_.await_log({"tls refused", "nobody", "no key is configured"}));
  client::TlsOptions nonsense = options_of({});
  nonsense.identity = std::string(300, 'x');
  EXPECT_NE(refusal_of(required(), nonsense).find("decrypt error"), std::string::npos);
  client::TlsOptions old = options_of({});
  old.is_tls_1_2 = true;
  EXPECT_NE(refusal_of(required(), old).find("protocol version"), std::string::npos);
  client::TlsOptions odd = options_of({});
  odd.groups = "P-521";
  EXPECT_NE(refusal_of(required(), odd).find("handshake failure"), std::string::npos);
  // The other host's key, with this one's name.
  const auto others =
      options_of({.key = another_key(std::byte{2}), .version = IdentityVersion::v0});
  EXPECT_NE(refusal_of(required(), others).find("decrypt error"), std::string::npos);

  const auto plain = client::RawConnection::connect(required());
  ASSERT_GOOD(plain);
  ASSERT_GOOD(plain.value()->send(client::to_pdu(client::IcRequest{})));
  EXPECT_GOOD(plain.value()->await_end());
  EXPECT_TRUE(daemon_.await_log({"tls refused", "it speaks without TLS"}));
}

TEST_F(Tls, TheKeyIsTheHostsThatConnectsAndForWhatItConnectsTo) {
  ASSERT_TRUE(daemon_.start());
  const auto attach_as = [&](const std::string& host, const std::string& subsystem,
                             const Proof& proof) {
    auto options = host_of(proof);
    const auto made = client::Controller::attach({.endpoint = permitted(),
                                                  .transport = options.transport,
                                                  .subsystem_nqn = subsystem,
                                                  .host_nqn = host});
    return made ? std::string("let in") : made.error().describe();
  };
  EXPECT_NE(attach_as(nqn_of_b, default_subsystem, {}).find("refused"), std::string::npos);
  EXPECT_TRUE(daemon_.await_log({"connect refused", nqn_of_b, "another host's"}));
  EXPECT_NE(attach_as(nqn_of_a, client::discovery_nqn, {}).find("refused"), std::string::npos);
  EXPECT_TRUE(daemon_.await_log({"connect refused", nqn_of_a, "for another subsystem"}));
  // An I/O queue without TLS for a controller inside it.
  const auto controller = attach(permitted(), host_of({}));
  ASSERT_NE(controller, nullptr);
  auto queue = client::Queue::open(permitted());
  ASSERT_GOOD(queue);
  const auto answer = queue.value()->connect(controller->io_connect_fields(1, 32));
  ASSERT_GOOD(answer);
  EXPECT_FALSE(answer.value().ok());
  EXPECT_TRUE(daemon_.await_log({"connect refused", "the Admin queue is inside TLS"}));
}

TEST_F(Tls, KeysAreExchangedWhileHostsStayConnected) {
  ASSERT_TRUE(daemon_.start());
  Host host(required(), host_of({}));
  Bystander bystander(permitted(), {.host_nqn = nqn_of_b});
  ASSERT_TRUE(host.connected());
  const std::string fresh = another_key(std::byte{9});
  // Both for a while.
  daemon_.config().hosts[0].options =
      fmt::format("tls_psk: [{}]\ntls_psk_old: [{}]\ntls_psk_old_until: \"2199-01-01T00:00:00Z\"\n",
                  place("fresh", fresh), place("a", key_of_a));
  daemon_.reload();
  EXPECT_TRUE(Host(required(), host_of({})).connected());
  EXPECT_TRUE(Host(required(), host_of({.key = fresh})).connected());
  // The old one no longer.
  daemon_.config().hosts[0].options =
      fmt::format("tls_psk: [{}]\ntls_psk_old: [{}]\ntls_psk_old_until: \"2026-01-01T00:00:00Z\"\n",
                  place("fresh", fresh), place("a", key_of_a));
  daemon_.reload();
  EXPECT_NE(refusal_of(required(), options_of({})).find("decrypt error"), std::string::npos);
  EXPECT_TRUE(daemon_.await_log({"tls refused", nqn_of_a, "tls_psk_old_until"}));
  // Another key in the same file.
  place("fresh", another_key(std::byte{10}));
  daemon_.reload();
  EXPECT_NE(refusal_of(required(), options_of({.key = fresh})).find("decrypt error"),
            std::string::npos);
  EXPECT_TRUE(Host(required(), host_of({.key = another_key(std::byte{10})})).connected());
  // Who was connected has not noticed.
  write_and_read_back(*host.queue, 1, 100, 64, 4096, 5);
  bystander.expect_undisturbed();
}

// What it says first; empty when it ends the connection without a word.
client::Bytes answer_of(client::RawConnection& raw) {
  client::Bytes bytes(alert_bytes);
  std::size_t had = 0;
  pollfd waiting{.fd = raw.socket(), .events = POLLIN, .revents = 0};
  while (had < bytes.size() && ::poll(&waiting, 1, poll_time_out_ms) == 1) {
    const ssize_t got = ::recv(raw.socket(), bytes.data() + had, bytes.size() - had, MSG_DONTWAIT);
    if (got <= 0) break;
    had += static_cast<std::size_t>(got);
  }
  bytes.resize(had);
  return bytes;
}

constexpr std::uint8_t of_handshake = 22;
constexpr std::uint8_t of_alert = 21;

std::uint8_t type_of(const client::Bytes& answer) {
  return answer.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(answer[0]);
}
// Of an alert.
std::uint8_t description_of(const client::Bytes& answer) {
  return answer.size() < alert_bytes ? std::uint8_t{0} : std::to_integer<std::uint8_t>(answer[6]);
}

// The ClientHello of a host whose key is the right one.
client::Bytes hello_of(const client::TlsOptions& options) {
  client::TlsClient host(options);
  EXPECT_FALSE(host.shake_hands().value());
  return host.to_send();
}

TEST_F(Tls, AHelloInFragmentsIsTheSameHello) {
  ASSERT_TRUE(daemon_.start());
  // As TCP may cut it: in the smallest pieces.
  auto options = host_of({});
  auto cut = *options.transport.tls;
  cut.cut_bytes = 1;
  options.transport.tls = std::make_shared<const client::TlsOptions>(cut);
  EXPECT_TRUE(Host(required(), options).connected());

  // As RFC 8446, 5.1, lets TLS cut it: in records.
  const client::Bytes hello = hello_of(options_of({}));
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{200}}) {
    client::Bytes records;
    for (std::size_t at = record_header_bytes; at < hello.size(); at += piece) {
      const std::size_t bytes = std::min(piece, hello.size() - at);
      for (const std::size_t byte :
           {std::size_t{22}, std::size_t{3}, std::size_t{1}, bytes >> 8, bytes & 0xff}) {
        records.push_back(static_cast<std::byte>(byte));
      }
      records.insert(records.end(), hello.begin() + static_cast<std::ptrdiff_t>(at),
                     hello.begin() + static_cast<std::ptrdiff_t>(at + bytes));
    }
    auto raw = client::RawConnection::connect(required());
    ASSERT_GOOD(raw);
    ASSERT_GOOD(raw.value()->send(records));
    const client::Bytes answer = answer_of(*raw.value());
    // So many records are more than a hello may have around it.
    const bool is_too_large = records.size() > largest_hello_bytes;
    EXPECT_EQ(type_of(answer), is_too_large ? of_alert : of_handshake)
        << piece << ": " << client::to_hex(answer);
  }
}

// Somebody on the way changes what the host offers, to have less of it.
TEST_F(Tls, NobodyOnTheWayTalksAHostDown) {
  ASSERT_TRUE(daemon_.start());
  constexpr std::uint8_t decrypt_error = 51;
  constexpr std::uint8_t protocol_version = 70;
  constexpr std::uint8_t handshake_failure = 40;
  struct Change {
    const char* what;
    const char* from;
    const char* to;
    std::uint8_t alert;
  };
  for (const Change& change : {
           Change{"TLS 1.2 alone", "00 2b 00 03 02 03 04", "00 2b 00 03 02 03 03",
                  protocol_version},
           Change{"no exchange of keys", "00 2d 00 02 01 01", "00 2d 00 02 01 00",
                  handshake_failure},
           Change{"one suite fewer", "13 02 13 01", "13 01 13 01", decrypt_error},
       }) {
    SCOPED_TRACE(change.what);
    client::Bytes hello = hello_of(options_of({}));
    const client::Bytes from = client::from_hex(change.from);
    const client::Bytes to = client::from_hex(change.to);
    const auto found = std::search(hello.begin(), hello.end(), from.begin(), from.end());
    ASSERT_NE(found, hello.end());
    std::ranges::copy(to, found);
    auto raw = client::RawConnection::connect(required());
    ASSERT_GOOD(raw);
    ASSERT_GOOD(raw.value()->send(hello));
    const client::Bytes answer = answer_of(*raw.value());
    EXPECT_EQ(type_of(answer), of_alert) << client::to_hex(answer);
    EXPECT_EQ(description_of(answer), change.alert) << client::to_hex(answer);
    EXPECT_GOOD(raw.value()->await_end());
  }
}

TEST_F(Tls, SuitesAndGroupsAreThoseOfTheListener) {
  daemon_.config().listeners.push_back(
      {.name = "narrow",
       .port = workplace_.free_port(),
       .options = "tls: required, tls_suites: [TLS_AES_256_GCM_SHA384], tls_groups: [secp384r1]"});
  daemon_.config().subsystems[0].listeners = "[permitted, required, narrow]";
  ASSERT_TRUE(daemon_.start());
  const client::Endpoint narrow = daemon_.endpoint(2);
  EXPECT_NE(refusal_of(narrow, options_of({})).find("alert"), std::string::npos)
      << refusal_of(narrow, options_of({}));
  EXPECT_TRUE(daemon_.await_log({"tls refused", nqn_of_a, "not among the listener's tls_suites"}));
  client::TlsOptions longer = options_of({.key = std::string(long_key_of_a)});
  EXPECT_NE(refusal_of(narrow, longer).find("handshake failure"), std::string::npos)
      << "x25519 is not among its groups";
  // Offered second: it is asked for.
  auto host = host_of({.key = std::string(long_key_of_a)});
  longer.groups = "X25519:P-384";
  host.transport.tls = std::make_shared<const client::TlsOptions>(longer);
  Host with_all(narrow, host);
  ASSERT_TRUE(with_all.connected());
  write_and_read_back(*with_all.queue, 1, 0, 16, 4096, 4);
  EXPECT_TRUE(daemon_.await_log({"tls agreed", "suite=TLS_AES_256_GCM_SHA384", "group=secp384r1"}));
}

// What comes before the peer has said anything could be given again by whoever has heard it.
TEST_F(Tls, EarlyDataIsNotTaken) {
  ASSERT_TRUE(daemon_.start());
  Bystander bystander(required(), host_of({.key = another_key(std::byte{2}), .host = nqn_of_b}));
  client::TlsOptions early = options_of({});
  early.early_data = client::encode(client::to_pdu(client::IcRequest{}), {});
  client::TlsClient host(early);
  EXPECT_FALSE(host.shake_hands().value());
  const client::Bytes sent = host.to_send();
  ASSERT_GT(sent.size(), hello_of(options_of({})).size() + early.early_data.size());
  auto raw = client::RawConnection::connect(required());
  ASSERT_GOOD(raw);
  ASSERT_GOOD(raw.value()->send(sent));
  EXPECT_GOOD(raw.value()->await_end());
  EXPECT_TRUE(daemon_.await_log({"tls refused", nqn_of_a}));
  bystander.expect_undisturbed();
}

TEST_F(Tls, AFloodOfKeyUpdatesEndsItsOwnConnection) {
  ASSERT_TRUE(daemon_.start());
  Bystander bystander(required(), host_of({.key = another_key(std::byte{2}), .host = nqn_of_b}));
  // New keys now and then are followed, ours as well where the host asks; without end they are not.
  Host host(required(), host_of({}));
  ASSERT_TRUE(host.connected());
  for (int round = 0; round < 3; ++round) {
    host.queue->raw().tunnel()->update_keys(round % 2 == 0);
    write_and_read_back(*host.queue, 1, 1000, 128, 4096, 7 + static_cast<std::uint64_t>(round));
  }
  auto flood = client::TlsTunnel::open(required(), options_of({}));
  ASSERT_GOOD(flood);
  for (int i = 0; i < 40 && !flood.value()->end(); ++i) flood.value()->update_keys(true);
  EXPECT_TRUE(daemon_.await_log({"tls refused", "does nothing but change its keys"}));
  bystander.expect_undisturbed();
}

// A quarter says nothing, one stops inside its hello, one is refused, one leaves the handshake to
// us.
TEST_F(Tls, AFloodOfConnectionsLeavesNothingBehind) {
  ASSERT_TRUE(daemon_.start());
  auto bystander = std::make_unique<Bystander>(
      required(), host_of({.key = another_key(std::byte{2}), .host = nqn_of_b}));
  bystander->await_rounds(20);
  const auto await_places = [&](std::size_t crowd) {
    EXPECT_TRUE(daemon_.await_status([crowd](const auto& status) {
      const Holdings now = holdings_of(status);
      return now.places == crowd + 2 && now.connections == now.places;
    }));
  };
  client::TlsOptions wrong = options_of({});
  wrong.psk[0] ^= std::byte{1};
  const auto flood = [&](std::vector<std::unique_ptr<client::RawConnection>>& held) {
    for (std::size_t i = 0; i < tls_crowd; ++i) {
      auto raw = client::RawConnection::connect(required());
      ASSERT_GOOD(raw);
      if (i % 4 != 0) {
        client::Bytes hello = hello_of(i % 4 == 2 ? wrong : options_of({}));
        if (i % 4 == 1) hello.resize(1 + i % (hello.size() - 1));
        ASSERT_GOOD(raw.value()->send(hello));
      }
      if (i % 4 >= 2) {
        EXPECT_EQ(type_of(answer_of(*raw.value())), i % 4 == 2 ? of_alert : of_handshake);
      }
      if (i % 4 != 2) held.push_back(std::move(raw.value()));
    }
  };
  // Once, so that what the libraries keep for ever is there already.
  {
    std::vector<std::unique_ptr<client::RawConnection>> held;
    flood(held);
  }
  await_places(0);
  const Usage before = daemon_.usage();
  {
    std::vector<std::unique_ptr<client::RawConnection>> held;
    flood(held);
    await_places(held.size());
    EXPECT_LE(daemon_.usage().resident_bytes,
              before.resident_bytes + held.size() * allowed_for_one + sanitizer_bytes);
  }
  await_places(0);
  const auto deadline = std::chrono::steady_clock::now() + recovery_time_out;
  Usage now = daemon_.usage();
  while ((now.descriptors != before.descriptors ||
          now.resident_bytes > before.resident_bytes + allowed_afterwards) &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(client::Milliseconds{50});
    now = daemon_.usage();
  }
  EXPECT_EQ(now.descriptors, before.descriptors);
  EXPECT_LE(now.resident_bytes, before.resident_bytes + allowed_afterwards);
  bystander->expect_undisturbed();
  bystander.reset();
  daemon_.expect_nothing_left();
}

TEST_F(Tls, HostileBytesEndTheirOwnConnectionAndNothingElse) {
  ASSERT_TRUE(daemon_.start());
  Bystander bystander(required(), host_of({.key = another_key(std::byte{2}), .host = nqn_of_b}));

  // What is no TLS, or damaged, or too large.
  const auto send_raw = [&](std::vector<std::uint8_t> head, std::size_t more) {
    client::Bytes bytes;
    for (const std::uint8_t byte : head) bytes.push_back(static_cast<std::byte>(byte));
    bytes.resize(bytes.size() + more, std::byte{0x41});
    auto raw = client::RawConnection::connect(required());
    ASSERT_GOOD(raw);
    (void)raw.value()->send(bytes);
    EXPECT_GOOD(raw.value()->await_end());
  };
  send_raw({22, 3, 1, 0, 0}, 0);                  // an empty record
  send_raw({22, 3, 1, 0x40, 1}, 16385);           // a record that is too large
  send_raw({22, 3, 1, 2, 0, 1, 0, 1, 252}, 508);  // a hello of the right length, and of nothing
  send_raw({23, 3, 3, 0, 20}, 20);                // data before there are keys
  for (int i = 0; i < 200; ++i) {
    auto raw = client::RawConnection::connect(required());
    ASSERT_GOOD(raw);
    const client::Bytes begun{std::byte{22}, std::byte{3}, std::byte{1}};
    (void)raw.value()->send(begun);
  }
  bystander.expect_undisturbed();
}

// Somebody else's client, for the handshake alone.
TEST_F(Tls, OpensslAsAClientIsTreatedTheSame) {
  ASSERT_TRUE(daemon_.start());
  const auto run = [&](const client::TlsOptions& options) {
    std::string key = client::to_hex(options.psk);
    std::erase(key, ' ');
    Process process(
        {.arguments = {"/usr/bin/openssl", "s_client", "-connect",
                       fmt::format("127.0.0.1:{}", required().port), "-tls1_3", "-ciphersuites",
                       "TLS_AES_128_GCM_SHA256", "-psk", key, "-psk_identity", options.identity}});
    EXPECT_TRUE(process.await_exit(client::default_time_out));
    return process.output();
  };
  client::TlsOptions options = options_of({});
  EXPECT_NE(run(options).find("Cipher is TLS_AES_128_GCM_SHA256"), std::string::npos);
  options.psk[3] ^= std::byte{1};
  EXPECT_NE(run(options).find("decrypt error"), std::string::npos);
}

}  // namespace
}  // namespace end_to_end
