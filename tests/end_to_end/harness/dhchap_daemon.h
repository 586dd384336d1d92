// A daemon with hosts that prove themselves by DH-HMAC-CHAP, and their keys.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {

// Of each length, and with each transformation.
constexpr std::string_view host_secret =
    "DHHC-1:00:ERgfJi00O0JJUFdeZWxzeoGIj5adpKuyucDHztXc4+oQKkVI:";
constexpr std::string_view controller_secret =
    "DHHC-1:01:IikwNz5FTFNaYWhvdn2Ei5KZoKeutbzDytHY3+bt9PsjdkHX:";
constexpr std::string_view next_secret =
    "DHHC-1:02:MzpBSE9WXWRrcnmAh46VnKOqsbi/xs3U2+Lp8Pf+BQwTGiEoLzY9REtSWWBnbnV8jo/cuA==:";
constexpr std::string_view strangers_secret =
    "DHHC-1:03:REtSWWBnbnV8g4qRmJ+mrbS7wsnQ197l7PP6AQgPFh0kKzI5QEdOVVxjanF4f4aNlJuiqbC3vsXM09rh6O/"
    "2/XNvFac=:";

constexpr const char* nqn_with_dhchap = "nqn.2026-11.com.example:proves-itself";
constexpr const char* nqn_of_strict = "nqn.2026-11.com.example:proves-itself-everywhere";

// Statuses of Connect and of commands before authentication, as Completion::kind() has them.
constexpr std::uint16_t authentication_required = 0x191;
constexpr std::uint16_t command_sequence_error = 0x00c;

class DhchapDaemon : public testing::Test {
 public:
  // Of the Admin queue of `nqn_with_dhchap`.
  [[nodiscard]] static client::ConnectFields connect_fields();

 protected:
  // Listeners: one that is plain, one with a second for authentication, one with TLS too. Hosts:
  // `nqn_with_dhchap` (hosts[0] of the configuration), `nqn_of_strict` at discovery as well, and
  // anybody else without keys.
  DhchapDaemon();

  // `secret` in a file that only its owner may read: what a configuration calls it.
  std::string place(const std::string& name, std::string_view secret);
  // dhchap of hosts[0]: its section, without braces.
  void configure(const std::string& section);

  [[nodiscard]] client::Endpoint plain() const { return daemon_.endpoint(0); }
  [[nodiscard]] client::Endpoint hasty() const { return daemon_.endpoint(1); }
  [[nodiscard]] client::Endpoint with_tls() const { return daemon_.endpoint(2); }

  // A host that has these keys.
  [[nodiscard]] static HostOptions host_with(client::DhchapOptions keys,
                                             const std::string& nqn = nqn_with_dhchap);
  [[nodiscard]] static client::DhchapOptions usual() {
    return {.secret = std::string(host_secret)};
  }
  // "let in", or why not.
  [[nodiscard]] std::string attempt(const client::DhchapOptions& keys,
                                    const std::string& subsystem = default_subsystem,
                                    const std::string& nqn = nqn_with_dhchap) const;

  Workplace workplace_;
  Daemon daemon_;

 private:
  ConfigText config_text();
};

}  // namespace end_to_end
