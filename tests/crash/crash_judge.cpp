#include "tests/crash/crash_judge.h"

namespace engine::test {

void CrashJudge::violate(const std::string& what) {
  if (counts_.violations++ == 0) {
    counts_.first_violation = what +
                              "\n  again: FOREBAY_CRASH_SEED=" + std::to_string(options_.seed) +
                              " crash_test --gtest_filter=" + suite_ + ".OneSeed";
  }
  throw Violated{};
}

void CrashJudge::append(CrashCommand& command) {
  command.index = models_[command.slot].order().size();
  models_[command.slot].append(command.model);
}

void CrashJudge::acknowledge(const CrashCommand& command, CrashWorld& world,
                             const VolumeModel::State& backing) {
  VolumeModel& model = models_[command.slot];
  if (command.index != model.acknowledged()) violate("acknowledged out of order");
  model.acknowledge(command.index + 1);
  ++counts_.live_checks;
  if (!model.prefix_of(world.state(command.slot, backing), model.order().size())) {
    violate("what is read at the acknowledgement is no prefix");
  }
}

std::size_t CrashJudge::prefix(CrashWorld& world, std::uint32_t slot,
                               const VolumeModel::State& backing) {
  const VolumeModel& model = models_[slot];
  const VolumeModel::State state = world.state(slot, backing);
  const auto found = model.prefix_of(state, model.order().size());
  if (!found) {
    violate("volume " + std::to_string(slot) + " is no prefix of its log that holds all " +
            std::to_string(model.acknowledged()) +
            " acknowledged commands: " + model.difference(state));
  }
  return *found;
}

}  // namespace engine::test
