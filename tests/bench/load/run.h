// A whole run: connect, load from threads, progress and keep-alives meanwhile, figures at the end.
#pragma once

#include "tests/bench/load/options.h"
#include "tests/bench/load/report.h"
#include "tests/client/error.h"

namespace bench {

// Errors: what kept the run from starting. What goes wrong later is in the figures.
[[nodiscard]] client::Result<Figures> run_load(const LoadOptions& options);
// Of `setups` alone: how many associations a second. Errors: the first that could not be set up.
[[nodiscard]] client::Result<double> run_setups(const LoadOptions& options);

}  // namespace bench
