// ErrorLog: the failed commands of one controller (log page 01h).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "protocol/nvme/error_log.h"
#include "target/nvmf/limits.h"

namespace target::nvmf {

// The block that an entry for this I/O command names; 0: the command names none.
[[nodiscard]] std::uint64_t first_block_of(const protocol::nvme::SubmissionEntry& entry);

// Guarded by its controller's lock.
class ErrorLog {
 public:
  // Gives the entry its number.
  void add(protocol::nvme::CommandError error) {
    error.count = ++count_;
    entries_[(count_ - 1) % entries_.size()] = error;
  }
  // Entries ever made; SMART reports it.
  [[nodiscard]] std::uint64_t count() const { return count_; }
  // The page: newest first, unused entries zero.
  [[nodiscard]] std::vector<std::byte> page() const;

 private:
  std::uint64_t count_ = 0;
  std::array<protocol::nvme::CommandError, error_log_entries> entries_{};
};

}  // namespace target::nvmf
