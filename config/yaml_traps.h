// Plain scalars that YAML 1.1 readers (most editors' and scripts' libraries among them) take for
// something else than YAML 1.2 readers do. Forebay guesses neither way: it refuses them and says
// what to write.
#pragma once

#include <string_view>

namespace config {

// y, yes, on, true and their opposites, in the spellings of YAML 1.1.
[[nodiscard]] bool is_boolean_word(std::string_view plain);
// Of those, the ones that mean true.
[[nodiscard]] bool is_true_word(std::string_view plain);
// null, Null, NULL, ~
[[nodiscard]] bool is_null_word(std::string_view plain);
// 1:30, 10:20:30
[[nodiscard]] bool is_base_60(std::string_view plain);
// 2026-11-20
[[nodiscard]] bool is_date(std::string_view plain);
// 12, -3, 0x1f, 1_000, 1.5, 1e3, .inf
[[nodiscard]] bool is_number(std::string_view plain);

}  // namespace config
