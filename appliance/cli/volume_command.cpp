#include "appliance/cli/volume_command.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <cstdio>

#include "appliance/cli/control_client.h"
#include "config/values.h"

namespace cli {

int volume_grow(const std::string& socket, const std::string& name, const std::string& size) {
  const auto bytes = config::parse_size(size);
  if (!bytes) {
    fmt::print(stderr, "forebayctl: {}\n", bytes.error().text);
    return 1;
  }
  // It stands in a path: what a name cannot contain would make another one of it.
  if (name.find_first_of("/?# %\r\n") != std::string::npos) {
    fmt::print(stderr, "forebayctl: there is no volume {}\n", name);
    return 1;
  }
  const auto grown = post(socket, "/v1/volumes/" + name + "/grow",
                          boost::json::object{{"size_bytes", bytes.value().value}});
  if (!grown) {
    fmt::print(stderr, "forebayctl: {}\n", grown.error());
    return 1;
  }
  fmt::print(
      "volume {0} is now {1}; its hosts have been told. Write size: {1} into the configuration.\n",
      name, config::size_text(bytes.value()));
  return 0;
}

}  // namespace cli
