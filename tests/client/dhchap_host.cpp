#include "tests/client/dhchap_host.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/foundation/random.h"

namespace client {
namespace {

struct FreeDhKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using DhKeyOwner = std::unique_ptr<EVP_PKEY, FreeDhKey>;
using DhContext = std::unique_ptr<EVP_PKEY_CTX, FreeDhKey>;

constexpr std::size_t header_bytes = 16;  // of Challenge, Reply, Success1 and Success2
constexpr std::size_t dhchap_list_bytes = 30;
constexpr std::uint8_t dhchap_id = 1;

const EVP_MD* digest_by(std::uint8_t hash) {
  return hash == 1 ? EVP_sha256() : hash == 2 ? EVP_sha384() : hash == 3 ? EVP_sha512() : nullptr;
}
std::size_t bytes_of_hash(std::uint8_t hash) {
  return static_cast<std::size_t>(EVP_MD_get_size(digest_by(hash)));
}
constexpr std::array<std::size_t, 6> group_bytes{0, 256, 384, 512, 768, 1024};
constexpr std::array<const char*, 6> group_names{"",          "ffdhe2048", "ffdhe3072",
                                                 "ffdhe4096", "ffdhe6144", "ffdhe8192"};

const unsigned char* raw(const Bytes& bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* raw(Bytes& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

Bytes keyed_hash(std::uint8_t hash, const Bytes& key, const Bytes& data) {
  Bytes sum(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  CHECK(HMAC(digest_by(hash), key.data(), static_cast<int>(key.size()), raw(data), data.size(),
             raw(sum), &size) != nullptr);
  sum.resize(size);
  return sum;
}

Bytes plain_hash_of(std::uint8_t hash, const Bytes& data) {
  Bytes sum(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  CHECK(EVP_Digest(data.data(), data.size(), raw(sum), &size, digest_by(hash), nullptr) == 1);
  sum.resize(size);
  return sum;
}

void add(Bytes& to, std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

// The key that a secret's text stands for, where it belongs to `nqn`. Its checksum is not looked
// at.
std::optional<Bytes> key_of(const std::string& text, const std::string& nqn) {
  if (text.size() < 12 || !text.starts_with("DHHC-1:0") || text.back() != ':') return std::nullopt;
  const auto transformation = static_cast<std::uint8_t>(text[8] - '0');
  const std::string digits = text.substr(10, text.size() - 11);
  Bytes key(digits.size());
  const int size = EVP_DecodeBlock(raw(key), reinterpret_cast<const unsigned char*>(digits.data()),
                                   static_cast<int>(digits.size()));
  const auto padding = std::count(digits.begin(), digits.end(), '=');
  if (size < padding + 4) return std::nullopt;
  key.resize(static_cast<std::size_t>(size - padding - 4));
  if (transformation == 0) return key;
  Bytes message;
  add(message, nqn);
  add(message, "NVMe-over-Fabrics");
  return keyed_hash(transformation, key, message);
}

std::string base64_of(const Bytes& bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), raw(bytes),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

Error refusal(const char* what, const Completion& done) {
  return {ErrorKind::refused, fmt::format("{}: {}", what, done.describe())};
}
Error broken(const std::string& text) { return {ErrorKind::violation, text}; }

}  // namespace

// This side's key pair and, when the other's public value is known, the shared secret.
struct DhchapHost::Exchange {
  DhKeyOwner pair;
  Bytes public_value;
  Bytes secret;

  static std::unique_ptr<Exchange> make(std::uint8_t group, const Bytes& peer) {
    auto made = std::make_unique<Exchange>();
    const std::size_t size = group_bytes[group];
    const DhContext context(EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr));
    std::string name = group_names[group];
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name.data(), name.size()),
        OSSL_PARAM_construct_end()};
    EVP_PKEY* pair = nullptr;
    CHECK(context != nullptr && EVP_PKEY_keygen_init(context.get()) == 1);
    CHECK(EVP_PKEY_CTX_set_params(context.get(), params) == 1);
    CHECK(EVP_PKEY_generate(context.get(), &pair) == 1);
    made->pair.reset(pair);
    unsigned char* value = nullptr;
    const std::size_t length = EVP_PKEY_get1_encoded_public_key(pair, &value);
    CHECK(length <= size);
    made->public_value.assign(size, std::byte{0});
    std::copy_n(reinterpret_cast<std::byte*>(value), length,
                made->public_value.end() - static_cast<std::ptrdiff_t>(length));
    OPENSSL_free(value);
    return made->agree(peer) ? std::move(made) : nullptr;
  }

  bool agree(const Bytes& peer) {
    const DhKeyOwner other(EVP_PKEY_new());
    if (EVP_PKEY_copy_parameters(other.get(), pair.get()) != 1 ||
        EVP_PKEY_set1_encoded_public_key(other.get(), raw(peer), peer.size()) != 1) {
      return false;
    }
    const DhContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, pair.get(), nullptr));
    secret.resize(public_value.size());
    std::size_t size = secret.size();
    return EVP_PKEY_derive_init(context.get()) == 1 &&
           EVP_PKEY_CTX_set_dh_pad(context.get(), 1) == 1 &&
           EVP_PKEY_derive_set_peer(context.get(), other.get()) == 1 &&
           EVP_PKEY_derive(context.get(), raw(secret), &size) == 1 && size == secret.size();
  }
};

std::uint16_t message_of(const Bytes& message) {
  if (message.size() < 2) return 0xffff;
  return static_cast<std::uint16_t>(get<std::uint8_t>(message, 0) << 8 |
                                    get<std::uint8_t>(message, 1));
}

std::uint8_t explanation_of(const Bytes& message) {
  if (message_of(message) != auth_message::failure1 || message.size() < 8) return 0;
  return get<std::uint8_t>(message, 7);
}

DhchapHost::DhchapHost(DhchapOptions options, std::string host_nqn, std::string subsystem_nqn)
    : options_(std::move(options)),
      host_nqn_(std::move(host_nqn)),
      subsystem_nqn_(std::move(subsystem_nqn)) {}

DhchapHost::~DhchapHost() = default;

Bytes DhchapHost::header(std::uint16_t message, std::size_t bytes) const {
  Bytes made(bytes);
  put<std::uint8_t>(made, 0, static_cast<std::uint8_t>(message >> 8));
  put<std::uint8_t>(made, 1, static_cast<std::uint8_t>(message & 0xff));
  put<std::uint16_t>(made, 4, transaction);
  return made;
}

Bytes DhchapHost::negotiate() const {
  Bytes message = header(auth_message::negotiate, 8 + 4 + 2 * dhchap_list_bytes);
  put(message, 6, options_.concatenation);
  put<std::uint8_t>(message, 7, 1);  // NAPD
  put<std::uint8_t>(message, 8, dhchap_id);
  put<std::uint8_t>(message, 10, static_cast<std::uint8_t>(options_.hashes.size()));
  put<std::uint8_t>(message, 11, static_cast<std::uint8_t>(options_.groups.size()));
  for (std::size_t i = 0; i < options_.hashes.size(); ++i) put(message, 12 + i, options_.hashes[i]);
  for (std::size_t i = 0; i < options_.groups.size(); ++i) {
    put(message, 12 + dhchap_list_bytes + i, options_.groups[i]);
  }
  return message;
}

// What every message of the controller must be; AUTH_Failure1 is an answer to all of them.
Result<void> DhchapHost::judge(const Bytes& message, std::uint16_t wanted) const {
  const std::uint16_t is = message_of(message);
  if (message.size() < 8) return broken("an authentication message that is too short");
  if (get<std::uint16_t>(message, 4) != transaction) {
    return broken("an authentication message of another transaction");
  }
  if (is == auth_message::failure1) {
    return Error{ErrorKind::refused,
                 fmt::format("AUTH_Failure1: reason {}, explanation {}",
                             get<std::uint8_t>(message, 6), get<std::uint8_t>(message, 7))};
  }
  if (is != wanted) return broken(fmt::format("message {:04x}h where {:04x}h was due", is, wanted));
  return engine::success();
}

Result<void> DhchapHost::take_challenge(const Bytes& message) {
  TRY(judge(message, auth_message::challenge));
  if (message.size() < header_bytes) return broken("a challenge that is too short");
  const auto length = get<std::uint8_t>(message, 6);
  hash_ = get<std::uint8_t>(message, 8);
  group_ = get<std::uint8_t>(message, 9);
  const auto value_bytes = get<std::uint16_t>(message, 10);
  sequence_ = get<std::uint32_t>(message, 12);
  const auto offered = [](const std::vector<std::uint8_t>& list, std::uint8_t id) {
    return std::find(list.begin(), list.end(), id) != list.end();
  };
  if (!offered(options_.hashes, hash_)) return broken("a hash that was not offered");
  if (!offered(options_.groups, group_)) return broken("a group that was not offered");
  if (length != bytes_of_hash(hash_)) return broken("a challenge of another length than its hash");
  if (value_bytes != group_bytes[group_]) return broken("a public value of a wrong length");
  if (sequence_ == 0) return broken("S1 is 0");
  if (message.size() < header_bytes + length + value_bytes)
    return broken("a challenge that is cut");
  const auto at = message.begin() + header_bytes;
  challenge_.assign(at, at + length);
  exchange_.reset();
  if (group_ == 0) return engine::success();
  exchange_ = Exchange::make(group_, Bytes(at + length, at + length + value_bytes));
  if (!exchange_) return broken("a public value that is none of the group");
  return engine::success();
}

Result<Bytes> DhchapHost::response(const std::string& secret, const Bytes& challenge,
                                   std::uint32_t sequence, bool is_host) const {
  const std::string& own = is_host ? host_nqn_ : subsystem_nqn_;
  const std::string& other = is_host ? subsystem_nqn_ : host_nqn_;
  const auto key = key_of(secret, own);
  if (!key) return Error{ErrorKind::misuse, "not a secret of DH-HMAC-CHAP"};
  Bytes message = challenge;
  if (exchange_) {
    message = keyed_hash(hash_, plain_hash_of(hash_, exchange_->secret), challenge);
  }
  const std::size_t fixed = message.size();
  message.resize(fixed + 7);
  put(message, fixed, sequence);
  put(message, fixed + 4, transaction);
  put(message, fixed + 6, options_.proved_concatenation.value_or(options_.concatenation));
  add(message, is_host ? "HostHost" : "Controller");
  add(message, own);
  message.push_back(std::byte{0});
  add(message, other);
  return keyed_hash(hash_, *key, message);
}

Result<Bytes> DhchapHost::reply() {
  TRY(const Bytes proof, response(options_.secret, challenge_, sequence_, true));
  const std::size_t length = proof.size();
  own_challenge_.assign(length, std::byte{0});
  own_sequence_ = 0;
  const bool has_challenge = is_mutual() || options_.concatenation != 0;
  if (has_challenge) engine::system_random(own_challenge_);
  if (is_mutual()) {
    engine::system_random(std::as_writable_bytes(std::span(&own_sequence_, 1)));
    own_sequence_ |= 1;
  }
  Bytes message = header(auth_message::reply, header_bytes);
  put<std::uint8_t>(message, 6, static_cast<std::uint8_t>(length));
  put<std::uint8_t>(message, 8, has_challenge ? 1 : 0);
  put<std::uint16_t>(message, 10, static_cast<std::uint16_t>(group_bytes[group_]));
  put(message, 12, own_sequence_);
  message.insert(message.end(), proof.begin(), proof.end());
  message.insert(message.end(), own_challenge_.begin(), own_challenge_.end());
  if (exchange_) {
    message.insert(message.end(), exchange_->public_value.begin(), exchange_->public_value.end());
  }
  return message;
}

Result<void> DhchapHost::take_success1(const Bytes& message) {
  TRY(judge(message, auth_message::success1));
  if (message.size() < header_bytes) return broken("a success that is too short");
  const auto length = get<std::uint8_t>(message, 6);
  const auto is_valid = get<std::uint8_t>(message, 8);
  if (length != bytes_of_hash(hash_)) return broken("a success of another length than its hash");
  if (is_valid != (is_mutual() ? 1 : 0)) return broken("RVALID is not what was asked for");
  if (!is_mutual()) return engine::success();
  if (message.size() < header_bytes + length) return broken("a success that is cut");
  TRY(const Bytes due, response(options_.controller_secret, own_challenge_, own_sequence_, false));
  if (!std::equal(due.begin(), due.end(), message.begin() + header_bytes)) {
    return Error{ErrorKind::refused, "the controller has another key"};
  }
  return engine::success();
}

Result<TlsOptions> DhchapHost::generated_tls() const {
  if (!exchange_ || hash_ == 3) return Error{ErrorKind::misuse, "there is no PSK for TLS"};
  Bytes challenges = challenge_;
  challenges.insert(challenges.end(), own_challenge_.begin(), own_challenge_.end());
  const Bytes psk = keyed_hash(hash_, plain_hash_of(hash_, exchange_->secret), challenges);
  const std::string names = host_nqn_ + " " + subsystem_nqn_;
  Bytes named;
  add(named, names + " NVMe-over-Fabrics");
  const std::string digest = base64_of(keyed_hash(hash_, psk, named));
  const std::string specifier = hash_ == 1 ? "01" : "02";
  // HKDF-Extract without a salt, then the one block of HKDF-Expand-Label that there is.
  const Bytes extracted = keyed_hash(hash_, Bytes(psk.size()), psk);
  const std::string label = "tls13 nvme-tls-psk";
  const std::string context = specifier + " " + digest;
  Bytes info(2);
  put_big(info, 0, psk.size(), 2);
  info.push_back(static_cast<std::byte>(label.size()));
  add(info, label);
  info.push_back(static_cast<std::byte>(context.size()));
  add(info, context);
  info.push_back(std::byte{1});
  return TlsOptions{.identity = "NVMe1G" + specifier + " " + names + " " + digest,
                    .psk = keyed_hash(hash_, extracted, info),
                    .is_sha384 = hash_ == 2};
}

Bytes DhchapHost::success2() const { return header(auth_message::success2, header_bytes); }

Bytes DhchapHost::failure2(std::uint8_t explanation) const {
  Bytes message = header(auth_message::failure2, 8);
  put<std::uint8_t>(message, 6, 1);
  put(message, 7, explanation);
  return message;
}

Result<void> DhchapHost::prove(Queue& queue) {
  TRY(send_message(queue, negotiate()));
  TRY(const Bytes challenge, receive_message(queue));
  TRY(take_challenge(challenge));
  TRY(const Bytes answer, reply());
  TRY(send_message(queue, answer));
  TRY(const Bytes success, receive_message(queue));
  const auto taken = take_success1(success);
  if (!taken) {
    // Of AUTH_Failure1 nothing more is said; a controller that is not believed is told.
    if (message_of(success) == auth_message::success1) {
      TRY(send_message(queue, failure2(1)));
    }
    return taken.error();
  }
  if (!is_mutual()) return engine::success();
  return send_message(queue, success2());
}

namespace {

Command authentication_command(std::uint8_t type, std::uint32_t bytes) {
  Command command{.entry = Entry(opcode::fabrics)};
  command.entry.byte(4, type).cdw(10, 0xe901'0100).cdw(11, bytes);  // SECP, SPSP1, SPSP0
  return command;
}

}  // namespace

Command authentication_send(const Bytes& message) {
  Command command = authentication_command(0x05, static_cast<std::uint32_t>(message.size()));
  command.data_out = message;
  return command;
}

Command authentication_receive(std::uint32_t bytes) {
  Command command = authentication_command(0x06, bytes);
  command.data_in_bytes = bytes;
  return command;
}

Result<void> send_message(Queue& queue, const Bytes& message) {
  TRY(const auto done, queue.execute(authentication_send(message)));
  if (!done.ok()) return refusal("Authentication Send", done);
  return engine::success();
}

Result<Bytes> receive_message(Queue& queue) {
  TRY(auto done, queue.execute(authentication_receive()));
  if (!done.ok()) return refusal("Authentication Receive", done);
  return std::move(done.data);
}

}  // namespace client
