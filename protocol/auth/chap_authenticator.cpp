#include "protocol/auth/chap_authenticator.h"

#include <algorithm>
#include <utility>

namespace protocol::auth {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

std::string_view text_of(ChapFault fault) {
  switch (fault) {
    case ChapFault::no_common_algorithm:
      return "no algorithm in common";
    case ChapFault::bad_value:
      return "a value that is missing or malformed";
    case ChapFault::wrong_name:
      return "unknown name";
    case ChapFault::wrong_response:
      return "wrong response";
    case ChapFault::reflected_challenge:
      return "our own challenge given back";
    case ChapFault::no_target_account:
      return "mutual authentication asked for, and nothing configured to answer it";
    case ChapFault::same_secret:
      return "one secret for both directions";
    case ChapFault::out_of_sequence:
      return "a key out of sequence";
  }
  return "unknown fault";
}

ChapAuthenticator::ChapAuthenticator(ChapCredentials credentials, std::uint8_t identifier,
                                     std::span<const std::byte> challenge)
    : credentials_(std::move(credentials)),
      identifier_(identifier),
      challenge_(challenge.begin(), challenge.end()) {}

engine::Result<ChapAlgorithm, ChapFault> ChapAuthenticator::choose(
    std::span<const std::uint64_t> offered) {
  for (const std::uint64_t number : offered) {
    const auto allowed =
        std::find_if(credentials_.algorithms.begin(), credentials_.algorithms.end(),
                     [number](ChapAlgorithm a) { return static_cast<std::uint64_t>(a) == number; });
    if (allowed == credentials_.algorithms.end() || !is_available(*allowed)) continue;
    algorithm_ = *allowed;
    return *allowed;
  }
  return ChapFault::no_common_algorithm;
}

std::optional<ChapFault> ChapAuthenticator::verify(std::string_view name,
                                                   std::span<const std::byte> response) const {
  if (!algorithm_) return ChapFault::out_of_sequence;
  const auto expected =
      chap_response(*algorithm_, identifier_, credentials_.initiator.secret, challenge_);
  if (!expected) return ChapFault::no_common_algorithm;
  // Both are looked at in any case: how long it takes does not tell which of them is wrong.
  const bool name_right =
      equal_in_constant_time(bytes_of(name), bytes_of(credentials_.initiator.name));
  const bool response_right = equal_in_constant_time(response, expected->bytes());
  if (!name_right) return ChapFault::wrong_name;
  if (!response_right) return ChapFault::wrong_response;
  return std::nullopt;
}

engine::Result<ChapAuthenticator::Answer, ChapFault> ChapAuthenticator::answer(
    std::uint8_t identifier, std::span<const std::byte> challenge) const {
  if (!algorithm_) return ChapFault::out_of_sequence;
  if (challenge.empty() || challenge.size() > longest_challenge_bytes) return ChapFault::bad_value;
  // Or somebody without the secret could have us compute what we ask for.
  if (equal_in_constant_time(challenge, challenge_)) return ChapFault::reflected_challenge;
  if (!credentials_.target) return ChapFault::no_target_account;
  if (equal_in_constant_time(bytes_of(credentials_.target->secret),
                             bytes_of(credentials_.initiator.secret))) {
    return ChapFault::same_secret;
  }
  const auto response =
      chap_response(*algorithm_, identifier, credentials_.target->secret, challenge);
  if (!response) return ChapFault::no_common_algorithm;
  return Answer{.name = credentials_.target->name, .response = *response};
}

}  // namespace protocol::auth
