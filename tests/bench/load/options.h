// What forebay-load is asked to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bench {

enum class Pattern { random, sequential };

struct LoadOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 4420;
  std::string subsystem_nqn = {};
  std::string host_nqn = {};      // empty: a fresh one for each association
  std::string dhchap_key = {};    // a text, "DHHC-1:01:...:"; empty: proves nothing
  std::uint8_t dhchap_group = 1;  // as the standard numbers them: 0 null, 1 ffdhe2048 ...
  std::string tls_key = {};       // a text, "NVMeTLSkey-1:01:...:"; empty: without TLS
  std::uint32_t nsid = 1;

  std::uint32_t connections = 1;  // associations
  std::uint32_t queues = 1;       // I/O queues for each association
  std::uint32_t depth = 32;       // commands in flight for each queue
  std::uint32_t threads = 1;
  std::vector<unsigned> cpus = {};  // thread i is pinned to cpus[i % size]
  bool poll = false;                // spin instead of waiting in epoll

  std::uint32_t block_bytes = 4096;  // size of one I/O
  std::uint32_t read_percent = 100;
  Pattern pattern = Pattern::random;
  std::uint64_t range_bytes = 0;  // 0: the whole namespace
  std::uint64_t seed = 1;
  bool verify = false;
  bool header_digest = false;
  bool data_digest = false;

  std::uint64_t rate = 0;  // I/Os a second in all; 0 is as fast as it goes
  double duration_s = 10;
  double warmup_s = 0;      // before the figures begin
  std::uint64_t count = 0;  // I/Os in all; 0: by duration
  bool idle = false;        // connect and send keep-alives, no I/O
  double keep_alive_s = 15;
  std::uint32_t setups = 0;  // instead of I/O: so many associations, one after the other

  std::string json_path = {};  // "-" is standard output
  bool quiet = false;          // no progress line
};

// Reads the command line. What is printed (help, version, what is wrong) is printed here; nullopt
// with `exit_code` 0 after help, 2 after wrong usage.
[[nodiscard]] std::optional<LoadOptions> parse_options(int argc, const char* const* argv,
                                                       int& exit_code);

}  // namespace bench
