// Each guard of the engine, switched off by name, makes the crash suite fail: so the suite looks,
// and the guard is needed.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <new>
#include <string>
#include <tuple>
#include <vector>

#include "tests/crash/crash_run.h"
#include "tests/crash/guards.h"
#include "tests/crash/lost_blocks.h"
#include "tests/crash/page_crash_run.h"
#include "tests/crash/reclaim_driver.h"
#include "tests/crash/small_workload.h"
#include "tests/crash/whole_write.h"

namespace engine::test {
namespace {

constexpr std::uint64_t most_states = 2000;  // besides those of the scripted cases

struct Mutant {
  const char* guard;
  std::uint64_t seed = 1;      // first
  std::uint64_t states = 250;  // for each seed
  std::uint64_t thin = 1;
  std::uint64_t thin_entries = 1;
  CrashFocus focus = CrashFocus::cache;
  bool pages = false;  // on media of pages
  bool journalled = false;
  bool small = false;  // a story with every choice, see small_workload.h
};

[[nodiscard]] constexpr auto workload_of(const Mutant& mutant) {
  return std::tuple(mutant.seed, mutant.states, mutant.thin, mutant.thin_entries, mutant.focus,
                    mutant.pages, mutant.journalled, mutant.small);
}

constexpr Mutant of_write_back(const char* guard) {
  return {.guard = guard, .focus = CrashFocus::write_back};
}

constexpr Mutant of_write_back_on_pages(const char* guard) {
  return {.guard = guard, .focus = CrashFocus::write_back, .pages = true};
}

// The workload must be a while at it.
constexpr Mutant of_reclaim_on_pages(const char* guard, std::uint64_t seed = 1) {
  return {.guard = guard,
          .seed = seed,
          .states = 2000,
          .thin = 8,
          .thin_entries = 8,
          .focus = CrashFocus::everything,
          .pages = true};
}

constexpr Mutant of_journal(const char* guard) {
  return {.guard = guard, .focus = CrashFocus::write_back, .journalled = true};
}

constexpr Mutant in_small_workload(const char* guard, CrashFocus focus = CrashFocus::cache,
                                   bool journalled = false) {
  return {.guard = guard, .focus = focus, .journalled = journalled, .small = true};
}

constexpr Mutant mutants[] = {
    {"data fence"},
    {"kset fence"},
    {"second kset copy"},
    {"kset crc"},
    // Chunks must be used again before it matters.
    {"kset sequence", 8, 2000, 60, 60},
    {"epoch limit"},
    {"epoch before the first kset"},
    {"generation"},
    {"larger sequence behind the end"},
    {"known durable"},
    // Processes must be killed before it matters.
    {"accepted end is settled", 1, 250, 12, 12},
    {"conditional key"},
    {"publish order"},
    {"publish before acknowledgement"},
    {"a command in one kset"},
    {"one replica at a time", 1, 500, 20},
    {"entry fence"},
    {"entry crc", 1, 500, 20},
    {"chunk header crc"},
    {"chunk header first"},
    {"only joined ksets count"},
    {"replay in the order of the log"},
    of_write_back("target before the first write"),
    of_write_back("marker before the first write"),
    of_write_back("batch never shrinks"),
    of_write_back("newest inside the batch"),
    of_write_back("backing flush before D"),
    of_write_back("backing flush behind the writes"),
    of_write_back("backing flush result"),
    of_write_back("payload crc on its way"),
    of_journal("journal synced before the marker"),
    of_journal("journalled before the first write"),
    of_journal("journal beside the one that counts"),
    of_journal("applied journal is synced"),
    {.guard = "conditional key of reclaim", .seed = 77, .focus = CrashFocus::everything},
    {"kept before the key tail"},
    {"key tail at or below the dirty tail"},
    {"key tail before its chunks"},
    {"free at or below the dirty tail"},
    {"pinned segment"},
    {"generation of the next use"},
    {"overtaken fill"},
    {"misses are overtaken"},
    {"lost is written down first"},
    {"lost blocks are an error"},
    {"no longer lost before the answer"},
    {.guard = "kset a round after its data", .pages = true},
    {.guard = "sync before acknowledgement", .pages = true},
    {.guard = "a command in one kset", .pages = true},
    {.guard = "sync result", .thin = 20, .thin_entries = 20, .pages = true},
    {.guard = "segment entry before its kset", .pages = true},
    {.guard = "second replicas settled first", .pages = true},
    {.guard = "kset on a fresh page", .pages = true},
    {.guard = "accepted end is settled", .thin = 20, .thin_entries = 20, .pages = true},
    {.guard = "larger sequence behind the end", .pages = true},
    {.guard = "known durable", .pages = true},
    of_write_back_on_pages("target before the first write"),
    of_write_back_on_pages("marker before the first write"),
    of_write_back_on_pages("batch never shrinks"),
    of_write_back_on_pages("newest inside the batch"),
    of_write_back_on_pages("backing flush before D"),
    of_write_back_on_pages("backing flush result"),
    of_reclaim_on_pages("key tail at or below the dirty tail"),
    of_reclaim_on_pages("free at or below the dirty tail", 22),
    of_reclaim_on_pages("conditional key of reclaim", 8),
    of_reclaim_on_pages("pinned segment", 15),
    of_reclaim_on_pages("generation of the next use"),
    in_small_workload("data fence"),
    in_small_workload("kset fence"),
    in_small_workload("kset crc"),
    in_small_workload("publish before acknowledgement"),
    in_small_workload("one replica at a time"),
    in_small_workload("entry fence"),
    in_small_workload("target before the first write", CrashFocus::write_back),
    in_small_workload("marker before the first write", CrashFocus::write_back),
    in_small_workload("backing flush before D", CrashFocus::write_back),
    in_small_workload("backing flush behind the writes", CrashFocus::write_back),
    in_small_workload("journal synced before the marker", CrashFocus::write_back, true),
    in_small_workload("journalled before the first write", CrashFocus::write_back, true),
    in_small_workload("applied journal is synced", CrashFocus::write_back, true),
};

// What the child says that ran a mutant. A failed CHECK of the engine ends it.
struct Verdict {
  CrashCounts counts;
  std::uint64_t uses = 0;
  std::array<char, 512> text{};
};

void run_page_mutant(const Mutant& mutant, CrashCounts& counts) {
  run_segments_of_a_round(counts);
  if (counts.violations == 0) run_whole_writes_on_pages(counts);
  const std::uint64_t most = counts.total() + most_states;
  for (std::uint64_t seed = mutant.seed; counts.total() < most && counts.violations == 0; ++seed) {
    run_page_crashes({.seed = seed,
                      .states = mutant.states,
                      .most_states = most,
                      .thin = mutant.thin,
                      .thin_entries = mutant.thin_entries,
                      .focus = mutant.focus},
                     counts);
  }
}

void run_line_mutant(const Mutant& mutant, CrashCounts& counts) {
  run_transient_error(counts);
  run_chunks_behind_damage(counts);
  run_rotten_payload(counts);
  if (counts.violations == 0) run_whole_writes(counts);
  if (counts.violations == 0) run_reclaim(counts);
  if (counts.violations == 0) run_overtaken_fill(counts);
  if (counts.violations == 0) run_lost_blocks(counts);
  const std::uint64_t most = counts.total() + most_states;
  for (std::uint64_t seed = mutant.seed; counts.total() < most && counts.violations == 0; ++seed) {
    run_crashes({.seed = seed,
                 .states = mutant.states,
                 .most_states = most,
                 .thin = mutant.thin,
                 .thin_entries = mutant.thin_entries,
                 .focus = mutant.focus,
                 .churns = seed % 8 == 0,
                 .journalled = mutant.journalled,
                 .data_is_fenced = std::string(mutant.guard) != "data fence"},
                counts);
  }
}

void run_small_mutant(const Mutant& mutant, CrashCounts& counts) {
  SmallWorkloadFigures figures;
  for (std::uint64_t inside = 0; counts.violations == 0; ++inside) {
    const CrashOptions options{.seed = inside,
                               .states = ~std::uint64_t{0},
                               .focus = mutant.focus,
                               .journalled = mutant.journalled};
    if (!run_small_workload(options, counts, figures)) return;
  }
}

void run_mutant(const Mutant& mutant, Verdict& verdict) {
  switch_guard_off(mutant.guard);
  CrashCounts& counts = verdict.counts;
  if (mutant.small) {
    run_small_mutant(mutant, counts);
  } else if (mutant.pages) {
    run_page_mutant(mutant, counts);
  } else {
    run_line_mutant(mutant, counts);
  }
  verdict.uses = guard_uses();
  std::snprintf(verdict.text.data(), verdict.text.size(), "%s",
                counts.first_violation.substr(0, counts.first_violation.find('\n')).c_str());
}

class Mutants : public testing::TestWithParam<Mutant> {};

TEST_P(Mutants, Dies) {
  const Mutant& mutant = GetParam();
  void* const shared =
      mmap(nullptr, sizeof(Verdict), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto& verdict = *new (shared) Verdict;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    run_mutant(mutant, verdict);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  const bool stopped = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  const std::uint64_t states = verdict.counts.total();
  const bool killed = stopped || verdict.counts.violations > 0;
  std::cout << "mutant: " << mutant.guard << (mutant.pages ? ", on pages" : "")
            << (mutant.small ? ", in a small workload" : "") << " -> "
            << (killed ? "killed after " : "SURVIVED ") << states << " states"
            << (stopped ? ": a CHECK of the engine failed" : "")
            << (killed && !stopped ? std::string(": ") + verdict.text.data() : "") << "\n";
  EXPECT_TRUE(killed) << mutant.guard << " is not missed";
  EXPECT_TRUE(stopped || verdict.uses > 0) << "no such guard: " << mutant.guard;
  munmap(shared, sizeof(Verdict));
}

std::string name_of(const testing::TestParamInfo<Mutant>& info) {
  std::string name;
  bool upper = true;
  for (const char letter : std::string(info.param.guard)) {
    if (letter == ' ') {
      upper = true;
      continue;
    }
    name += upper ? static_cast<char>(std::toupper(letter)) : letter;
    upper = false;
  }
  return name + (info.param.pages ? "OnPages" : info.param.small ? "InASmallWorkload" : "");
}

INSTANTIATE_TEST_SUITE_P(Without, Mutants, testing::ValuesIn(mutants), name_of);

// Where no guard is off, none of the mutants' own workloads finds anything.
TEST(MutantsBuild, WithAllGuardsNothingIsFound) {
  std::uint64_t states = 0;
  std::vector<Mutant> done;
  for (const Mutant& mutant : mutants) {
    if (std::ranges::any_of(
            done, [&](const Mutant& other) { return workload_of(other) == workload_of(mutant); })) {
      continue;
    }
    done.push_back(mutant);
    Verdict verdict;
    Mutant control = mutant;
    control.guard = "";
    run_mutant(control, verdict);
    ASSERT_EQ(verdict.counts.violations, 0U)
        << mutant.guard << ": " << verdict.counts.first_violation;
    states += verdict.counts.total();
  }
  std::cout << done.size() << " workloads, " << states << " states\n";
}

}  // namespace
}  // namespace engine::test
