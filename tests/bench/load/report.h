// The figures of a run, for a person and as JSON.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/load/options.h"
#include "tests/bench/load/worker.h"

namespace bench {

// All workers' figures in one: counts and histograms added, the longest measured time.
[[nodiscard]] Figures merge(const std::vector<std::unique_ptr<Worker>>& workers);

// I/Os a second of the measured time; 0 when there was none.
[[nodiscard]] double per_second(const Figures& figures, std::uint64_t operations);

[[nodiscard]] std::string as_text(const LoadOptions& options, const Figures& figures);
// Latencies in microseconds. Keys never change their meaning; new ones may come.
[[nodiscard]] std::string as_json(const LoadOptions& options, const Figures& figures);

[[nodiscard]] inline bool failed(const Figures& figures) {
  return figures.io_errors != 0 || figures.verify_errors != 0 || figures.connection_lost;
}

}  // namespace bench
