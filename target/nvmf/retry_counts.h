// RetryCounts: how often each command of a queue has been sent back to be tried again later.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "engine/foundation/clock.h"
#include "protocol/nvme/entries.h"

namespace target::nvmf {

// A host that tries a command again gives it another identifier, but asks for the same blocks by
// the same queue: by these it is known again. Reactor thread of its queue.
class RetryCounts {
 public:
  static constexpr std::size_t most_commands = 1024;
  // A command that has not come again by then was given up by its host.
  static constexpr engine::Duration forgotten_after = std::chrono::minutes(2);

  [[nodiscard]] bool empty() const { return counts_.empty(); }
  // It is to be sent back: the how manieth time that is, from 1; nullopt: it would be more than
  // `most`, or nobody can remember it.
  [[nodiscard]] std::optional<std::uint32_t> send_back(const protocol::nvme::SubmissionEntry& entry,
                                                       std::uint32_t most, engine::Instant now);
  // It has been answered for good.
  void ended(const protocol::nvme::SubmissionEntry& entry) { counts_.erase(key_of(entry)); }

 private:
  struct Key {
    std::uint32_t nsid = 0;
    std::uint64_t lba = 0;
    std::uint32_t blocks = 0;
    std::uint8_t opcode = 0;
    // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 means the default's own zero.
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Count {
    std::uint32_t times = 0;
    engine::Instant last;
  };
  [[nodiscard]] static Key key_of(const protocol::nvme::SubmissionEntry& entry);

  std::map<Key, Count> counts_;
};

}  // namespace target::nvmf
