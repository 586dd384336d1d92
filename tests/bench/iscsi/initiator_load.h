// One iSCSI session by libiscsi that keeps a number of commands in flight: the same initiator for
// whatever target is measured.
#pragma once

#include <cstdint>
#include <string>

#include "tests/bench/load/histogram.h"

namespace bench {

struct InitiatorLoad {
  std::string url;  // iscsi://address:port/iqn/lun
  bool writes = false;
  std::uint32_t block_bytes = 4096;  // of each command; a multiple of the LUN's block
  std::uint32_t depth = 1;
  bool sequential = false;
  double warmup_seconds = 0.2;
  double seconds = 1;
  std::uint64_t commands = 0;  // if not 0: ends after so many, however long they take
};

struct InitiatorFigures {
  std::uint64_t commands = 0;
  double seconds = 0;
  Histogram latency;
  std::string trouble = {};  // not empty: what went wrong, and the figures mean nothing
};

// Blocking; spins on the socket on the calling thread.
[[nodiscard]] InitiatorFigures run_initiator(const InitiatorLoad& load);

}  // namespace bench
