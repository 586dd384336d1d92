// A well-behaved host beside an attack.
#pragma once

#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/watcher.h"

namespace end_to_end {

// Writes, reads back and sends a keep-alive, again and again, on an association of its own, at the
// last MiB of NSID 1.
class Bystander {
 public:
  explicit Bystander(const client::Endpoint& endpoint, const HostOptions& options = {});

  void expect_undisturbed() { watcher_.expect_undisturbed(); }
  void await_rounds(int count) { watcher_.await_rounds(count); }

 private:
  [[nodiscard]] bool timed(const char* what, Queue& queue, client::Command command,
                           const Bytes* expected);

  Host host_;
  std::uint64_t first_lba_ = 0;
  Watcher watcher_;
};

}  // namespace end_to_end
