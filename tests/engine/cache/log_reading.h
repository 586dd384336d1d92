// What reading a volume's log comes to, as tests expect it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/cache/log_reader.h"
#include "tests/engine/cache/cache_kit.h"

namespace engine::test {

// What reading a log comes to, in words: "end 7", "lost_kset 3 (5)"; and how many ksets were read.
struct LogReading {
  std::string verdict;
  std::vector<std::uint64_t> sequences;
  std::vector<LogNote> notes;
  LogEnd end;
};

inline LogReading read_log(CacheDevice& device, std::uint32_t slot, const LogReader::Start& start) {
  const LogView view{.volume = device.volumes()[slot], .of = device.chunks_of(slot)};
  LogReader reader(device.region(), device.layout(), device.seal(), view, start);
  LogReading reading;
  for (;;) {
    const auto next = reader.next();
    if (!next) {
      const LogDamage& damage = next.error();
      reading.verdict = std::string(damage.name()) + " " + std::to_string(damage.sequence);
      if (damage.evidence != 0) reading.verdict += " (" + std::to_string(damage.evidence) + ")";
      EXPECT_FALSE(damage.text().empty());
      EXPECT_EQ(reader.next().error(), damage);
      break;
    }
    if (!next.value()) {
      reading.end = reader.end();
      reading.verdict = "end " + std::to_string(reading.end.sequence);
      break;
    }
    reading.sequences.push_back(next.value()->view.stamp.sequence);
  }
  reading.notes = reader.notes();
  return reading;
}
inline LogReading read_log(CacheDevice& device, std::uint32_t slot) {
  return read_log(device, slot, LogReader::from_key_tail(device.volumes()[slot].tails));
}

}  // namespace engine::test
