#include "tests/bench/cache/cache_bench.h"

#include <CLI/CLI.hpp>
#include <map>

#include "tests/bench/cache/recovery_bench.h"

int main(int argc, char** argv) {
  using namespace engine;
  CLI::App app{"What the cache engine costs, beside what this machine can do at best.",
               "forebay-cache-bench"};
  app.require_subcommand(1);
  app.option_defaults()->always_capture_default();
  app.fallthrough();
  BenchPlan plan;
  app.add_option("--memory", plan.memory, "a directory whose files are in memory");
  app.add_option("--disk", plan.disk, "a directory on a disk");
  app.add_option("--repeats", plan.repeats)->check(CLI::Range(1, 1000));
  app.add_option("--writes", plan.writes, "of 4 KiB, in each measurement")
      ->check(CLI::Range(1024, 100'000'000));
  app.add_option("--written-back", plan.written_back.value, "a multiple of 32 MiB")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--page-writes", plan.page_writes)->check(CLI::Range(1024, 100'000'000));

  const auto part = [&app, &plan](const char* name, const char* about,
                                  void (*measure)(const BenchPlan&)) {
    app.add_subcommand(name, about)->callback([&plan, measure] { measure(plan); });
  };
  part("writes", "4 KiB writes of one core", measure_writes);
  part("cores", "4 KiB writes of two cores", measure_cores);
  part("reads", "read hits, and recovery", measure_reads);
  part("in-place", "128 KiB read hits to a socket, copied and from where they lie",
       measure_in_place);
  part("joined", "the same through Engine and CachedVolume", measure_joined);
  part("write-back", "to a file on the disk", measure_write_back);
  part("recovery", "logs read by one worker and by two",
       [](const BenchPlan&) { measure_recovery(); });
  part("pages", "a cache in an ordinary file on the disk", measure_pages);

  CountedWrites counted;
  auto* count = app.add_subcommand("counted", "writes for valgrind to count; nothing is printed");
  const std::map<std::string, CountedPath> paths{
      {"bare", CountedPath::bare}, {"cache", CountedPath::cache}, {"joined", CountedPath::joined}};
  count->add_option("--path", counted.path)->transform(CLI::Transformer(paths));
  count->add_flag("--crc", counted.crc);
  count->add_option("--depth", counted.depth)->check(CLI::Range(1, 32));
  count->add_option("--count", counted.writes, "at most --writes")->required();
  count->callback([&] { run_counted(plan, counted); });
  CLI11_PARSE(app, argc, argv);
  return 0;
}
