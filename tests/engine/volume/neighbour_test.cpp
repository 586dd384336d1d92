// What goes wrong with a disk is its own volume's trouble: turn for turn its neighbour is answered
// as if nothing had happened.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <vector>

#include "engine/foundation/random.h"
#include "tests/engine/volume/model_life.h"

namespace engine::test {
namespace {

using Kind = VolumeIo::Kind;

constexpr std::uint64_t sectors = 2048;
constexpr std::uint64_t command_sectors = 8;
constexpr std::uint32_t share = 16;  // segments
constexpr std::size_t depth = 8;     // of the volume with the trouble
constexpr std::size_t troubled = 0;
constexpr std::size_t neighbour = 1;

struct Trouble {
  const char* name;
  std::function<void(SimBacking&)> begin;
};

const Trouble troubles[] = {
    {"hangs", [](SimBacking& disk) { disk.hang(true); }},
    {"fails each sync", [](SimBacking& disk) { disk.fail_syncs(true); }},
    {"answers nothing but errors",
     [](SimBacking& disk) {
       for (std::size_t nth = 1; nth < 100'000; ++nth) disk.fail_nth(nth, IoStatus::media_error);
     }},
};

class NeighbourOf : public testing::TestWithParam<ModelMedia> {
 protected:
  struct Seen {
    std::vector<std::uint64_t> turns;  // that each of the neighbour's commands has taken
    std::uint64_t answered = 0;        // of the volume with the trouble
  };

  // Both ask for as much as they get.
  [[nodiscard]] static Seen look(const std::function<void(SimBacking&)>& trouble) {
    BlockModels models{BlockModel(sectors), BlockModel(sectors)};
    const std::uint32_t segments = GetParam() == ModelMedia::lines ? 60 : 120;
    const Remains blank = new_remains(GetParam(), segments, true, sectors);
    ModelLife life(blank,
                   {.fewest_segments = {share, share}, .most_segments = {share, share}, .seed = 1},
                   models);
    trouble(life.trouble_backing(troubled));
    SeededRandom load(1);
    SeededRandom random(2);
    Writer writer = 1;
    Seen seen;
    std::uint64_t asked = 0;
    std::uint64_t begun = 0;
    for (std::uint64_t turn = 0; turn < 6000; ++turn) {
      while (life.under_way_of(troubled) < depth) {
        life.submit(troubled, some_command(load, troubled, writer++));
        ++asked;
      }
      if (life.under_way_of(neighbour) == 0) {
        if (turn > 0) seen.turns.push_back(turn - begun);
        begun = turn;
        life.submit(neighbour, some_command(random, neighbour, writer++));
      }
      for (std::size_t lane = 0; lane < host_lanes; ++lane) life.turn_host(lane);
      life.turn_keeper();
      life.tick(std::chrono::milliseconds(1));
    }
    seen.answered = asked - life.under_way_of(troubled);
    EXPECT_EQ(life.problem(), "");
    return seen;
  }

 private:
  static ModelLife::Command some_command(SeededRandom& random, std::size_t volume, Writer writer) {
    const Sector begin{random.below(sectors / command_sectors) * command_sectors};
    return {.kind = random.chance(1, 3) ? Kind::read : Kind::write,
            .volume = volume,
            .range = {begin, {command_sectors}},
            .writer = writer};
  }
};

TEST_P(NeighbourOf, ADiskInTroubleIsAnsweredInAsManyTurns) {
  const Seen healthy = look([](SimBacking&) {});
  ASSERT_GT(healthy.turns.size(), 2000U);
  for (const Trouble& trouble : troubles) {
    SCOPED_TRACE(trouble.name);
    const Seen beside = look(trouble.begin);
    EXPECT_EQ(beside.turns, healthy.turns);
    EXPECT_LT(beside.answered, healthy.answered) << "it was no trouble";
  }
}

INSTANTIATE_TEST_SUITE_P(On, NeighbourOf, testing::Values(ModelMedia::lines, ModelMedia::pages),
                         [](const auto& of) {
                           return of.param == ModelMedia::lines ? "Lines" : "Pages";
                         });

}  // namespace
}  // namespace engine::test
