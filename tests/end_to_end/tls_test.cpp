// NVMe/TCP inside TLS: who has a key of a host reaches its volumes, and nobody else; whatever bytes
// come, the others do not notice.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>

#include "protocol/tls/psk.h"
#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

namespace tls = protocol::tls;
using tls::Derivation;
using tls::IdentityVersion;

constexpr const char* nqn_of_a =
    "nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427";
constexpr const char* nqn_of_b = "nqn.2026-11.com.example:host-b";
constexpr std::string_view key_of_a =
    "NVMeTLSkey-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
constexpr std::string_view long_key_of_a =
    "NVMeTLSkey-1:02:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wyg3Bcw==:";

std::string another_key(std::byte fill) {
  tls::ConfiguredPsk psk{.retained_by = tls::Hash::sha256, .key = {.size = 32}};
  std::ranges::fill(psk.key.bytes(), fill);
  return tls::key_text_of(psk);
}

struct Proof {
  std::string key{key_of_a};
  std::string host = nqn_of_a;
  std::string subsystem = default_subsystem;
  Derivation derivation = Derivation::rfc8446;
  IdentityVersion version = IdentityVersion::v1;
};

client::TlsOptions options_of(const Proof& proof) {
  const auto psk = std::get<tls::ConfiguredPsk>(tls::parse_key_text(proof.key));
  const auto retained = tls::retained_psk(psk, proof.host, proof.derivation);
  const std::string identity =
      tls::psk_identity(proof.version, psk.hash(), {proof.host, proof.subsystem}, *retained);
  const auto key = tls::tls_psk(proof.version, psk.hash(), identity, *retained, proof.derivation);
  const auto bytes = key->bytes();
  return {.identity = identity,
          .psk = {bytes.begin(), bytes.end()},
          .is_sha384 = psk.hash() == tls::Hash::sha384};
}

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
                                .options = std::string("tls: ") + policy});
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

  void reload() {
    write_file(daemon_.config_path(), daemon_.config().yaml());
    const auto before = daemon_.status().at("last_reload").at("time_ms");
    daemon_.process().signal(SIGHUP);
    ASSERT_TRUE(daemon_.await_status([&](const auto& now) {
      return now.at("last_reload").at("time_ms") != before &&
             now.at("last_reload").at("result").as_string() == "applied";
    })) << daemon_.log();
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
  reload();
  EXPECT_TRUE(Host(required(), host_of({})).connected());
  EXPECT_TRUE(Host(required(), host_of({.key = fresh})).connected());
  // The old one no longer.
  daemon_.config().hosts[0].options =
      fmt::format("tls_psk: [{}]\ntls_psk_old: [{}]\ntls_psk_old_until: \"2026-01-01T00:00:00Z\"\n",
                  place("fresh", fresh), place("a", key_of_a));
  reload();
  EXPECT_NE(refusal_of(required(), options_of({})).find("decrypt error"), std::string::npos);
  EXPECT_TRUE(daemon_.await_log({"tls refused", nqn_of_a, "tls_psk_old_until"}));
  // Another key in the same file.
  place("fresh", another_key(std::byte{10}));
  reload();
  EXPECT_NE(refusal_of(required(), options_of({.key = fresh})).find("decrypt error"),
            std::string::npos);
  EXPECT_TRUE(Host(required(), host_of({.key = another_key(std::byte{10})})).connected());
  // Who was connected has not noticed.
  write_and_read_back(*host.queue, 1, 100, 64, 4096, 5);
  bystander.expect_undisturbed();
}

TEST_F(Tls, HostileBytesEndTheirOwnConnectionAndNothingElse) {
  ASSERT_TRUE(daemon_.start());
  Bystander bystander(required(), host_of({.key = another_key(std::byte{2}), .host = nqn_of_b}));

  // In the smallest pieces it is the same hello.
  auto options = host_of({});
  auto cut = *options.transport.tls;
  cut.cut_bytes = 1;
  options.transport.tls = std::make_shared<const client::TlsOptions>(cut);
  EXPECT_TRUE(Host(required(), options).connected());

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
