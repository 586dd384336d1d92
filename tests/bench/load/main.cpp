// forebay-load: load generator and verifier for NVMe/TCP. See tests/bench/README.md.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>

#include "tests/bench/load/options.h"
#include "tests/bench/load/run.h"

namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;

void on_signal(int) { bench::stop_requested = true; }

bool write_json(const std::string& path, const std::string& json) {
  if (path == "-") return std::fputs(json.c_str(), stdout) >= 0;
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  const bool written = std::fputs(json.c_str(), file) >= 0;
  return std::fclose(file) == 0 && written;
}

}  // namespace

int main(int argc, char** argv) {
  int exit_code = 0;
  const auto options = bench::parse_options(argc, argv, exit_code);
  if (!options) return exit_code;
  (void)std::signal(SIGINT, on_signal);
  (void)std::signal(SIGTERM, on_signal);

  // OpenSSL's writes know no MSG_NOSIGNAL.
  (void)std::signal(SIGPIPE, SIG_IGN);

  if (options->setups != 0) {
    const auto rate = bench::run_setups(*options);
    if (rate) {
      fmt::print("{{\"setups_per_second\": {:.1f}}}\n", rate.value());
      return 0;
    }
    fmt::print(stderr, "forebay-load: {}\n", rate.error().describe());
    return exit_failed;
  }
  const auto figures = bench::run_load(*options);
  if (!figures) {
    const bool usage = figures.error().kind == client::ErrorKind::misuse;
    fmt::print(stderr, "forebay-load: {}\n",
               usage ? figures.error().text : figures.error().describe());
    return usage ? exit_usage : exit_failed;
  }
  if (options->json_path != "-") {
    fmt::print("{}", bench::as_text(*options, figures.value()));
  }
  if (!options->json_path.empty() &&
      !write_json(options->json_path, bench::as_json(*options, figures.value()))) {
    fmt::print(stderr, "forebay-load: cannot write {}\n", options->json_path);
    return exit_failed;
  }
  return bench::failed(figures.value()) ? exit_failed : 0;
}
