// TokenGate: knows callers over TCP by their tokens, and keeps those out that guess.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/foundation/clock.h"
#include "target/control/http.h"
#include "target/control/token_store.h"

namespace target::control {

// Refused since the daemon started, by why.
struct GateCounts {
  std::uint64_t without_token = 0;
  std::uint64_t unknown_token = 0;
  std::uint64_t role = 0;     // the token's does not reach
  std::uint64_t blocked = 0;  // too many unknown tokens have come from there
  std::uint64_t handshake = 0;
};

// Control thread.
class TokenGate final : public Gatekeeper {
 public:
  // Unknown tokens from one network (Caller::network) within `window`; from then on until its end
  // nobody is let in from there, whatever he shows.
  static constexpr std::uint32_t most_failures = 10;
  static constexpr std::chrono::seconds window{60};
  // Networks that are remembered: the one that began first is forgotten for a new one.
  static constexpr std::size_t most_networks = 1024;
  // Of a refusal that the operator should hear of; who or where, and one sentence.
  using Tell = std::function<void(const std::string& subject, const std::string& sentence)>;

  // `tokens` and `clock` outlive it.
  TokenGate(const TokenStore& tokens, const engine::Clock& clock, Tell tell)
      : tokens_(tokens), clock_(clock), tell_(std::move(tell)) {}

  // "Bearer TOKEN". For what only looks also "Basic", of whose password it is the token: browsers
  // can do nothing else. They send it by themselves, though, with what other pages make them ask
  // for: nothing is changed on the strength of it.
  [[nodiscard]] std::optional<Answer> admit(Method method, std::string_view authorization,
                                            Caller& caller) override;
  [[nodiscard]] Answer refuse(const Request& request, Role needed) override;
  void handshake_failed(const Caller& caller) override;

  [[nodiscard]] const GateCounts& counts() const { return counts_; }

 private:
  struct Failures {
    std::uint32_t count = 0;
    engine::Instant began{};
  };
  // The window that is under way; nullptr: there is none.
  Failures* failures_of(const std::string& network);
  void note_failure(const Caller& caller);

  const TokenStore& tokens_;
  const engine::Clock& clock_;
  const Tell tell_;
  GateCounts counts_;
  std::map<std::string, Failures> failures_;
};

}  // namespace target::control
