// Repairing damaged caches, once and with crashes: for the tests of repair and for its mutants.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/cache/cache_repair.h"
#include "engine/foundation/random.h"
#include "tests/engine/cache/written_cache.h"
#include "tests/sim/rounds.h"

namespace engine::test {

// "cut_log free_segment".
inline std::string steps_of(SimPmem& pmem, std::span<const Uuid> cut) {
  const auto survey = must(survey_cache(pmem, SurveyDepth::entries));
  std::string names;
  for (const RepairStep& step : must(plan_repair(survey, cut)).steps) {
    names += (names.empty() ? "" : " ") + std::string(step.name());
  }
  return names;
}

// As the tool does it: survey, plan and repair on one region; twice where the first has only made
// it possible to see more.
inline Result<void, CacheError> repair(SimPmem& pmem, std::span<const Uuid> cut) {
  for (int round = 0; round < 2; ++round) {
    TRY(const auto survey, survey_cache(pmem, SurveyDepth::entries));
    TRY(const auto plan, plan_repair(survey, cut));
    if (plan.steps.empty()) break;
    TRY(repair_cache(pmem, uuid_of(0xd0), survey, plan));
  }
  return success();
}

// Opens the cache as the daemon does; the last of the writes of WrittenCache that is there, if
// those from `first` on to it are and no later one is. Else a number that none has.
inline std::uint64_t kept_writes(SimPmem& pmem, std::uint64_t first = 1) {
  constexpr std::uint64_t none = 1000;
  OpenVolume open(pmem);
  if (!open.volume->is_writable()) return none;
  const std::vector<int> found = open.read(first, WrittenCache::writes - first + 1);
  std::uint64_t kept = first - 1;
  while (kept < WrittenCache::writes && found[kept + 1 - first] == static_cast<int>(kept + 1)) {
    ++kept;
  }
  for (std::uint64_t n = kept + 1; n <= WrittenCache::writes; ++n) {
    if (found[n - first] != -1) return none;
  }
  return kept;
}

struct RepairCrashes {
  std::uint64_t states = 0;
  std::string violation;  // the first; empty: none
};

// Repairs a copy of `image`, crashing at every persist point; each crashed one is repaired again
// and must end as the uncrashed one does. What has returned is durable.
inline void crash_repair(std::span<const std::byte> image, std::uint64_t kept, const char* name,
                         RepairCrashes& crashes) {
  const std::array cut{uuid_of(1)};
  SeededRandom random(7);
  const auto judge = [&](SimPmem& after, const std::string& when) {
    ++crashes.states;
    // Damaged still, or mended already: nothing in between is ever served.
    if (!must(survey_cache(after, SurveyDepth::entries)).any_damage() &&
        kept_writes(after) != kept) {
      crashes.violation = std::string(name) + ", " + when + ": opened as something in between";
      return;
    }
    if (!repair(after, cut)) {
      crashes.violation = std::string(name) + ", " + when + ": cannot be repeated";
      return;
    }
    const auto survey = must(survey_cache(after, SurveyDepth::entries));
    const std::uint64_t there = survey.any_damage() ? 1000 : kept_writes(after);
    if (there != kept) {
      crashes.violation = std::string(name) + ", " + when + ": " + std::to_string(there) +
                          " writes instead of " + std::to_string(kept);
    }
  };
  SimPmem pmem(image);
  pmem.on_persist_point([&](PersistPoint point) {
    if (!crashes.violation.empty()) return;
    for (unsigned sample = 0; sample < rounds(8); ++sample) {
      RandomChooser choose(random);
      const auto after = pmem.crash(choose);
      judge(*after, "crashed at persist point " + std::to_string(point.number));
    }
  });
  must(repair(pmem, cut));
  pmem.on_persist_point({});
  LoseEverything lose;
  const auto after = pmem.crash(lose);
  const auto survey = must(survey_cache(*after, SurveyDepth::entries));
  ++crashes.states;
  if (crashes.violation.empty() && !survey.findings.empty()) {
    crashes.violation =
        std::string(name) + ": what was repaired is not durable: " + survey.findings[0].text;
  }
}

inline void crash_every_repair(RepairCrashes& crashes) {
  struct Case {
    const char* name;
    std::function<void(WrittenCache&)> damage;
    std::uint64_t kept;
  };
  const Case cases[] = {
      {"cut in the first chunk", [](WrittenCache& cache) { cache.rot(70); }, 69},
      {"cut in the last chunk", [](WrittenCache& cache) { cache.rot(140); }, 139},
      {"first chunk lost", [](WrittenCache& cache) { cache.lose_chunk_of(1); }, 0},
      {"segment entry lost",
       [](WrittenCache& cache) { cache.lose_segment_entry(cache.segment_of_data(1)); }, 150},
      {"copies", [](WrittenCache& cache) { cache.rot(7, 0), cache.lose_header_of(140, 1); }, 150},
  };
  for (const Case& one : cases) {
    WrittenCache cache;
    one.damage(cache);
    crash_repair(cache.pmem().content(), one.kept, one.name, crashes);
  }
}

// A segment whose keys are all at or before D loses its entry, is freed by repair, and becomes a
// data segment of the same volume again. Whether what was cached in it before is then read from it.
inline bool stale_key_comes_back() {
  WrittenCache cache;
  cache.set_tails({.dirty_tail = 150, .dirty_tail_chunk = 2});
  const std::uint32_t segment = cache.segment_of_data(1);
  cache.lose_segment_entry(segment);
  EXPECT_EQ(steps_of(cache.pmem(), {}), "free_segment");
  must(repair(cache.pmem(), {}));
  {
    const auto device = open_device(cache.pmem());
    auto writer = must(DurableWriter::make(cache.pmem()));
    while (must(device->segments().allocate(writer, format::SegmentUse::data, 1)) != segment) {
    }
  }
  OpenVolume open(cache.pmem());
  return open.read(1, 1) != std::vector<int>{-1};
}

}  // namespace engine::test
