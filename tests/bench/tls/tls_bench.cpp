// What TLS costs a core: sealing and opening as connections do it, beside OpenSSL's own AES-GCM
// over the same bytes, and setting up connections.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <algorithm>
#include <vector>

#include "engine/foundation/check.h"
#include "protocol/tls/psk.h"
#include "target/tls/key_ring.h"
#include "target/tls/tls_records.h"
#include "tests/client/tls_client.h"

namespace target::tls {
namespace {

namespace ptls = protocol::tls;
using client::Bytes;

constexpr std::size_t header_bytes = 24;  // of C2HData
const ptls::HandshakeResult secrets{.suite = ptls::Hash::sha256,
                                    .group = {},
                                    .client_secret = {.size = 32},
                                    .server_secret = {.size = 32}};

// The bound: nothing but the cipher, in records of the largest size.
void bare_aes_gcm(benchmark::State& state) {
  const Bytes in(static_cast<std::size_t>(state.range(0)), std::byte{7});
  Bytes out(in.size() + 16);
  const std::vector<unsigned char> key(16);
  const std::vector<unsigned char> iv(12);
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  CHECK(EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), nullptr, key.data(), nullptr) == 1);
  for (auto _ : state) {
    for (std::size_t at = 0; at < in.size(); at += ptls::largest_content_bytes) {
      const auto size = static_cast<int>(std::min(in.size() - at, ptls::largest_content_bytes));
      int done = 0;
      CHECK(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, iv.data()) == 1);
      CHECK(EVP_EncryptUpdate(context, reinterpret_cast<unsigned char*>(out.data()), &done,
                              reinterpret_cast<const unsigned char*>(in.data()) + at, size) == 1);
      unsigned char tag[16];
      CHECK(EVP_EncryptFinal_ex(context, tag, &done) == 1);
    }
  }
  EVP_CIPHER_CTX_free(context);
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

// A reply to a read: its header and its data, from where they lie.
void seal_reply(benchmark::State& state) {
  TlsCounters counters;
  TlsRecords records(secrets, {}, counters);
  Bytes header(header_bytes);
  Bytes data(static_cast<std::size_t>(state.range(0)), std::byte{7});
  const iovec pieces[] = {{.iov_base = header.data(), .iov_len = header.size()},
                          {.iov_base = data.data(), .iov_len = data.size()}};
  Bytes out(data.size() + 64 * 1024);
  for (auto _ : state) {
    const auto sealed = records.seal(pieces, 0, out);
    CHECK(sealed.bytes == header.size() + data.size());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

// The data of a write, to where it belongs.
void open_data(benchmark::State& state) {
  TlsCounters counters;
  TlsRecords records(secrets, {}, counters);
  ptls::RecordCipher peer(ptls::Hash::sha256, secrets.client_secret,
                          ptls::RecordCipher::Direction::seal);
  const auto size = static_cast<std::size_t>(state.range(0));
  const Bytes data(size, std::byte{7});
  Bytes record(size + ptls::record_overhead_bytes);
  Bytes into(size);
  const iovec place{.iov_base = into.data(), .iov_len = into.size()};
  std::vector<std::byte> reply;
  for (auto _ : state) {
    state.PauseTiming();
    peer.begin_sealing(size, record);
    peer.add(data);
    peer.end_sealing(ptls::ContentType::application_data);
    const auto room = records.room();
    std::ranges::copy(record, room.begin());
    records.received(record.size());
    state.ResumeTiming();
    CHECK(records.read({&place, 1}, reply).value().bytes == size);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

struct Peer {
  HostKey key{
      .name = "k", .psk = {.retained_by = ptls::Hash::sha256, .key = {.size = 32}}, .until = {}};
  client::TlsOptions options;
  KeyRing ring;

  Peer() {
    const ptls::Names names{"nqn.2026-11.com.example:host", "nqn.2026-11.com.example:store"};
    constexpr auto derivation = ptls::Derivation::early_libnvme;
    constexpr auto version = ptls::IdentityVersion::v1;
    const auto retained = ptls::retained_psk(key.psk, names.host_nqn, derivation);
    options.identity = ptls::psk_identity(version, ptls::Hash::sha256, names, *retained);
    const auto psk =
        ptls::tls_psk(version, ptls::Hash::sha256, options.identity, *retained, derivation);
    options.psk.assign(psk->bytes().begin(), psk->bytes().end());
    ring = KeyRing({{.host_nqn = std::string(names.host_nqn), .keys = {key}}});
  }
};

// Our side alone of a connection that is set up: the hello is read, its key found, hands shaken.
void set_up(benchmark::State& state) {
  const Peer peer;
  const ptls::HandshakeContext context({});
  for (auto _ : state) {
    state.PauseTiming();
    client::TlsClient tls(peer.options);
    CHECK(!tls.shake_hands().value());
    const Bytes hello = tls.to_send();
    state.ResumeTiming();
    ptls::HelloGatherer gatherer;
    CHECK(gatherer.add(hello).value());
    const auto parsed = ptls::parse_client_hello(gatherer.message());
    auto chosen =
        std::get<ChosenKey>(peer.ring.choose(parsed.value(), std::chrono::system_clock::now()));
    ptls::ServerHandshake ours(
        context, {.identity = chosen.identity, .hash = chosen.hash, .key = chosen.psk});
    std::vector<std::byte> out;
    CHECK(ours.take(hello, out));
    state.PauseTiming();
    tls.feed(out);
    CHECK(tls.shake_hands().value());
    const Bytes finished = tls.to_send();
    state.ResumeTiming();
    CHECK(ours.take(finished, out).value().has_value());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

// What somebody without the key can make us do.
void refuse(benchmark::State& state) {
  Peer peer;
  peer.options.psk[0] ^= std::byte{1};
  client::TlsClient tls(peer.options);
  CHECK(!tls.shake_hands().value());
  const Bytes hello = tls.to_send();
  for (auto _ : state) {
    ptls::HelloGatherer gatherer;
    CHECK(gatherer.add(hello).value());
    const auto parsed = ptls::parse_client_hello(gatherer.message());
    CHECK(std::holds_alternative<KeyRefusal>(
        peer.ring.choose(parsed.value(), std::chrono::system_clock::now())));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

BENCHMARK(bare_aes_gcm)->Arg(4096)->Arg(16384)->Arg(131072);
BENCHMARK(seal_reply)->Arg(4096)->Arg(16384)->Arg(131072);
BENCHMARK(open_data)->Arg(4096)->Arg(16384);
BENCHMARK(set_up);
BENCHMARK(refuse);

}  // namespace
}  // namespace target::tls

BENCHMARK_MAIN();
