#include "tests/bench/load/options.h"

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <map>

namespace bench {
namespace {

// What single options cannot check. Empty when all is well.
std::string find_conflict(const LoadOptions& options) {
  if (options.block_bytes % 512 != 0) return "--block-size must be a multiple of 512";
  if (options.verify && options.read_percent == 100) {
    return "--verify checks what it wrote itself: give --mix a value under 100";
  }
  if (options.threads > options.connections * options.queues) {
    return "--threads is more than there are queues (--connections times --queues)";
  }
  if (options.range_bytes != 0 && options.range_bytes < options.block_bytes) {
    return "--range is smaller than one --block-size";
  }
  if ((!options.tls_key.empty() || !options.dhchap_key.empty()) && options.host_nqn.empty()) {
    return "--tls-key and --dhchap-key are a host's: give its --hostnqn";
  }
  return {};
}

std::string first_line(const std::string& path) {
  std::string line;
  if (!path.empty()) {
    std::ifstream file(path);
    std::getline(file, line);
  }
  return line;
}

std::vector<unsigned> parse_cpus(const std::vector<std::string>& texts) {
  std::vector<unsigned> cpus;
  for (const std::string& text : texts) {
    const std::size_t dash = text.find('-');
    const auto first = static_cast<unsigned>(std::stoul(text.substr(0, dash)));
    const auto last = dash == std::string::npos
                          ? first
                          : static_cast<unsigned>(std::stoul(text.substr(dash + 1)));
    for (unsigned cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace

std::optional<LoadOptions> parse_options(int argc, const char* const* argv, int& exit_code) {
  LoadOptions options;
  std::vector<std::string> cpus;
  std::vector<std::string> digests;
  std::string key_file;
  std::string dhchap_file;
  const CLI::AsSizeValue sizes(/*kb_is_1000=*/false);

  CLI::App app{
      "Load generator and verifier for NVMe/TCP.\n"
      "Exit codes: 0 all well, 1 an I/O, connection or verification error, 2 wrong usage.",
      "forebay-load"};
  app.option_defaults()->always_capture_default();
  app.set_version_flag("--version", "forebay-load " FOREBAY_VERSION);

  app.add_option("--address", options.address, "IPv4 or IPv6 address, or name, of the target")
      ->group("Target");
  app.add_option("--port", options.port, "TCP port")->group("Target");
  app.add_option("--subsystem", options.subsystem_nqn, "NQN of the subsystem")
      ->required()
      ->group("Target");
  app.add_option("--hostnqn", options.host_nqn, "Host NQN; a fresh one each association if empty")
      ->group("Target");
  app.add_option("--tls-key", key_file, "A file with this host's TLS key: speak TLS 1.3")
      ->check(CLI::ExistingFile)
      ->group("Target");
  app.add_option("--dhchap-key", dhchap_file,
                 "A file with this host's key: prove it by DH-HMAC-CHAP")
      ->check(CLI::ExistingFile)
      ->group("Target");
  app.add_option("--dhchap-group", options.dhchap_group, "of --dhchap-key")
      ->transform(CLI::CheckedTransformer(std::map<std::string, std::uint8_t>{
          {"null", 0}, {"ffdhe2048", 1}, {"ffdhe3072", 2}, {"ffdhe4096", 3}}))
      ->default_str("ffdhe2048")
      ->group("Target");
  app.add_option("--nsid", options.nsid, "Namespace")->group("Target");
  app.add_option("--digests", digests, "header, data or both")
      ->delimiter(',')
      ->check(CLI::IsMember({"header", "data"}))
      ->group("Target");
  app.add_option("--keep-alive", options.keep_alive_s, "KATO in seconds, 0 for none")
      ->check(CLI::Range(0.0, 3600.0))
      ->group("Target");

  app.add_option("--connections", options.connections, "Associations")
      ->check(CLI::Range(1, 10000))
      ->group("Load");
  app.add_option("--queues", options.queues, "I/O queues (TCP connections) for each association")
      ->check(CLI::Range(1, 1024))
      ->group("Load");
  app.add_option("--depth", options.depth, "Commands in flight for each queue")
      ->check(CLI::Range(1, 65534))
      ->group("Load");
  app.add_option("--block-size", options.block_bytes, "Bytes of one I/O, e.g. 4KiB, 128KiB")
      ->transform(sizes)
      ->check(CLI::Range(512, 32 << 20))
      ->group("Load");
  app.add_option("--mix", options.read_percent, "Percentage of reads; the rest are writes")
      ->check(CLI::Range(0, 100))
      ->group("Load");
  app.add_option("--pattern", options.pattern, "random or sequential")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Pattern>{{"random", Pattern::random},
                                         {"sequential", Pattern::sequential}},
          CLI::ignore_case))
      ->default_str("random")
      ->group("Load");
  app.add_option("--range", options.range_bytes, "Use only this much of the namespace; 0 is all")
      ->transform(sizes)
      ->group("Load");
  app.add_option("--rate", options.rate, "I/Os a second in all; 0 is as fast as it goes")
      ->group("Load");
  app.add_option("--duration", options.duration_s, "Seconds, without the warm-up")
      ->check(CLI::Range(0.01, 1e7))
      ->group("Load");
  app.add_option("--count", options.count, "I/Os in all, instead of --duration")->group("Load");
  app.add_option("--warmup", options.warmup_s, "Seconds that do not count")
      ->check(CLI::Range(0.0, 1e6))
      ->group("Load");
  app.add_option("--seed", options.seed, "Of the random addresses and data")->group("Load");
  app.add_flag("--verify", options.verify,
               "Stamp every block written, check every block read, read all back at the end")
      ->group("Load");
  app.add_flag("--idle", options.idle, "Only stay connected and send keep-alives")->group("Load");

  app.add_option("--setups", options.setups,
                 "No I/O: connect and part so many times, one after the other, and say how long "
                 "that takes")
      ->check(CLI::Range(1, 1000000))
      ->group("Load");

  app.add_option("--threads", options.threads, "Threads; queues are dealt out among them")
      ->check(CLI::Range(1, 256))
      ->group("Machine");
  app.add_option("--cpu", cpus, "Processors to pin the threads to, e.g. 1 or 2,4-6")
      ->delimiter(',')
      ->check(CLI::Validator(
          [](const std::string& text) {
            const bool fits = text.size() <= 9 && !text.empty() && std::isdigit(text.front()) &&
                              std::isdigit(text.back()) &&
                              text.find_first_not_of("0123456789-") == std::string::npos;
            return fits ? std::string() : "not a processor or a range of them: " + text;
          },
          "CPUS"))
      ->group("Machine");
  app.add_flag("--poll", options.poll, "Spin on the sockets: lowest latency, a full core")
      ->group("Machine");

  app.add_option("--json", options.json_path, "Write the report as JSON to this file; - is stdout")
      ->group("Report");
  app.add_flag("--quiet", options.quiet, "No progress line")->group("Report");

  // A script may add to a command line: the last one counts.
  for (CLI::Option* option : app.get_options()) {
    if (option->get_expected_max() == 1) option->take_last();
  }
  try {
    app.parse(argc, argv);
    options.cpus = parse_cpus(cpus);
  } catch (const CLI::ParseError& problem) {
    exit_code = app.exit(problem) == 0 ? 0 : 2;
    return std::nullopt;
  }
  for (const std::string& digest : digests) {
    (digest == "header" ? options.header_digest : options.data_digest) = true;
  }
  options.tls_key = first_line(key_file);
  options.dhchap_key = first_line(dhchap_file);
  // Never less than what was asked for.
  if ((!key_file.empty() && options.tls_key.empty()) ||
      (!dhchap_file.empty() && options.dhchap_key.empty())) {
    std::cerr << "forebay-load: the file of a key has no key in its first line\n";
    exit_code = 2;
    return std::nullopt;
  }
  if (const std::string conflict = find_conflict(options); !conflict.empty()) {
    std::cerr << "forebay-load: " << conflict << "\n";
    exit_code = 2;
    return std::nullopt;
  }
  exit_code = 0;
  return options;
}

}  // namespace bench
