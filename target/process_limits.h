// The descriptors this process may have, against what the configuration may need.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace target {

// Raises the soft RLIMIT_NOFILE to the hard one; then nullopt if `needed` descriptors fit, or a
// line for the operator that says what to change.
[[nodiscard]] std::optional<std::string> raise_descriptor_limit(std::uint64_t needed);

}  // namespace target
