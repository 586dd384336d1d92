// The target's side of one CHAP exchange: chooses an algorithm, gives a challenge, judges the
// answer, and answers the initiator's own challenge (mutual CHAP).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/foundation/result.h"
#include "protocol/auth/chap.h"

namespace protocol::auth {

enum class ChapFault : std::uint8_t {
  no_common_algorithm,
  bad_value,            // a value that is missing, not binary, too long, or out of range
  wrong_name,           // the initiator's name is not the account's
  wrong_response,       // wrong secret
  reflected_challenge,  // the initiator gives us our own challenge (12.1.3: "MUST")
  no_target_account,    // it asks for mutual CHAP, and we have nothing to prove ourselves with
  same_secret,          // both directions have one secret (9.2.1: "MUST NOT")
  out_of_sequence,      // a key that is not the next step's
};
[[nodiscard]] std::string_view text_of(ChapFault fault);

class ChapAuthenticator {
 public:
  // Views nothing: credentials are copied.
  ChapAuthenticator(ChapCredentials credentials, std::uint8_t identifier,
                    std::span<const std::byte> challenge);

  // Takes the first of the initiator's algorithms that may be chosen and is available.
  [[nodiscard]] engine::Result<ChapAlgorithm, ChapFault> choose(
      std::span<const std::uint64_t> offered);

  // Of the chosen algorithm.
  [[nodiscard]] std::uint8_t identifier() const { return identifier_; }
  [[nodiscard]] std::span<const std::byte> challenge() const { return challenge_; }

  // The initiator's name and response. Needs choose().
  [[nodiscard]] std::optional<ChapFault> verify(std::string_view name,
                                                std::span<const std::byte> response) const;

  struct Answer {
    std::string name;
    ChapDigest response;
  };
  // Our answer to the initiator's challenge. After verify() has succeeded.
  [[nodiscard]] engine::Result<Answer, ChapFault> answer(
      std::uint8_t identifier, std::span<const std::byte> challenge) const;

 private:
  ChapCredentials credentials_;
  std::uint8_t identifier_;
  std::vector<std::byte> challenge_;
  std::optional<ChapAlgorithm> algorithm_;
};

}  // namespace protocol::auth
