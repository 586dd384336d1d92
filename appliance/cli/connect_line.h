// `forebayctl connect-line HOST`: the exact commands that attach what a host may use, and the lines
// by which that survives the host's reboot.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "appliance/cli/host_view.h"

namespace cli {

struct ConnectLines {
  std::string host;  // its NQN or initiator name
  std::string title;
  bool is_iscsi = false;
  std::vector<std::string> notes{};  // what is to be known or filled in first
  std::vector<std::string> now{};    // commands, to be run as root
  // Commands once, so that the disks are there after each boot.
  std::vector<std::string> at_boot{};
};

// `own_addresses`: of this machine, for listeners on every address; loopback, where there are none.
[[nodiscard]] ConnectLines connect_lines(const boost::json::value& status, const HostView& host,
                                         const std::vector<std::string>& own_addresses);
// A shell script, its explanations as comments.
[[nodiscard]] std::string connect_screen(const std::vector<ConnectLines>& all);
[[nodiscard]] boost::json::value to_json(const std::vector<ConnectLines>& all);

// Of this machine's interfaces: neither loopback nor link-local; numeric.
[[nodiscard]] std::vector<std::string> own_addresses();

// By which Linux looks at the new size of a LUN that has grown; one line.
extern const char* const resize_rule;

}  // namespace cli
