// Metrics of the process, by the names that all programs give them.
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>

#include "target/metrics/families.h"

namespace target::metrics {
namespace {

// proc(5), /proc/pid/stat: fields behind the name in brackets, which may hold anything.
struct ProcessStat {
  double cpu_seconds = 0;
  double resident_bytes = 0;
  double start_ticks = 0;  // since the machine's boot
};

std::optional<ProcessStat> read_stat() {
  std::ifstream file("/proc/self/stat");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  ProcessStat stat;
  std::string value;
  for (int number = 3; fields >> value; ++number) {
    const bool is_wanted = number == 14 || number == 15 || number == 22 || number == 24;
    if (!is_wanted) continue;
    const double figure = std::stod(value);
    if (number == 14 || number == 15) stat.cpu_seconds += figure / ticks;
    if (number == 22) stat.start_ticks = figure;
    if (number == 24) stat.resident_bytes = figure * page;
  }
  return stat;
}

// Seconds since 1970.
std::optional<double> boot_time() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;) {
    if (word != "btime") continue;
    double seconds = 0;
    if (file >> seconds) return seconds;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> open_descriptors() {
  std::error_code error;
  std::filesystem::directory_iterator each("/proc/self/fd", error);
  if (error) return std::nullopt;
  std::uint64_t count = 0;
  for (const std::filesystem::directory_iterator end; each != end; each.increment(error)) {
    if (error) return std::nullopt;
    ++count;
  }
  return count > 0 ? count - 1 : 0;  // without the one that looks
}

}  // namespace

void add_process(Families& families) {
  if (const auto stat = read_stat()) {
    families.process_counter("cpu_seconds_total", "User and system time.")
        .add({}, stat->cpu_seconds);
    families.process_gauge("resident_memory_bytes", "Memory that it has.")
        .add({}, stat->resident_bytes);
    if (const auto boot = boot_time()) {
      const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
      families.process_gauge("start_time_seconds", "When it was started, since 1970.")
          .add({}, *boot + stat->start_ticks / ticks);
    }
  }
  if (const auto open = open_descriptors()) {
    families.process_gauge("open_fds", "Open file descriptors.").add({}, *open);
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    families.process_gauge("max_fds", "How many there may be.")
        .add({}, std::uint64_t{limit.rlim_cur});
  }
}

}  // namespace target::metrics
