// How something that the daemon has begun gets on: shown on a terminal until it is over.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace cli {

// Out of the daemon's status: what is left of it ("3.1 GiB, about 2m 5s left"); empty: it is over.
using LookAtProgress = std::function<std::string(const boost::json::value& status)>;

struct Watched {
  enum class End : std::uint8_t {
    over,
    interrupted,  // by SIGINT
    unknown,      // the daemon does not answer: `error`
  };
  End end = End::unknown;
  boost::json::value status;  // the daemon's, when it was over
  std::string error{};
};

// From now on SIGINT ends watch(), and a second one the process. To be called before what must not
// go on unwatched is asked for.
void note_interrupt();
// There was one since.
[[nodiscard]] bool is_interrupted();

// Asks again and again until it is over. `ctrl_c`: what SIGINT does then ("cancels"). `is_quiet`:
// scripts read the output.
[[nodiscard]] Watched watch(const std::string& socket, const std::string& name,
                            const std::string& ctrl_c, bool is_quiet, const LookAtProgress& look);

// "3.1 GiB, about 2m 5s left"; without a time where nobody knows one.
[[nodiscard]] std::string left_text(std::uint64_t bytes, std::optional<std::uint64_t> seconds);
// The same of what one volume of the status has to bring to its pool.
[[nodiscard]] std::string drain_text(const boost::json::value& volume);
// And of all volumes that a cache device serves.
[[nodiscard]] std::string retirement_text(const boost::json::value& status,
                                          const std::string& device);

}  // namespace cli
