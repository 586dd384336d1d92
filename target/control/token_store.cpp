#include "target/control/token_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <span>
#include <system_error>
#include <utility>

#include "engine/foundation/crc32c.h"
#include "engine/foundation/random.h"
#include "protocol/auth/binary_text.h"
#include "protocol/auth/chap.h"
#include "target/control/state_file.h"
#include "target/net/unique_fd.h"

namespace target::control {
namespace {

constexpr std::string_view first_line = "forebay-tokens 1\n";
constexpr std::size_t largest_token_file = 256 << 10;

std::string reason_of(int error) { return std::generic_category().message(error); }

std::string hex_text(std::span<const std::byte> bytes) {
  return protocol::auth::to_hex(bytes).substr(2);
}

bool is_token_name(std::string_view name) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= TokenStore::longest_name &&
         std::ranges::all_of(name, is_plain);
}

// Takes the next word of `line` off it.
std::string_view next_word(std::string_view& line) {
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(word.size() + 1, line.size()));
  return word;
}

// "ci viewer 5f16... 1764403200000 root"
std::string line_of_token(const Token& token) {
  return fmt::format("{} {} {} {} {}\n", token.name, text(token.role), hex_text(token.digest),
                     token.created_ms, token.created_by);
}

std::optional<Token> token_of_line(std::string_view line) {
  Token token;
  token.name = next_word(line);
  const auto role = parse_role(next_word(line));
  const auto digest = protocol::auth::parse_binary("0x" + std::string(next_word(line)), 32);
  const std::string_view time = next_word(line);
  token.created_by = line;
  const auto read = std::from_chars(time.data(), time.data() + time.size(), token.created_ms);
  if (!is_token_name(token.name) || !role || !digest || digest->size() != token.digest.size() ||
      read.ec != std::errc() || read.ptr != time.data() + time.size()) {
    return std::nullopt;
  }
  token.role = *role;
  std::ranges::copy(*digest, token.digest.begin());
  return token;
}

std::string sum_line(std::string_view text) {
  return fmt::format("crc32c {:08x}\n", engine::crc32c(std::as_bytes(std::span(text))));
}

// nullopt: it is not as it was written.
std::optional<std::vector<Token>> tokens_in(std::string_view text) {
  constexpr std::size_t sum_bytes = 16;
  if (!text.starts_with(first_line) || text.size() < first_line.size() + sum_bytes) {
    return std::nullopt;
  }
  const std::string_view summed = text.substr(0, text.size() - sum_bytes);
  if (text.substr(summed.size()) != sum_line(summed)) return std::nullopt;
  std::vector<Token> tokens;
  std::string_view rest = summed.substr(first_line.size());
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    auto token = token_of_line(line);
    if (!token) return std::nullopt;
    tokens.push_back(std::move(*token));
  }
  return tokens;
}

}  // namespace

engine::Result<void, std::string> TokenStore::load() {
  const std::lock_guard changing(changing_mutex_);
  auto tokens = read();
  if (!tokens) {
    trouble_ = tokens.error();
    return trouble_;
  }
  const std::lock_guard lock(mutex_);
  tokens_ = std::move(tokens).value();
  return engine::success();
}

engine::Result<std::vector<Token>, std::string> TokenStore::read() const {
  if (path_.empty()) return std::vector<Token>{};
  const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file && errno == ENOENT) return std::vector<Token>{};
  struct stat about {};
  if (!file || ::fstat(file.get(), &about) != 0) {
    return fmt::format("{} cannot be read: {}; no token is valid", path_, reason_of(errno));
  }
  if (!S_ISREG(about.st_mode) || (about.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fmt::format(
        "{} has mode {:04o}: others may read or change it; no token is valid; chmod "
        "0600 it and restart",
        path_, about.st_mode & 07777U);
  }
  std::string text(largest_token_file, '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), 0);
  if (got < 0) {
    return fmt::format("{} cannot be read: {}; no token is valid", path_, reason_of(errno));
  }
  text.resize(static_cast<std::size_t>(got));
  auto tokens = tokens_in(text);
  if (!tokens) {
    return fmt::format("{} is damaged; no token is valid; remove it, restart, and make tokens anew",
                       path_);
  }
  return std::move(*tokens);
}

engine::Result<TokenStore::Made, std::string> TokenStore::create(const std::string& name, Role role,
                                                                 const std::string& by) {
  if (!is_token_name(name)) {
    return fmt::format("a token's name has 1 to {} letters, digits, dots, hyphens or underscores",
                       longest_name);
  }
  const std::lock_guard changing(changing_mutex_);
  if (!trouble_.empty()) return trouble_;
  std::vector<Token> tokens = all();
  const auto place = std::ranges::lower_bound(tokens, name, {}, &Token::name);
  if (place != tokens.end() && place->name == name) {
    return fmt::format("there is a token {} already; revoke it, or choose another name", name);
  }
  if (tokens.size() >= most_tokens) {
    return fmt::format("there are {} tokens already; revoke some", most_tokens);
  }
  std::array<std::byte, 32> secret{};
  engine::system_random(secret);
  std::string token = std::string(prefix) + hex_text(secret);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  tokens.insert(place, {.name = name,
                        .role = role,
                        .digest = protocol::auth::sha256(token),
                        .created_ms = static_cast<std::uint64_t>(
                            std::chrono::duration_cast<std::chrono::milliseconds>(now).count()),
                        .created_by = by});
  TRY(save(tokens));
  const std::lock_guard lock(mutex_);
  tokens_ = std::move(tokens);
  return Made{std::move(token)};
}

engine::Result<void, std::string> TokenStore::revoke(const std::string& name) {
  const std::lock_guard changing(changing_mutex_);
  if (!trouble_.empty()) return trouble_;
  std::vector<Token> tokens = all();
  if (std::erase_if(tokens, [&name](const Token& token) { return token.name == name; }) == 0) {
    return fmt::format("there is no token {}", name);
  }
  TRY(save(tokens));
  const std::lock_guard lock(mutex_);
  tokens_ = std::move(tokens);
  return engine::success();
}

std::vector<Token> TokenStore::all() const {
  const std::lock_guard lock(mutex_);
  return tokens_;
}

std::optional<Token> TokenStore::find(std::string_view token) const {
  const protocol::auth::Sha256 digest = protocol::auth::sha256(token);
  std::optional<Token> found;
  const std::lock_guard lock(mutex_);
  for (const Token& one : tokens_) {
    if (protocol::auth::equal_in_constant_time(one.digest, digest)) found = one;
  }
  return found;
}

engine::Result<void, std::string> TokenStore::save(const std::vector<Token>& tokens) const {
  if (path_.empty()) {
    return "no token can be kept: the daemon has no state directory; set StateDirectory=forebay in "
           "the unit, or STATE_DIRECTORY";
  }
  std::string text(first_line);
  for (const Token& token : tokens) text += line_of_token(token);
  text += sum_line(text);
  const std::size_t slash = path_.rfind('/');
  const auto written = write_state_file(path_.substr(0, slash), path_.substr(slash + 1), text);
  if (!written) return written.error() + "; nothing has changed";
  return engine::success();
}

}  // namespace target::control
