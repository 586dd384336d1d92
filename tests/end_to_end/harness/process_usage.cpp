#include "tests/end_to_end/harness/process_usage.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace end_to_end {
namespace {

// proc(5): the fields after the name, which is in parentheses and may hold anything.
std::chrono::milliseconds cpu_time(const std::string& folder) {
  std::ifstream file(folder + "/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream fields(line.substr(std::min(line.size(), line.rfind(')') + 1)));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  fields >> user >> system;
  const auto ticks_a_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return std::chrono::milliseconds((user + system) * 1000 / ticks_a_second);
}

}  // namespace

Usage usage_of(pid_t pid) {
  const std::string folder = fmt::format("/proc/{}", pid);
  Usage usage;
  std::uint64_t program_pages = 0;
  std::uint64_t resident_pages = 0;
  std::ifstream(folder + "/statm") >> program_pages >> resident_pages;
  usage.resident_bytes = resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder + "/fd", error), end; !error && at != end;
       at.increment(error)) {
    ++usage.descriptors;
  }
  usage.cpu = cpu_time(folder);
  return usage;
}

}  // namespace end_to_end
