#include "appliance/cli/doctor.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <utility>

#include "appliance/cli/control_client.h"
#include "appliance/cli/host_view.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/listing.h"
#include "appliance/cli/status_screen.h"
#include "appliance/cli/time_text.h"
#include "config/parse.h"

namespace cli {
namespace {

namespace json = boost::json;
using Verdict = Diagnosis::Verdict;
using Diagnoses = std::vector<Diagnosis>;

// "ok" stands there only if nothing else was said about it.
class Findings {
 public:
  explicit Findings(std::string about) : about_(std::move(about)) {}
  void bad(std::string text) { all_.push_back({Verdict::bad, about_, std::move(text)}); }
  void hint(std::string text) { all_.push_back({Verdict::hint, about_, std::move(text)}); }
  void append_to(Diagnoses& all, std::string ok) {
    if (all_.empty()) all_.push_back({Verdict::ok, about_, std::move(ok)});
    for (Diagnosis& one : all_) all.push_back(std::move(one));
  }

 private:
  std::string about_;
  Diagnoses all_;
};

void look_at_volumes(Diagnoses& all, const json::value& status) {
  Findings findings("volumes");
  for (const auto& volume : list(status, "volumes")) {
    const std::string name = text(volume, "name");
    if (text(volume, "state") != "online") {
      findings.bad(fmt::format("{} is {}: {} (forebayctl explain {})", name, text(volume, "state"),
                               text(volume, "reason"), name));
    }
    if (number(volume, "lost_bytes") > 0) {
      findings.bad(fmt::format("{} of {} are lost; restore them from a backup (forebayctl status)",
                               size_text(number(volume, "lost_bytes")), name));
    }
    if (!flag(volume, "durable")) {
      findings.hint(name + " is in memory: for tests only");
    }
    if (text(volume, "cache") != text(volume, "configured_cache")) {
      findings.hint(name +
                    " is not served through the cache that the configuration names; edit the "
                    "file before the next start");
    }
  }
  findings.append_to(all, fmt::format("{} online", list(status, "volumes").size()));
}

void look_at_pools(Diagnoses& all, const json::value& status) {
  Findings findings("pools");
  Findings disks("disks");
  std::size_t disk_count = 0;
  for (const auto& pool : list(status, "pools")) {
    const std::string name = text(pool, "name");
    if (!text(pool, "reason").empty()) findings.bad(name + ": " + text(pool, "reason"));
    if (flag(pool, "filling")) {
      findings.bad(fmt::format("{} is filling: {} of {} are free; make room", name,
                               size_text(number(pool, "free_bytes")),
                               size_text(number(pool, "size_bytes"))));
    }
    if (!list(pool, "retained").empty()) {
      findings.hint(fmt::format("{} keeps {} volume(s) that the configuration does not name", name,
                                list(pool, "retained").size()));
    }
    for (const std::string& advice : texts(pool, "advice")) findings.hint(name + ": " + advice);
    for (const auto& disk : list(pool, "disks")) {
      ++disk_count;
      for (const std::string& trouble : texts(disk, "troubles")) {
        disks.bad(fmt::format("{} of {} {}", text(disk, "path"), name, trouble));
      }
      if (const auto& smart = member(disk, "smart"); text(smart, "status") == "not available") {
        disks.hint(fmt::format("{} of {} tells nothing of itself: {}", text(disk, "path"), name,
                               text(smart, "why")));
      }
    }
  }
  findings.append_to(all, fmt::format("{} open", list(status, "pools").size()));
  disks.append_to(all, fmt::format("nothing against any of {}", disk_count));
}

void look_at_caches(Diagnoses& all, const json::value& status) {
  Findings findings("caches");
  for (const auto& cache : list(status, "caches")) {
    const std::string name = text(cache, "name");
    if (flag(cache, "retired")) continue;
    if (!flag(cache, "open")) {
      findings.bad(name + ": " + text(cache, "reason"));
      continue;
    }
    if (!text(cache, "note").empty()) findings.hint(name + ": " + text(cache, "note"));
    if (text(cache, "media").starts_with("page")) {
      findings.hint(fmt::format(
          "{} is durable by msync ({}), which takes a disk's time for each write; devdax or fsdax "
          "takes a cache-line flush",
          name, media_in_words(cache)));
    }
    if (number(cache, "lost_reads") > 0) {
      findings.bad(fmt::format("{} reads were lost by {}; replace it (forebayctl retire {})",
                               number(cache, "lost_reads"), name, name));
    }
  }
  findings.append_to(all, fmt::format("{} open", list(status, "caches").size()));
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address.starts_with("[::1]");
}

void look_at_listeners(Diagnoses& all, const json::value& status) {
  Findings findings("listeners");
  for (const auto& listener : list(status, "listeners")) {
    if (flag(listener, "listening")) continue;
    findings.bad(fmt::format("{} ({}): {}", text(listener, "name"), text(listener, "address"),
                             text(listener, "reason")));
  }
  findings.append_to(all, fmt::format("{} listening", list(status, "listeners").size()));
}

void look_at_paths(Diagnoses& all, const json::value& status) {
  Findings findings("paths");
  for (const HostView& host : host_views(status)) {
    const std::size_t there = host.connected_paths();
    if (there == 0) continue;
    if (there < host.paths.size()) {
      findings.bad(fmt::format("{} is connected by {} of {} paths (forebayctl connect-line {})",
                               host.name, there, host.paths.size(), host.name));
    } else if (there == 1) {
      findings.hint(host.name +
                    " has one path: if that fails it loses its disks; give the export a second "
                    "listener");
    }
  }
  findings.append_to(all, "every host that is there uses all of its paths");
}

void look_at_access(Diagnoses& all, const json::value& status) {
  Findings findings("access");
  std::map<std::string, bool> is_open;  // listener: reached from elsewhere
  for (const auto& listener : list(status, "listeners")) {
    is_open[text(listener, "name")] = !is_loopback(text(listener, "address"));
  }
  for (const auto& [kind, key] : {std::pair("subsystems", "nqn"), {"targets", "name"}}) {
    for (const auto& exported : list(status, kind)) {
      if (!flag(exported, "allow_any_host")) continue;
      const auto listeners = texts(exported, "listeners");
      if (std::none_of(listeners.begin(), listeners.end(),
                       [&is_open](const std::string& one) { return is_open[one]; })) {
        continue;
      }
      findings.hint(text(exported, key) +
                    " admits every host of the network (allow_any_host); name the hosts instead");
    }
  }
  for (const auto& host : list(status, "known_hosts")) {
    if (text(host, "iqn").empty() || text(host, "chap") != "none") continue;
    findings.hint(text(host, "name") +
                  " need not prove who it is over iSCSI: anybody can use its name; give it chap");
  }
  findings.append_to(all, "exports name their hosts");
}

void look_at_memory(Diagnoses& all, const json::value& status) {
  Findings findings("memory");
  const std::uint64_t used = number(status, "memory_used_bytes");
  const std::uint64_t limit = number(status, "memory_limit_bytes");
  if (used / 9 > limit / 10) {
    findings.hint(fmt::format("{} of {} are used; raise memory, or hosts wait for buffers",
                              size_text(used), size_text(limit)));
  }
  findings.append_to(all, fmt::format("{} of {} used", size_text(used), size_text(limit)));
}

// Of the API over TCP; said only where it shows one.
void look_at_certificate(Diagnoses& all, const json::value& status, std::uint64_t now) {
  const auto* const end = status.as_object().if_contains("certificate_end_ms");
  const std::uint64_t end_ms = end == nullptr ? 0 : end->to_number<std::uint64_t>();
  if (end_ms == 0) return;
  Findings findings("certificate");
  const std::string when = time_text(end_ms);
  constexpr std::uint64_t day_ms = 24ULL * 3600 * 1000;
  if (end_ms <= now) {
    findings.bad(fmt::format(
        "the control port's ended on {}; put a new one in its place, then: forebayctl reload",
        when));
  } else if (end_ms - now < 21 * day_ms) {
    findings.hint(
        fmt::format("the control port's ends on {}, in {} day{}; put a new one in its place, then: "
                    "forebayctl reload",
                    when, (end_ms - now) / day_ms, (end_ms - now) / day_ms == 1 ? "" : "s"));
  }
  findings.append_to(all, "the control port's ends on " + when);
}

// Of the interface that has the address; empty: none has.
std::string interface_of(const std::string& address) {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, &::freeifaddrs);
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    char name[INET6_ADDRSTRLEN] = {};
    if (one->ifa_addr->sa_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
      ::inet_ntop(AF_INET, &v4->sin_addr, name, sizeof(name));
    } else if (one->ifa_addr->sa_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
      ::inet_ntop(AF_INET6, &v6->sin6_addr, name, sizeof(name));
    }
    if (address == name) return one->ifa_name;
  }
  return {};
}

void look_at_mtu(Diagnoses& all, const json::value& status) {
  Findings findings("network");
  for (const auto& listener : list(status, "listeners")) {
    std::string address = text(listener, "address");
    if (is_loopback(address)) continue;
    address = address.substr(0, address.rfind(':'));
    if (address.starts_with('[')) address = address.substr(1, address.size() - 2);
    const std::string interface = interface_of(address);
    if (interface.empty()) continue;
    std::ifstream file("/sys/class/net/" + interface + "/mtu");
    unsigned mtu = 0;
    if (!(file >> mtu) || mtu >= 9000) continue;
    findings.hint(fmt::format(
        "{}: {} has an MTU of {}; with 9000 on hosts, switches and here large transfers cost less",
        text(listener, "name"), interface, mtu));
  }
  findings.append_to(all, "nothing against the listeners' interfaces");
}

void look_at_socket(Diagnoses& all, const std::string& socket) {
  Findings findings("permissions");
  struct stat info {};
  if (::stat(socket.c_str(), &info) == 0 && (info.st_mode & 0007) != 0) {
    findings.bad(fmt::format("{} may be opened by everybody of this machine; chmod o= it", socket));
  }
  findings.append_to(all, "the control socket is its owner's, and its group's");
}

const char* text_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::hint:
      return "hint";
    case Verdict::bad:
      return "bad";
  }
  return "bad";
}

Diagnoses diagnose_without_daemon(const std::string& reason, const std::string& config_file) {
  Diagnoses all{{Verdict::bad, "daemon", reason}};
  const auto outcome = config::parse_file(config_file);
  for (const auto& message : outcome.messages) {
    const bool is_error = message.severity == config::Severity::error;
    all.push_back(
        {is_error ? Verdict::bad : Verdict::hint, "configuration", config::format(message)});
  }
  if (outcome.config) {
    all.push_back({Verdict::ok, "configuration",
                   config_file + " is valid; what ended the daemon: journalctl -u forebay"});
  }
  return all;
}

}  // namespace

Diagnoses diagnose(const json::value& status, std::uint64_t now) {
  Diagnoses all{{Verdict::ok, "daemon",
                 fmt::format("{} {} answers, up {}", text(status, "node"), text(status, "version"),
                             duration_text(number(status, "uptime_seconds")))}};
  look_at_volumes(all, status);
  look_at_pools(all, status);
  look_at_caches(all, status);
  look_at_listeners(all, status);
  look_at_paths(all, status);
  look_at_access(all, status);
  look_at_certificate(all, status, now);
  look_at_memory(all, status);
  return all;
}

Diagnoses diagnose_machine(const json::value& status, const std::string& socket) {
  Diagnoses all;
  look_at_mtu(all, status);
  look_at_socket(all, socket);
  return all;
}

std::string doctor_screen(const Diagnoses& all) {
  std::string out;
  for (const Diagnosis& one : all) {
    const char* const mark = one.verdict == Verdict::bad    ? "!"
                             : one.verdict == Verdict::hint ? "-"
                                                            : " ";
    out += fmt::format("{} {:<13} {}{}\n", mark, one.about,
                       one.verdict == Verdict::ok ? "ok: " : "", one.text);
  }
  const auto bad = std::count_if(all.begin(), all.end(),
                                 [](const Diagnosis& one) { return one.verdict == Verdict::bad; });
  const auto hints = std::count_if(
      all.begin(), all.end(), [](const Diagnosis& one) { return one.verdict == Verdict::hint; });
  return out + fmt::format("\n{} bad, {} hint{}.\n", bad, hints, hints == 1 ? "" : "s");
}

json::value to_json(const Diagnoses& all) {
  json::array out;
  for (const Diagnosis& one : all) {
    out.emplace_back(
        json::object{{"verdict", text_of(one.verdict)}, {"about", one.about}, {"text", one.text}});
  }
  return out;
}

int show_doctor(const DoctorOptions& options) {
  const auto status = get(options.socket, "/v1/status");
  Diagnoses all;
  if (status) {
    all = diagnose(status.value(), now_ms());
    for (Diagnosis& one : diagnose_machine(status.value(), options.socket)) {
      all.push_back(std::move(one));
    }
  } else {
    all = diagnose_without_daemon(status.error(), options.config_file);
  }
  if (options.format == Format::table) {
    print(doctor_screen(all));
  } else {
    print(to_json(all), options.format);
  }
  const bool is_bad = std::any_of(all.begin(), all.end(),
                                  [](const Diagnosis& one) { return one.verdict == Verdict::bad; });
  return is_bad ? 2 : 0;
}

}  // namespace cli
