// Redaction: what is taken out of text before it leaves the machine.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace cli {

// Secrets that are known by content, in whatever text they turn up.
class Redaction {
 public:
  // What is shorter is no secret, and would tear holes into everything.
  static constexpr std::size_t least_bytes = 6;

  // Also without the blanks and line ends around it.
  void add(std::string_view secret);
  // Takes out the values of keys that are called secret, key, psk, password or token, but not
  // references (credential:NAME, file:PATH), and knows those values from then on. The text need not
  // be valid YAML: what cannot be told apart is taken out.
  [[nodiscard]] std::string of_configuration(std::string_view yaml);
  // References that the text has: "file:/etc/forebay/secrets/a".
  [[nodiscard]] static std::vector<std::string> references_in(std::string_view yaml);
  // Takes out every secret as it is, in hexadecimal digits and in base64.
  [[nodiscard]] std::string of_text(std::string text) const;

 private:
  std::set<std::string> forms_;
};

}  // namespace cli
