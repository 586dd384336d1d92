#include "tests/crash/backing_judge.h"

#include <utility>

#include "tests/crash/crash_journal.h"

namespace engine::test {

void BackingJudge::check_alone(std::uint32_t slot, const BackingImage& image) {
  using State = BackingMark::State;
  const State state = image.mark ? image.mark->state : State::clean;
  if (state == State::in_progress) {
    if (judge_.options().journalled) judge_.violate("a backing with a journal is at no moment");
    return;
  }
  ++judge_.counts().backing_checks;
  VolumeModel::State sectors = image.sectors;
  if (state == State::journalled) {
    ++judge_.counts().journals;
    auto applied = apply_journal_of(image, world_base, random_);
    if (!applied) judge_.violate("volume " + std::to_string(slot) + ": " + applied.error());
    sectors = std::move(applied.value());
  }
  const auto [least, most] = times_[slot].commands_up_to(image.mark ? image.mark->to : 0);
  if (judge_.model(slot).is_between(sectors, least, most)) return;
  judge_.violate("the backing of volume " + std::to_string(slot) +
                 " alone is not the volume at kset " +
                 std::to_string(image.mark ? image.mark->to : 0) + ", as its marker says");
}

void BackingJudge::touch_alone(BackingImage& image) {
  if (!image.mark || image.mark->state != BackingMark::State::journalled) return;
  if (!random_.chance(1, 4)) return;
  image.sectors = begin_to_apply_journal_of(image, world_base, random_);
}

void BackingJudge::resume(CrashWorld& world, const std::array<BackingImage, world_volumes>& images,
                          bool journalled) {
  CrashDisks disks;
  for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
    disks[slot] = std::make_unique<CrashDisk>(world_base, images[slot]);
  }
  CrashWriteBack write_back(world, disks, random_, journalled);
  for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
    const std::uint64_t tail = world.device().volumes()[slot].tails.dirty_tail;
    if (tail >= world.volume(slot).commit().published()) continue;
    if (!write_back.bring(slot, tail + 1)) judge_.violate("a batch is not resumed");
    check_alone(slot, disks[slot]->crash(random_));
    (void)judge_.prefix(world, slot, disks[slot]->current());
  }
}

}  // namespace engine::test
