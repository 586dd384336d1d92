// forebay-ceiling: what this machine could do at best, for the ratios of tests/bench/run. One JSON
// object a call.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "engine/foundation/random.h"
#include "tests/bench/ceiling/copy.h"
#include "tests/bench/ceiling/echo.h"
#include "tests/bench/ceiling/tls_cipher.h"

int main(int argc, char** argv) {
  CLI::App app{"The bare limits of this machine: loopback echo, copies to mapped memory, ciphers.",
               "forebay-ceiling"};
  app.require_subcommand(1);
  app.option_defaults()->always_capture_default();

  bench::EchoPlan plan;
  std::string direction = "read";
  std::uint32_t block_bytes = 4096;
  auto* echo =
      app.add_subcommand("echo", "Request and response over loopback, two spinning threads");
  echo->add_option("--direction", direction)->check(CLI::IsMember({"read", "write"}));
  echo->add_option("--block-size", block_bytes)->transform(CLI::AsSizeValue(false));
  echo->add_option("--depth", plan.depth)->check(CLI::Range(1, 1024));
  echo->add_option("--seconds", plan.seconds);
  echo->add_option("--warmup", plan.warmup_seconds);
  echo->add_option("--server-cpu", plan.server_cpu);
  echo->add_option("--client-cpu", plan.client_cpu);

  std::string path = "/dev/shm/forebay-ceiling";
  std::uint64_t media_bytes = std::uint64_t{512} << 20;
  std::uint64_t blocks = 500'000;
  auto* copy = app.add_subcommand("copy", "4 KiB blocks into mapped memory");
  copy->add_option("--path", path, "A file to make and remove");
  copy->add_option("--size", media_bytes)->transform(CLI::AsSizeValue(false));
  copy->add_option("--blocks", blocks);

  std::uint64_t cipher_bytes = std::uint64_t{512} << 20;
  auto* cipher = app.add_subcommand("cipher", "AES-GCM and CRC-32C over the bytes of one I/O");
  cipher->add_option("--block-size", block_bytes)->transform(CLI::AsSizeValue(false));
  cipher->add_option("--bytes", cipher_bytes, "of each in all")->transform(CLI::AsSizeValue(false));

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : 2;
  }

  if (*cipher) {
    const std::uint64_t rounds = std::max<std::uint64_t>(1, cipher_bytes / block_bytes);
    fmt::print(R"({{"aes_128_gcm_ns": {:.1f}, "aes_256_gcm_ns": {:.1f}, "crc32c_ns": {:.1f}}})"
               "\n",
               bench::aes_gcm_ns(16, block_bytes, rounds),
               bench::aes_gcm_ns(32, block_bytes, rounds), bench::crc32c_ns(block_bytes, rounds));
    return 0;
  }
  std::string error;
  if (*echo) {
    plan.shape =
        direction == "read" ? bench::read_shape(block_bytes) : bench::write_shape(block_bytes);
    const auto figures = bench::run_echo(plan, error);
    if (figures) {
      fmt::print(
          R"({{"per_second": {:.1f}, "mib_per_s": {:.2f}, "p50_us": {:.2f}, "p99_us": {:.2f}}})"
          "\n",
          figures->per_second, figures->per_second * block_bytes / (1 << 20), figures->p50_us,
          figures->p99_us);
      return 0;
    }
  } else {
    using bench::CopyPattern;
    std::vector<std::byte> source(64 * 4096);  // in the CPU's cache
    engine::SeededRandom(1).fill(source);
    if (const auto ceiling = bench::CopyCeiling::open(path, media_bytes, error)) {
      const auto measure = [&](CopyPattern pattern) {
        return ceiling->copy({.pattern = pattern, .source = source, .blocks = blocks});
      };
      const double plain = measure(CopyPattern::sequential);
      const double crc = measure(CopyPattern::sequential_with_crc);
      const double random = measure(CopyPattern::random);
      fmt::print(
          R"({{"sequential_ns": {:.1f}, "sequential_with_crc_ns": {:.1f}, "random_ns": {:.1f}}})"
          "\n",
          plain, crc, random);
      return 0;
    }
  }
  fmt::print(stderr, "forebay-ceiling: {}\n", error);
  return 1;
}
