// The API's part that makes, lists and revokes tokens.
#pragma once

#include <memory>
#include <vector>

#include "target/control/audit.h"
#include "target/control/http.h"
#include "target/control/token_store.h"

namespace target::control {

// Changes wait for the store's disk on a thread of their own, one at a time.
class TokenChanges {
 public:
  explicit TokenChanges(std::shared_ptr<TokenStore> tokens);
  TokenChanges(const TokenChanges&) = delete;
  TokenChanges& operator=(const TokenChanges&) = delete;
  ~TokenChanges() { finish(); }

  //   GET  /v1/tokens
  //   POST /v1/tokens/{name}/create   {"role": ROLE}; answered with the token, this once
  //   POST /v1/tokens/{name}/revoke
  // Neither the audit nor the list has the token itself.
  [[nodiscard]] std::vector<Route> routes(const Audit& audit);
  // Waits for the change under way; later ones are refused. Not on the control thread, which is
  // still there.
  void finish();

 private:
  struct Shared;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace target::control
