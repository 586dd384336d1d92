#include "appliance/cli/support_bundle.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <system_error>
#include <utility>
#include <vector>

#include "appliance/cli/change_report.h"
#include "appliance/cli/control_client.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/redaction.h"
#include "appliance/cli/status_screen.h"
#include "appliance/cli/time_text.h"
#include "config/parse.h"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace cli {
namespace {

namespace json = boost::json;

struct Output {
  std::string text{};
  std::string error{};  // why there is none; empty: there is
};

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What a command prints, its errors too; one that hangs is ended after 20 s.
Output output_of(std::vector<std::string> command) {
  command.insert(command.begin(), {"timeout", "20"});
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return {.error = std::generic_category().message(errno)};
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  std::vector<char*> words;
  for (std::string& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, words[0], &actions, nullptr, words.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string out;
  char piece[16 << 10];
  for (ssize_t got = 0; failed == 0 && (got = ::read(ends[0], piece, sizeof(piece))) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    out.append(piece, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  if (failed != 0) return {.error = std::generic_category().message(failed)};
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (code == 127) return {.error = command[2] + ": there is no such command here"};
  if (code != 0) out += fmt::format("\n({} ended with {})\n", command[2], code);
  return {.text = std::move(out)};
}

class Bundle {
 public:
  explicit Bundle(const SupportBundleOptions& options) : options_(options) {}
  Bundle(const Bundle&) = delete;
  Bundle& operator=(const Bundle&) = delete;
  ~Bundle() {
    std::error_code ignored;
    if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
  }

  int make() {
    const ChangeReport report(options_.format, "support-bundle", file_name());
    ::umask(077);
    std::string pattern = std::filesystem::temp_directory_path() / "forebay-support-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
      return report.failed(pattern + ": " + std::generic_category().message(errno));
    }
    directory_ = pattern;
    std::filesystem::create_directory(directory_ + "/forebay-support");
    collect();
    put("manifest.txt", manifest_);
    if (!trouble_.empty()) return report.failed(trouble_);
    const auto packed =
        output_of({"tar", "-czf", file_name(), "-C", directory_, "forebay-support"});
    if (!packed.error.empty()) return report.failed("tar: " + packed.error);
    if (!packed.text.empty()) return report.failed(packed.text);
    return report.done(
        fmt::format("{} has {} files, secrets taken out; {} could not be had: see the manifest in "
                    "it. Look at it before you send it.\n",
                    file_name(), files_, missing_),
        json::object{{"file", file_name()}, {"files", files_}, {"missing", missing_}});
  }

 private:
  [[nodiscard]] std::string file_name() const {
    if (!options_.file.empty()) return options_.file;
    std::string time = time_text(began_ms_);  // 2026-11-29 02:14:07 UTC
    time = std::regex_replace(time.substr(0, 19), std::regex("[^0-9]"), "-");
    return "forebay-support-" + time + ".tar.gz";
  }

  void collect() {
    manifest_ = fmt::format("forebayctl {} at {}, daemon's socket {}\n", FOREBAY_VERSION,
                            time_text(began_ms_), options_.socket);
    const auto running = get(options_.socket, "/v1/configuration");
    const auto status = get(options_.socket, "/v1/status");
    const std::string file = content_of(options_.config_file);
    const std::string applied = running ? text(running.value(), "text") : std::string();
    learn_secrets(file + "\n" + applied);
    // Before all else: what is secret in them is looked for everywhere.
    const std::string redacted_file = redaction_.of_configuration(file);
    const std::string redacted_applied = redaction_.of_configuration(applied);
    if (file.empty()) {
      lacks("configuration.yaml", options_.config_file + " cannot be read, or is empty");
    } else {
      put("configuration.yaml", redacted_file);
    }
    if (running) {
      put("configuration.applied.yaml", redacted_applied);
      put_json("overrides.json", get(options_.socket, "/v1/overrides"));
    } else {
      lacks("configuration.applied.yaml", running.error());
    }
    put_json("status.json", status);
    if (status) put("status.txt", status_screen(status.value(), nullptr, now_ms()));
    put_json("events.json", get(options_.socket, "/v1/events"));
    const auto plan = post_text(options_.socket, "/v1/plan?file=configuration.yaml", file);
    if (plan) {
      put("plan.json", json_line(plan.value().body));
    } else {
      lacks("plan.json", plan.error());
    }
    collect_configured(file.empty() ? applied : file);
    put_output("log.txt", {"journalctl", "-u", "forebay", "-n", "5000", "--no-pager"});
    put_output("service.txt", {"systemctl", "show", "forebay", "-p",
                               "ActiveState,SubState,Result,NRestarts,MainPID,LimitNOFILE,"
                               "LimitMEMLOCK,TasksMax,ExecMainStartTimestamp,ExecMainStatus"});
    put_output("system.txt", {"uname", "-a"});
    put("release.txt", content_of("/etc/os-release"));
    put("limits.txt", content_of("/proc/self/limits"));
    put("memory.txt", content_of("/proc/meminfo"));
    put_output("packages.txt",
               {"dpkg-query", "-W", "libc6", "liburing2", "libndctl6", "linux-image*"});
    put_output("disks.txt", {"lsblk", "-b", "-o",
                             "NAME,KNAME,TYPE,SIZE,ROTA,MODEL,FSTYPE,"
                             "MOUNTPOINT,LOG-SEC,PHY-SEC,SCHED"});
    put_output("space.txt", {"df", "-B1", "-T"});
    put_output("addresses.txt", {"ip", "-details", "address"});
  }

  // Of what the configuration names: metrics, and cache devices as they lie there.
  void collect_configured(const std::string& yaml) {
    const auto outcome = config::parse_text(yaml, options_.config_file);
    std::string messages;
    for (const auto& message : outcome.messages) messages += config::format(message) + "\n";
    put("validation.txt", messages.empty() ? "valid\n" : messages);
    if (!outcome.config) return;
    const config::Config& config = *outcome.config;
    if (config.metrics) {
      put_output("metrics.txt",
                 {"bash", "-c",
                  R"(exec 3<>"/dev/tcp/$0/$1" && printf )"
                  R"('GET /metrics HTTP/1.0\r\nHost: forebay\r\n\r\n' >&3 && cat <&3)",
                  config.metrics->address.value.text, std::to_string(config.metrics->port.value)});
    } else {
      lacks("metrics.txt", "the configuration has no section metrics");
    }
    for (const auto& [name, device] : config.cache_devices) {
      put_output(fmt::format("cache-{}.txt", name),
                 {"forebay-media", "inspect", device.path.value});
    }
  }

  void learn_secrets(const std::string& yaml) {
    static const std::regex name(".*(SECRET|PSK|PASSW|TOKEN|KEY).*", std::regex::icase);
    for (char** one = environ; *one != nullptr; ++one) {
      const std::string variable = *one;
      const std::size_t equals = variable.find('=');
      if (equals == std::string::npos || !std::regex_match(variable.substr(0, equals), name)) {
        continue;
      }
      redaction_.add(variable.substr(equals + 1));
    }
    const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
    for (const std::string& reference : Redaction::references_in(yaml)) {
      const std::string where = reference.substr(reference.find(':') + 1);
      if (reference.starts_with("file:")) {
        redaction_.add(content_of(where));
        continue;
      }
      redaction_.add(content_of("/run/credentials/forebay.service/" + where));
      if (directory != nullptr) redaction_.add(content_of(std::string(directory) + "/" + where));
    }
  }

  [[nodiscard]] static std::string json_line(const json::value& value) {
    return json::serialize(value) + "\n";
  }

  void put_json(const std::string& name, const engine::Result<json::value, std::string>& answer) {
    if (!answer) return lacks(name, answer.error());
    put(name, json_line(answer.value()));
  }

  void put_output(const std::string& name, std::vector<std::string> command) {
    const auto output = output_of(std::move(command));
    if (!output.error.empty()) return lacks(name, output.error);
    put(name, output.text);
  }

  void put(const std::string& name, const std::string& content) {
    std::ofstream file(directory_ + "/forebay-support/" + name, std::ios::binary);
    file << redaction_.of_text(content);
    file.close();
    if (!file && trouble_.empty()) trouble_ = directory_ + ": cannot be written";
    manifest_ += fmt::format("{}: {} bytes\n", name, content.size());
    ++files_;
  }

  void lacks(const std::string& name, const std::string& why) {
    manifest_ += fmt::format("{}: not there: {}\n", name, why);
    ++missing_;
  }

  const SupportBundleOptions& options_;
  const std::uint64_t began_ms_ = now_ms();
  Redaction redaction_;
  std::string directory_;  // removed at the end
  std::string manifest_;
  std::string trouble_;
  std::uint64_t files_ = 0;
  std::uint64_t missing_ = 0;
};

}  // namespace

int support_bundle(const SupportBundleOptions& options) { return Bundle(options).make(); }

}  // namespace cli
