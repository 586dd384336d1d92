// Power fails at every persist point of seeded workloads; what is recovered is an exact prefix of
// the log's order that holds every acknowledged command.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <iostream>
#include <string_view>

#include "tests/crash/crash_form.h"
#include "tests/crash/crash_run.h"
#include "tests/crash/lost_blocks.h"
#include "tests/crash/page_crash_run.h"
#include "tests/crash/reclaim_driver.h"
#include "tests/crash/small_workload.h"
#include "tests/crash/whole_write.h"

namespace engine::test {
namespace {

using enum CrashKind;

constexpr CrashKind kinds[] = {data_copy,    kset_append, segment_switch,  chunk_switch,
                               table_update, recovery,    second_recovery, kill_then_power,
                               rotten_kset,  write_back,  reclaim,         compaction};

CrashOptions options_of(std::uint64_t seed) {
  return {.seed = seed,
          .churns = seed % 8 == 0,
          .journalled = seed % 4 == 2,
          .journalled_at_times = seed % 4 == 3};
}

// Of the run under way: a CHECK that fails in the middle of millions of states ends the process,
// and must say which it was.
std::atomic<std::uint64_t> seed_under_way{0};

void name_the_seed(int /*signal*/) {
  std::array<char, 64> text{};
  std::uint64_t seed = seed_under_way.load();
  std::size_t at = text.size();
  text[--at] = '\n';
  do {
    text[--at] = static_cast<char>('0' + seed % 10);
    seed /= 10;
  } while (seed != 0);
  constexpr std::string_view what = "FOREBAY_CRASH_SEED=";
  at -= what.size();
  std::ranges::copy(what, text.begin() + static_cast<std::ptrdiff_t>(at));
  (void)!write(STDERR_FILENO, text.data() + at, text.size() - at);
}

// FOREBAY_CRASH_STATES: so many. A few thousand do not spread over all kinds.
TEST(CrashSuite, EverythingAcknowledgedIsThereAndNothingElse) {
  const std::uint64_t wanted = wanted_states(1);
  CrashCounts counts;
  (void)std::signal(SIGABRT, name_the_seed);
  for (std::uint64_t seed = 1; counts.total() < wanted && counts.violations == 0; ++seed) {
    seed_under_way = seed;
    CrashOptions options = options_of(seed);
    options.most_states = wanted;
    run_crashes(options, counts);
  }
  run_transient_error(counts);
  run_chunks_behind_damage(counts);
  run_rotten_payload(counts);
  run_whole_writes(counts);
  run_reclaim(counts);
  run_overtaken_fill(counts);
  run_lost_blocks(counts);
  expect_spread(counts, wanted, kinds, 500);
  EXPECT_TRUE(wanted < usual_crash_states || counts.journals >= 500U) << counts.journals;
}

// Every turn of the second actor inside of the first one's; and from there the whole story, with a
// journal and without.
TEST(SmallWorkload, PowerFailsAtEveryPointWithEveryChoice) {
  CrashCounts counts;
  SmallWorkloadFigures figures;
  for (const bool journalled : {false, true}) {
    for (std::uint64_t inside = 0; counts.violations == 0; ++inside) {
      const CrashOptions options{
          .seed = inside, .states = ~std::uint64_t{0}, .journalled = journalled};
      if (!run_small_workload(options, counts, figures)) break;
    }
  }
  std::cout << "persist points: " << figures.points << "\n"
            << "persist points with every choice: " << figures.exhaustive << "\n";
  constexpr CrashKind of_story[] = {data_copy,  kset_append, recovery,  second_recovery,
                                    write_back, reclaim,     compaction};
  expect_spread(counts, 0, of_story, 100);
}

// FOREBAY_CRASH_SEED: the one to look at.
TEST(SmallWorkload, OneSeed) {
  CrashCounts counts;
  SmallWorkloadFigures figures;
  for (const bool journalled : {false, true}) {
    const CrashOptions options{.seed = number_of("FOREBAY_CRASH_SEED", 0),
                               .states = ~std::uint64_t{0},
                               .journalled = journalled};
    (void)run_small_workload(options, counts, figures);
  }
  EXPECT_EQ(counts.violations, 0U) << counts.first_violation;
}

TEST(CrashSuite, OneSeed) {
  CrashCounts counts;
  run_crashes(options_of(number_of("FOREBAY_CRASH_SEED", 1)), counts);
  EXPECT_EQ(counts.violations, 0U) << counts.first_violation;
}

// The same on a device of pages, torn by sectors or destroyed, which the kernel writes whenever it
// likes, and with syncs that fail.
CrashOptions page_options_of(std::uint64_t seed) {
  CrashOptions options = options_of(seed);
  options.churns = false;
  options.states = 1500;
  return options;
}

TEST(PageCrashSuite, EverythingAcknowledgedIsThereAndNothingElse) {
  const std::uint64_t wanted = wanted_states(3);
  CrashCounts counts;
  (void)std::signal(SIGABRT, name_the_seed);
  for (std::uint64_t seed = 1; counts.total() < wanted && counts.violations == 0; ++seed) {
    seed_under_way = seed;
    CrashOptions options = page_options_of(seed);
    options.most_states = wanted;
    run_page_crashes(options, counts);
  }
  run_segments_of_a_round(counts);
  run_whole_writes_on_pages(counts);
  expect_spread(counts, wanted, kinds, 500);
}

TEST(PageCrashSuite, OneSeed) {
  CrashCounts counts;
  run_page_crashes(page_options_of(number_of("FOREBAY_CRASH_SEED", 1)), counts);
  EXPECT_EQ(counts.violations, 0U) << counts.first_violation;
}

}  // namespace
}  // namespace engine::test
