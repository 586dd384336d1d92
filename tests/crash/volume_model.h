// VolumeModel: what every prefix of a volume's log order looks like, and which of them is there.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/cache/extent.h"
#include "engine/foundation/check.h"

namespace engine::test {

// Which command a sector is of. 0: never written.
using Writer = std::uint32_t;
inline constexpr Writer torn = ~Writer{0};  // of no single command
inline constexpr Writer lost = torn - 1;    // an error instead of data

inline constexpr std::uint64_t sector_size = 512;

// A sector's content names its command and itself in each of its words.
inline std::uint64_t word_of(Writer writer, std::uint64_t sector) {
  return writer == 0 ? 0 : (std::uint64_t{writer} << 32) | sector;
}
inline void fill_sector(std::span<std::byte> bytes, Writer writer, std::uint64_t sector) {
  const std::uint64_t word = word_of(writer, sector);
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(word)) {
    std::memcpy(bytes.data() + at, &word, sizeof(word));
  }
}
inline Writer writer_of(std::span<const std::byte> bytes, std::uint64_t sector) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data(), sizeof(word));
  if (std::memcmp(bytes.data(), bytes.data() + sizeof(word), bytes.size() - sizeof(word)) != 0) {
    return torn;
  }
  if (word == 0) return 0;
  const auto writer = static_cast<Writer>(word >> 32);
  return word == word_of(writer, sector) ? writer : torn;
}

// A write, or zeros (which read like sectors that were never written). In the order of the log.
struct ModelCommand {
  Writer writer = 0;
  std::vector<SectorRange> ranges;
  bool zeroes = false;
};

class VolumeModel {
 public:
  using State = std::vector<Writer>;  // of each sector from `base` on

  VolumeModel(Sector base, std::uint64_t sectors) : base_(base), settled_(sectors, 0) {}

  // The log goes on with this command.
  void append(const ModelCommand& command) { order_.push_back(command); }
  // Everything up to here is acknowledged and will never be asked for as in doubt again.
  void acknowledge(std::size_t count) {
    CHECK(count <= order_.size());
    for (; acknowledged_ < count; ++acknowledged_) apply(settled_, order_[acknowledged_]);
  }

  // A crash: what lies behind was never there.
  void truncate(std::size_t count) {
    CHECK(count >= acknowledged_);
    order_.resize(count);
    acknowledge(count);
  }

  [[nodiscard]] std::size_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] const State& settled() const { return settled_; }
  [[nodiscard]] const std::vector<ModelCommand>& order() const { return order_; }
  [[nodiscard]] Sector base() const { return base_; }

  // How long a prefix `state` is: at least what is acknowledged and at most `submitted`; the
  // longest one if several look the same. nullopt: it is none.
  [[nodiscard]] std::optional<std::size_t> prefix_of(const State& state,
                                                     std::size_t submitted) const {
    State expected = settled_;
    std::optional<std::size_t> found;
    for (std::size_t count = acknowledged_;; ++count) {
      if (expected == state) found = count;
      if (count >= submitted || count >= order_.size()) return found;
      apply(expected, order_[count]);
    }
  }
  // Whether `state` is what the first commands have made, `least` to `most` of them.
  [[nodiscard]] bool is_between(const State& state, std::size_t least, std::size_t most) {
    if (past_.empty() || least < past_commands_) {
      past_.assign(settled_.size(), 0);
      past_commands_ = 0;
    }
    for (; past_commands_ < least; ++past_commands_) apply(past_, order_[past_commands_]);
    State expected = past_;
    for (std::size_t count = least;; ++count) {
      if (expected == state) return true;
      if (count == most) return false;
      apply(expected, order_[count]);
    }
  }
  [[nodiscard]] std::string difference(const State& state) const {
    for (std::size_t at = 0; at < state.size(); ++at) {
      if (state[at] == settled_[at]) continue;
      return "sector " + std::to_string(base_.value + at) + " is of command " +
             (state[at] == torn   ? "none (torn)"
              : state[at] == lost ? "none (error)"
                                  : std::to_string(state[at])) +
             ", acknowledged was " + std::to_string(settled_[at]);
    }
    return "no difference";
  }

 private:
  void apply(State& state, const ModelCommand& command) const {
    for (const SectorRange& range : command.ranges) {
      const std::uint64_t begin = range.begin.value - base_.value;
      for (std::uint64_t at = begin; at < begin + range.count.value; ++at) {
        state[at] = command.zeroes ? 0 : command.writer;
      }
    }
  }

  const Sector base_;
  State settled_;
  std::size_t acknowledged_ = 0;
  std::vector<ModelCommand> order_;
  State past_;  // after past_commands_: where is_between() was last asked
  std::size_t past_commands_ = 0;
};

}  // namespace engine::test
