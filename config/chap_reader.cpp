#include "config/chap_reader.h"

#include "config/identity.h"

namespace config {
namespace {

using std::string_view;

constexpr std::size_t max_user_bytes = 255;  // RFC 7143, section 6.1: of a text value

Parsed<std::string> parse_user(string_view text) { return parse_ascii(text, max_user_bytes); }

void check_mutual(const Chap& chap, SectionReader& reader) {
  const bool has_user = reader.has("mutual_user");
  const bool has_secret = reader.has("mutual_secret");
  if (has_user && reader.lacks("mutual_secret")) {
    reader.report().error(reader.at("mutual_user"), reader.path_of("mutual_user"),
                          "needs mutual_secret, with which the target proves itself; add it.");
  } else if (has_secret && reader.lacks("mutual_user")) {
    reader.report().error(reader.at("mutual_secret"), reader.path_of("mutual_secret"),
                          "needs mutual_user, the name that the target says; add it.");
  }
  // RFC 7143, section 12.1.3: or one side could have the other compute its own answer.
  if (chap.mutual_secret && chap.secret.at.line != 0 &&
      chap.mutual_secret->value == chap.secret.value) {
    reader.report().error(chap.mutual_secret->at, reader.path_of("mutual_secret"),
                          "is the secret of the other direction; make another.");
  }
}

}  // namespace

std::optional<Chap> read_chap(SectionReader& owner, string_view key, string_view pattern) {
  if (!owner.has(key)) return std::nullopt;
  SectionReader reader = owner.below(key, pattern);
  reader.check_keys();
  Chap chap;
  chap.at = reader.at();
  assign(chap.user, reader.parsed("user", parse_user));
  assign(chap.secret, reader.parsed("secret", parse_secret));
  chap.mutual_user = reader.parsed("mutual_user", parse_user);
  chap.mutual_secret = reader.parsed("mutual_secret", parse_secret);
  check_mutual(chap, reader);
  return chap;
}

}  // namespace config
