// TokenStore: the tokens by which callers over TCP are known, kept in a file. Of a token only its
// SHA-256 is kept: it is 256 bits of randomness, which nobody finds by trying.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/foundation/result.h"
#include "protocol/auth/digest.h"
#include "target/control/http.h"

namespace target::control {

struct Token {
  std::string name{};
  Role role = Role::viewer;
  protocol::auth::Sha256 digest{};
  std::uint64_t created_ms = 0;  // since 1970
  std::string created_by{};
};

// Any thread. What changes it writes the file, and may wait for its disk.
class TokenStore {
 public:
  static constexpr std::size_t most_tokens = 256;
  static constexpr std::size_t longest_name = 63;
  // How a token begins, so that one in the wrong place is recognised.
  static constexpr std::string_view prefix = "fbt-";

  // `path`: of the file, which need not be there yet; empty: nothing can be kept.
  explicit TokenStore(std::string path) : path_(std::move(path)) {}
  TokenStore(const TokenStore&) = delete;
  TokenStore& operator=(const TokenStore&) = delete;

  // Reads the file, once. The error is a sentence, and then there are no tokens, and none can be
  // made: a file that others may change, or that is not as this writes it, says nothing about who
  // may do what.
  [[nodiscard]] engine::Result<void, std::string> load();

  // The token itself, which nobody can be told again.
  struct Made {
    std::string token;
  };
  // The error is a sentence.
  [[nodiscard]] engine::Result<Made, std::string> create(const std::string& name, Role role,
                                                         const std::string& by);
  [[nodiscard]] engine::Result<void, std::string> revoke(const std::string& name);

  // In the order of their names.
  [[nodiscard]] std::vector<Token> all() const;
  // Whose it is. Takes as long for one as for another.
  [[nodiscard]] std::optional<Token> find(std::string_view token) const;

 private:
  [[nodiscard]] engine::Result<std::vector<Token>, std::string> read() const;
  [[nodiscard]] engine::Result<void, std::string> save(const std::vector<Token>& tokens) const;

  const std::string path_;
  std::mutex changing_mutex_;  // before mutex_: one change at a time, over the file
  std::string trouble_;        // of load(); guarded by changing_mutex_
  mutable std::mutex mutex_;   // guards what follows; a leaf
  std::vector<Token> tokens_;
};

}  // namespace target::control
