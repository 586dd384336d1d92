// Any bytes as a configuration file: a verdict, never a crash, and never a Config beside an error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "config/parse.h"
#include "engine/foundation/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const config::ParseOutcome outcome = config::parse_text(text, "f.yaml");
  bool has_errors = false;
  for (const config::Message& message : outcome.messages) {
    has_errors = has_errors || message.severity == config::Severity::error;
    CHECK(config::format(message).find('\n') == std::string::npos);
  }
  CHECK(outcome.config.has_value() == !has_errors);
  return 0;
}
