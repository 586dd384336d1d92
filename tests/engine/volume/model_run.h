// ModelRun: numbers become commands, turns, troubles, crashes and new lives of ModelLife.
#pragma once

#include <memory>
#include <string>

#include "engine/foundation/function_ref.h"
#include "tests/engine/volume/model_life.h"

namespace engine::test {

class ModelRun {
 public:
  using Draw = FunctionRef<std::uint64_t(std::uint64_t)>;  // below its argument
  static constexpr unsigned most_lives = 12;

  // What kind of media, how much of everything.
  explicit ModelRun(Draw draw);

  // One operation. False: engine and model do not agree.
  [[nodiscard]] bool step(Draw draw);
  // Everything ends, goes to the disks, and is found again by another life. As above.
  [[nodiscard]] bool finish();
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] unsigned lives() const { return lives_; }

 private:
  static constexpr std::uint64_t most_sectors = 256;
  static constexpr std::size_t most_under_way = 24;

  void command(Draw draw);
  void turns(Draw draw);
  void trouble(Draw draw);
  void grow(Draw draw);
  void crash(Draw draw);
  void restart(std::optional<PlannedCrash> crash);
  void begin_life(std::optional<PlannedCrash> crash);
  // The one that has crashed; another one follows.
  void bury();
  [[nodiscard]] bool is_well();

  ModelLife::Options options_;
  BlockModels models_;
  Remains remains_;
  std::unique_ptr<ModelLife> life_;
  std::optional<PlannedCrash> in_recovery_;  // behind the crash that is planned
  Writer next_writer_ = 1;
  unsigned lives_ = 0;
  std::string problem_;
};

}  // namespace engine::test
