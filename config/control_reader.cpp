#include "config/control_reader.h"

#include <fmt/format.h>

#include <utility>

#include "config/identity.h"

namespace config {
namespace {

constexpr std::size_t max_socket_bytes = 107;  // sockaddr_un

void check_tls(const Control& control, SectionReader& reader) {
  for (const char* const key : {"certificate", "key"}) {
    if (control.has_tls && reader.lacks(key)) {
      reader.report().error(reader.at("listen"), reader.path_of("listen"),
                            fmt::format("needs {0}, for TLS; write {0}: file:/PATH or {0}: "
                                        "credential:NAME.",
                                        key));
    } else if (!control.has_tls && reader.has(key)) {
      reader.report().error(reader.at(key), reader.path_of(key),
                            "is of TLS, and tls is none; remove one of them.");
    }
  }
  if (control.has_tls) return;
  for (std::size_t i = 0; i < control.listen.size(); ++i) {
    if (control.listen[i].value.address.is_loopback()) continue;
    reader.report().error(control.listen[i].at, fmt::format("{}[{}]", reader.path_of("listen"), i),
                          "is no loopback address: with tls: none everybody on the way could read "
                          "the tokens; remove it, or use TLS.");
  }
}

}  // namespace

Control read_control(SectionReader& reader) {
  reader.check_keys();
  Control control;
  assign(control.socket, reader.parsed("socket", [](std::string_view text) {
    return parse_path(text, max_socket_bytes);
  }));
  control.group = reader.parsed("group", parse_group);
  if (auto listen = reader.endpoints("listen")) control.listen = std::move(*listen);
  if (const auto tls = reader.choice("tls")) control.has_tls = tls->value == "required";
  control.certificate = reader.parsed("certificate", parse_secret);
  control.key = reader.parsed("key", parse_secret);
  if (reader.has("listen")) {
    check_tls(control, reader);
    return control;
  }
  for (const char* const key : {"tls", "certificate", "key"}) {
    if (!reader.has(key) || !reader.lacks("listen")) continue;
    reader.report().error(reader.at(key), reader.path_of(key),
                          "is of the port, and there is none; add listen, or remove this.");
  }
  return control;
}

}  // namespace config
