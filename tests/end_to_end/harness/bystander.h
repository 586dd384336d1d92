// A well-behaved host beside an attack: it works all the time, and tells afterwards whether it
// noticed anything.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/process.h"
#include "tests/end_to_end/harness/process_usage.h"

namespace end_to_end {

// "Undisturbed": no error, no wrong data, no reply later than this.
constexpr Milliseconds longest_reply{1'000 * sanitizer_slowness};

// Writes, reads back and sends a keep-alive, again and again, on an association of its own, at the
// last MiB of NSID 1.
class Bystander {
 public:
  explicit Bystander(const client::Endpoint& endpoint);
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;
  ~Bystander();

  // Ends its work. Fails the test unless it saw no error and no late reply.
  void expect_undisturbed();
  // Waits until it has done `count` more rounds.
  void await_rounds(int count);

 private:
  void work();
  [[nodiscard]] bool round(std::uint64_t seed);
  // False when it failed; the reason is in trouble_.
  [[nodiscard]] bool timed(const char* what, Queue& queue, client::Command command,
                           const Bytes* expected);

  Host host_;
  std::uint64_t first_lba_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<int> rounds_{0};
  Milliseconds slowest_{0};
  std::string slowest_what_;
  std::string trouble_;
  std::thread thread_;
};

}  // namespace end_to_end
