// forebay-iscsi-load: one measurement of an iSCSI target, as one line of JSON.
#include <fmt/format.h>
#include <sched.h>

#include <cstdlib>
#include <map>
#include <string>

#include "tests/bench/iscsi/initiator_load.h"

namespace {

constexpr const char* usage =
    "usage: forebay-iscsi-load --url URL [--direction read|write] [--block-size BYTES] [--depth "
    "N]\n"
    "       [--pattern random|sequential] [--warmup SECONDS] [--seconds SECONDS | --count N]\n"
    "       [--cpu N]\n";

int wrong_usage() {
  fmt::print(stderr, "{}", usage);
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  std::map<std::string, std::string> given{{"--direction", "read"},
                                           {"--block-size", "4096"},
                                           {"--depth", "1"},
                                           {"--pattern", "random"},
                                           {"--warmup", "0.2"},
                                           {"--seconds", "1"},
                                           {"--count", "0"},
                                           {"--cpu", ""},
                                           {"--url", ""}};
  if (count % 2 != 1) return wrong_usage();
  for (int i = 1; i < count; i += 2) {
    const auto found = given.find(arguments[i]);
    if (found == given.end()) return wrong_usage();
    found->second = arguments[i + 1];
  }
  const bench::InitiatorLoad load{
      .url = given["--url"],
      .writes = given["--direction"] == "write",
      .block_bytes = static_cast<std::uint32_t>(std::atoi(given["--block-size"].c_str())),
      .depth = static_cast<std::uint32_t>(std::atoi(given["--depth"].c_str())),
      .sequential = given["--pattern"] == "sequential",
      .warmup_seconds = std::atof(given["--warmup"].c_str()),
      .seconds = std::atof(given["--seconds"].c_str()),
      .commands = std::strtoull(given["--count"].c_str(), nullptr, 10)};
  if (load.url.empty() || load.block_bytes == 0 || load.depth == 0) return wrong_usage();
  if (!given["--cpu"].empty()) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(std::atoi(given["--cpu"].c_str()), &cpus);
    if (::sched_setaffinity(0, sizeof cpus, &cpus) != 0) return wrong_usage();
  }
  const bench::InitiatorFigures figures = bench::run_initiator(load);
  if (!figures.trouble.empty()) {
    fmt::print(stderr, "forebay-iscsi-load: {}\n", figures.trouble);
    return 1;
  }
  const double rate = static_cast<double>(figures.commands) / figures.seconds;
  const auto microseconds = [&figures](double fraction) {
    return static_cast<double>(figures.latency.percentile(fraction)) / 1000;
  };
  fmt::print(
      "{{\"per_second\": {:.0f}, \"mib_per_s\": {:.1f}, \"p50_us\": {:.1f}, \"p99_us\": {:.1f}, "
      "\"max_us\": {:.1f}}}\n",
      rate, rate * load.block_bytes / (1 << 20), microseconds(0.5), microseconds(0.99),
      static_cast<double>(figures.latency.max()) / 1000);
  return 0;
}
