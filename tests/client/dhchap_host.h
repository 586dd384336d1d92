// DH-HMAC-CHAP from a host's side, on one queue: messages built field by field and freely spoiled,
// and a whole transaction. NVM Express Base 2.0, sections 6.1, 6.2 and 8.13.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/client/queue.h"
#include "tests/client/tls_client.h"

namespace client {

// AUTH_ID behind AUTH_TYPE.
namespace auth_message {
constexpr std::uint16_t negotiate = 0x0000;
constexpr std::uint16_t failure2 = 0x00f0;
constexpr std::uint16_t failure1 = 0x00f1;
constexpr std::uint16_t challenge = 0x0101;
constexpr std::uint16_t reply = 0x0102;
constexpr std::uint16_t success1 = 0x0103;
constexpr std::uint16_t success2 = 0x0104;
}  // namespace auth_message

// Explanations of AUTH_Failure1.
namespace auth_failure {
constexpr unsigned failed = 1;
constexpr unsigned no_protocol = 2;
constexpr unsigned wrong_concatenation = 3;
constexpr unsigned no_hash = 4;
constexpr unsigned no_group = 5;
constexpr unsigned wrong_payload = 6;
constexpr unsigned wrong_message = 7;
}  // namespace auth_failure

// Bits of dword 0 of Connect's response.
constexpr std::uint32_t connect_wants_authentication = 1U << 17;  // AUTHREQ.ATR
constexpr std::uint32_t connect_wants_concatenation = 1U << 18;   // AUTHREQ.ASCR

// SC_C: what else the transaction shall make.
constexpr std::uint8_t new_tls_psk = 2;
constexpr std::uint8_t replace_tls_psk = 3;

struct DhchapOptions {
  std::string secret = {};                             // "DHHC-1:HH:BASE64:", of the host
  std::string controller_secret = {};                  // empty: the target need not prove itself
  std::vector<std::uint8_t> hashes{1, 2, 3};           // SHA-256, -384, -512
  std::vector<std::uint8_t> groups{0, 1, 2, 3, 4, 5};  // null, ffdhe2048 to ffdhe8192
  std::uint8_t concatenation = 0;                      // SC_C of the Negotiate
  // SC_C as the response has it; nullopt: the same (earlier Linux has 0).
  std::optional<std::uint8_t> proved_concatenation = {};
};

// "AUTH_Type 00h, AUTH_ID f1h" as one number; FFFFh of what is too short for it.
[[nodiscard]] std::uint16_t message_of(const Bytes& message);
// The reason code explanation of AUTH_Failure1; 0 of anything else.
[[nodiscard]] std::uint8_t explanation_of(const Bytes& message);

// One transaction. Not thread safe. Who wants to break rules sends what it likes in between.
class DhchapHost {
 public:
  // The NQNs are those of Connect.
  DhchapHost(DhchapOptions options, std::string host_nqn, std::string subsystem_nqn);
  DhchapHost(const DhchapHost&) = delete;
  DhchapHost& operator=(const DhchapHost&) = delete;
  ~DhchapHost();

  std::uint16_t transaction = 1;  // T_ID

  [[nodiscard]] Bytes negotiate() const;
  // Violations: lengths, hash or group that were not offered, another transaction. Refused: it is
  // AUTH_Failure1.
  [[nodiscard]] Result<void> take_challenge(const Bytes& message);
  // Of the challenge that was taken last.
  [[nodiscard]] Result<Bytes> reply();
  // Violations: as above. Refused: AUTH_Failure1; or the controller has not proved itself, and was
  // asked to.
  [[nodiscard]] Result<void> take_success1(const Bytes& message);
  [[nodiscard]] Bytes success2() const;
  [[nodiscard]] Bytes failure2(std::uint8_t explanation) const;
  [[nodiscard]] bool is_mutual() const { return !options_.controller_secret.empty(); }

  // All of it, on a queue that is connected. Errors: refused with the reason code explanation, or
  // the command's status.
  [[nodiscard]] Result<void> prove(Queue& queue);

  // What secure concatenation has come to, behind take_success1(): identity and PSK for TLS.
  // Errors: misuse (there was no Diffie-Hellman, or the hash is SHA-512).
  [[nodiscard]] Result<TlsOptions> generated_tls() const;

  [[nodiscard]] std::uint8_t hash() const { return hash_; }
  [[nodiscard]] std::uint8_t group() const { return group_; }

 private:
  struct Exchange;
  [[nodiscard]] Bytes header(std::uint16_t message, std::size_t bytes) const;
  [[nodiscard]] Result<void> judge(const Bytes& message, std::uint16_t wanted) const;
  // What a side answers to `challenge` with its key.
  [[nodiscard]] Result<Bytes> response(const std::string& secret, const Bytes& challenge,
                                       std::uint32_t sequence, bool is_host) const;

  const DhchapOptions options_;
  const std::string host_nqn_;
  const std::string subsystem_nqn_;
  std::uint8_t hash_ = 0;
  std::uint8_t group_ = 0;
  Bytes challenge_;  // C1
  std::uint32_t sequence_ = 0;
  Bytes own_challenge_;  // C2
  std::uint32_t own_sequence_ = 0;
  std::unique_ptr<Exchange> exchange_;  // Diffie-Hellman; nullptr with the null group
};

// Authentication Send of a message.
[[nodiscard]] Command authentication_send(const Bytes& message);
// Authentication Receive of at most `bytes`.
[[nodiscard]] Command authentication_receive(std::uint32_t bytes = 4096);
// They and their answer. Errors: refused with the status.
[[nodiscard]] Result<void> send_message(Queue& queue, const Bytes& message);
[[nodiscard]] Result<Bytes> receive_message(Queue& queue);

}  // namespace client
