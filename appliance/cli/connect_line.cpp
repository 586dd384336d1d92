#include "appliance/cli/connect_line.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>
#include <utility>

#include "appliance/cli/json_view.h"
#include "appliance/cli/request.h"
#include "config/identity.h"

namespace cli {

const char* const resize_rule =
    R"(ACTION=="change", SUBSYSTEM=="scsi", ENV{SDEV_UA}=="CAPACITY_DATA_HAS_CHANGED", TEST=="rescan", ATTR{rescan}="x")";

namespace {

namespace json = boost::json;

constexpr const char* tls_options = " --tls --keyring=.nvme";

struct Endpoint {
  std::string address;  // without brackets
  std::string port;
};

// Out of "192.0.2.10:4420", "[fd00::5]:4420" or "*:4420".
std::vector<Endpoint> endpoints_of(const json::value& listener,
                                   const std::vector<std::string>& own) {
  const std::string whole = text(listener, "address");
  const std::size_t colon = whole.rfind(':');
  std::string address = whole.substr(0, colon);
  const std::string port = whole.substr(colon + 1);
  if (address.starts_with('[')) address = address.substr(1, address.size() - 2);
  if (address != "*" && address != "0.0.0.0" && address != "::") return {{address, port}};
  std::vector<Endpoint> all;
  for (const std::string& one : own) {
    const bool is_ipv6 = one.find(':') != std::string::npos;
    if (is_ipv6 && address == "0.0.0.0") continue;
    all.push_back({one, port});
  }
  if (all.empty()) all.push_back({address == "::" ? "::1" : "127.0.0.1", port});
  return all;
}

// The host's shell takes it as one word.
std::string quoted(const std::string& word) {
  const bool is_plain = word.find_first_not_of(
                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            "-_.:,/=[]@%+") == std::string::npos;
  if (is_plain && !word.empty()) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string nvme_connect(const Endpoint& at, const std::string& nqn, const HostView& host,
                         const std::string& options) {
  return fmt::format(
      "nvme connect --transport=tcp --traddr={} --trsvcid={} --nqn={} --hostnqn={}{}", at.address,
      at.port, quoted(nqn), quoted(host.id), options);
}

// DH-HMAC-CHAP. Also where it is not required yet: a Linux host keeps its keys until it is asked.
std::string proof_options(const json::value& status, const HostView& host) {
  const json::value known = find(status, "known_hosts", host.name);
  const std::string proof = known.is_null() ? "none" : text(known, "dhchap");
  if (proof == "none") return {};
  return fmt::format(" --dhchap-secret=HOST_KEY{}",
                     proof == "mutual" ? " --dhchap-ctrl-secret=TARGET_KEY" : "");
}

// The proof makes a key for TLS where the host must not do without, and has no other.
std::string concat_option(const json::value& status, const HostView& host) {
  const json::value known = find(status, "known_hosts", host.name);
  return !known.is_null() && text(known, "concat") == "required" ? " --concat" : "";
}

// TLS is used where the listener has it and the host has a key, and where there is no other way.
bool uses_tls(const json::value& status, const json::value& listener, const HostView& host) {
  const std::string tls = text(listener, "tls");
  if (tls == "required") return true;
  if (tls != "permitted") return false;
  const json::value known = find(status, "known_hosts", host.name);
  return !known.is_null() && !list(known, "tls_keys").empty();
}

// Where the kernel finds the key of this host and subsystem. Once for each.
std::string insert_key(const std::string& nqn, const HostView& host) {
  return fmt::format(
      "nvme check-tls-key --insert --keyring=.nvme --identity=1 --hostnqn={} --subsysnqn={} "
      "--keydata=KEY",
      quoted(host.id), quoted(nqn));
}

void add_once(std::vector<std::string>& lines, std::string line) {
  if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(std::move(line));
}

// Listeners of the daemon that answer discovery, those first that do nothing else.
std::vector<std::string> discovery_listeners(const json::value& status, const HostView& host) {
  std::vector<std::string> only;
  std::vector<std::string> also;
  for (const auto& listener : list(status, "listeners")) {
    if (text(listener, "protocol") != "nvme-tcp") continue;
    const std::string name = text(listener, "name");
    const bool is_path =
        std::any_of(host.paths.begin(), host.paths.end(),
                    [&name](const HostPath& path) { return path.listener == name; });
    if (text(listener, "discovery") == "only") only.push_back(name);
    if (text(listener, "discovery") == "also" && is_path) also.push_back(name);
  }
  return only.empty() ? also : only;
}

void add_tls(ConnectLines& lines, const std::string& nqn, const HostView& host) {
  add_once(lines.notes,
           "KEY stands for what the target's file of the host's tls_psk holds: NVMeTLSkey-1:...; "
           "tlshd (ktls-utils) is to run with keyrings=.nvme in [authenticate] of /etc/tlshd.conf");
  add_once(lines.now, insert_key(nqn, host));
}

// A host asks by the well-known NQN, is told the name that the discovery subsystem has, and
// connects again by that: each is a key of its own.
void add_tls_of_discovery(ConnectLines& lines, const json::value& status, const HostView& host) {
  add_tls(lines, std::string(config::discovery_nqn), host);
  const std::string own_nqn = text(status, "discovery_nqn");
  if (!own_nqn.empty()) add_tls(lines, own_nqn, host);
}

// Keys that lie in the kernel now: nvme-cli's udev rule takes them from the file when the module is
// loaded, which must be before anything connects. It makes the file readable and writable for
// everybody, whatever the umask, unless it is there.
void keep_keys(ConnectLines& lines) {
  lines.at_boot.emplace_back("install -m 0600 /dev/null /etc/nvme/tls-keys");
  lines.at_boot.emplace_back("nvme tls-key --export --keyring=.nvme --keyfile=/etc/nvme/tls-keys");
  lines.at_boot.emplace_back("echo nvme-tcp > /etc/modules-load.d/nvme-tcp.conf");
}

void add_discovery(ConnectLines& lines, const json::value& status, const HostView& host,
                   const std::vector<std::string>& own, bool has_keys) {
  for (const std::string& name : discovery_listeners(status, host)) {
    const json::value listener = find(status, "listeners", name);
    const bool with_tls = uses_tls(status, listener, host);
    if (with_tls) add_tls_of_discovery(lines, status, host);
    has_keys |= with_tls;
    for (const Endpoint& at : endpoints_of(listener, own)) {
      const std::string line = fmt::format(
          "--transport=tcp --traddr={} --trsvcid={} --hostnqn={}{}{}", at.address, at.port, host.id,
          text(listener, "header_digest") == "required" ? " --hdr-digest --data-digest" : "",
          with_tls ? tls_options : "");
      add_once(lines.at_boot, fmt::format("echo {} >> /etc/nvme/discovery.conf", quoted(line)));
    }
  }
  if (lines.at_boot.empty()) {
    lines.notes.emplace_back(
        "no listener of this host answers discovery: to have the disks after a reboot, run the "
        "commands above from a service of the host");
    return;
  }
  if (has_keys) keep_keys(lines);
  // Discovery tells no keys: those of the connections that there are now go into
  // /etc/nvme/config.json, in plain text.
  if (!proof_options(status, host).empty()) {
    lines.at_boot.emplace_back("(umask 077; nvme config --scan --update)");
  }
  lines.at_boot.emplace_back("systemctl enable --now nvmf-autoconnect.service");
}

void add_nvme(ConnectLines& lines, const json::value& status, const HostView& host,
              const std::vector<std::string>& own) {
  lines.notes.push_back("the host is known by its NQN: /etc/nvme/hostnqn is to say " + host.id);
  lines.now.emplace_back("modprobe nvme-tcp");
  bool has_keys = false;
  const std::string proof = proof_options(status, host);
  if (!proof.empty()) {
    lines.notes.emplace_back(
        "HOST_KEY stands for what the target's file of the host's dhchap key holds, and TARGET_KEY "
        "for that of its controller_key: DHHC-1:...");
  }
  for (const HostPath& path : host.paths) {
    const json::value listener = find(status, "listeners", path.listener);
    if (listener.is_null()) continue;
    const bool with_digests = text(listener, "header_digest") == "required";
    const bool with_tls = uses_tls(status, listener, host);
    if (with_tls) add_tls(lines, path.exported, host);
    has_keys |= with_tls;
    for (const Endpoint& at : endpoints_of(listener, own)) {
      add_once(
          lines.now,
          nvme_connect(at, path.exported, host,
                       fmt::format("{}{}{}", with_digests ? " --hdr-digest --data-digest" : "",
                                   with_tls ? tls_options : concat_option(status, host), proof)));
    }
  }
  add_discovery(lines, status, host, own, has_keys);
}

std::string node_of(const HostPath& path, const Endpoint& at) {
  const bool is_ipv6 = at.address.find(':') != std::string::npos;
  return fmt::format("iscsiadm --mode node --targetname {} --portal {}{}{}:{}", path.exported,
                     is_ipv6 ? "[" : "", at.address, is_ipv6 ? "]" : "", at.port);
}

std::string setting(const std::string& node, const std::string& name, const std::string& value) {
  return fmt::format("{} --op update --name {} --value {}", node, name, quoted(value));
}

// Whom the initiator has to be; empty: nobody.
struct Account {
  std::string user;
  std::string mutual_user;
};

// The host's own, or else the target's.
Account account_at(const json::value& status, const HostView& host, const std::string& target) {
  for (const json::value& one :
       {find(status, "known_hosts", host.name), find(status, "targets", target)}) {
    if (one.is_null() || text(one, "chap_user").empty()) continue;
    return {text(one, "chap_user"), text(one, "mutual_user")};
  }
  return {};
}

void add_chap(std::vector<std::string>& lines, const std::string& node, const Account& account) {
  if (account.user.empty()) return;
  lines.push_back(setting(node, "node.session.auth.authmethod", "CHAP"));
  lines.push_back(setting(node, "node.session.auth.chap_algs", "SHA3-256,SHA256,MD5"));
  lines.push_back(setting(node, "node.session.auth.username", account.user));
  lines.push_back(setting(node, "node.session.auth.password", "SECRET"));
  if (account.mutual_user.empty()) return;
  lines.push_back(setting(node, "node.session.auth.username_in", account.mutual_user));
  lines.push_back(setting(node, "node.session.auth.password_in", "OTHER_SECRET"));
}

void add_digests(std::vector<std::string>& lines, const std::string& node,
                 const json::value& listener) {
  if (text(listener, "header_digest") == "required") {
    lines.push_back(setting(node, "node.conn[0].iscsi.HeaderDigest", "CRC32C"));
  }
  if (text(listener, "data_digest") == "required") {
    lines.push_back(setting(node, "node.conn[0].iscsi.DataDigest", "CRC32C"));
  }
}

void add_iscsi(ConnectLines& lines, const json::value& status, const HostView& host,
               const std::vector<std::string>& own) {
  lines.notes.push_back(
      "the host is known by its name: /etc/iscsi/initiatorname.iscsi is to say InitiatorName=" +
      host.id);
  const bool has_secrets =
      std::any_of(host.paths.begin(), host.paths.end(), [&status, &host](const HostPath& path) {
        return !account_at(status, host, path.exported).user.empty();
      });
  if (has_secrets) {
    lines.notes.emplace_back(
        "SECRET and OTHER_SECRET stand for what the target's secret files hold");
  }
  for (const HostPath& path : host.paths) {
    const json::value listener = find(status, "listeners", path.listener);
    if (listener.is_null()) continue;
    for (const Endpoint& at : endpoints_of(listener, own)) {
      const std::string node = node_of(path, at);
      add_once(lines.now, node + " --op new");
      add_chap(lines.now, node, account_at(status, host, path.exported));
      add_digests(lines.now, node, listener);
      add_once(lines.now, node + " --login");
      add_once(lines.at_boot, setting(node, "node.startup", "automatic"));
    }
  }
  lines.at_boot.emplace_back("systemctl enable --now iscsid.service open-iscsi.service");
  lines.at_boot.push_back(
      fmt::format("echo {} > /etc/udev/rules.d/90-scsi-ua.rules", quoted(resize_rule)));
  lines.at_boot.emplace_back("udevadm control --reload");
}

std::string volumes_text(const HostView& host) {
  std::string out;
  for (const HostVolume& volume : host.volumes) {
    out += fmt::format("{}{} ({} {})", out.empty() ? "" : ", ", volume.volume,
                       host.is_iscsi ? "LUN" : "NSID", volume.number);
  }
  return out.empty() ? "no volume" : out;
}

bool is_usable(const ifaddrs& one) {
  return one.ifa_addr != nullptr && (one.ifa_flags & IFF_UP) != 0 &&
         (one.ifa_flags & IFF_LOOPBACK) == 0;
}

}  // namespace

ConnectLines connect_lines(const json::value& status, const HostView& host,
                           const std::vector<std::string>& own) {
  ConnectLines lines{.host = host.id, .title = {}, .is_iscsi = host.is_iscsi};
  lines.title =
      fmt::format("{} over {}: {}, by {} path{}", host.name, host.is_iscsi ? "iSCSI" : "NVMe/TCP",
                  volumes_text(host), host.paths.size(), host.paths.size() == 1 ? "" : "s");
  if (host.is_iscsi) {
    add_iscsi(lines, status, host, own);
  } else {
    add_nvme(lines, status, host, own);
  }
  return lines;
}

std::string connect_screen(const std::vector<ConnectLines>& all) {
  std::string out;
  for (const ConnectLines& lines : all) {
    out += fmt::format("{}# {}\n", out.empty() ? "" : "\n", lines.title);
    for (const std::string& note : lines.notes) out += fmt::format("# {}\n", note);
    out += "# now, as root:\n";
    for (const std::string& line : lines.now) out += line + "\n";
    if (lines.at_boot.empty()) continue;
    out += "# once, so that it is so after each boot:\n";
    for (const std::string& line : lines.at_boot) out += line + "\n";
  }
  return out;
}

json::value to_json(const std::vector<ConnectLines>& all) {
  const auto array_of = [](const std::vector<std::string>& lines) {
    return json::array(lines.begin(), lines.end());
  };
  json::array out;
  for (const ConnectLines& lines : all) {
    out.emplace_back(json::object{{"host", lines.host},
                                  {"protocol", lines.is_iscsi ? "iscsi" : "nvme-tcp"},
                                  {"notes", array_of(lines.notes)},
                                  {"now", array_of(lines.now)},
                                  {"at_boot", array_of(lines.at_boot)}});
  }
  return out;
}

std::vector<std::string> own_addresses() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, &::freeifaddrs);
  std::vector<std::string> all;
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    if (!is_usable(*one)) continue;
    char name[INET6_ADDRSTRLEN] = {};
    if (one->ifa_addr->sa_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
      ::inet_ntop(AF_INET, &v4->sin_addr, name, sizeof(name));
    } else if (one->ifa_addr->sa_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) continue;
      ::inet_ntop(AF_INET6, &v6->sin6_addr, name, sizeof(name));
    } else {
      continue;
    }
    all.emplace_back(name);
  }
  return all;
}

}  // namespace cli
