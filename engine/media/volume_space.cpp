#include "engine/media/volume_space.h"

#include <utility>

namespace engine {

ByteCount VolumeSpace::needed(MediaOffset offset, ByteCount length) {
  const std::uint64_t begin = offset.value / block.value;
  const std::uint64_t end = (offset.value + length.value + block.value - 1) / block.value;
  return {(end - begin) * block.value};
}

void VolumeSpace::answer(SpaceQuestion& question, SpaceQuestion::Answer answer) {
  question.answer = answer;
  question.way_back.context = &question;
  question.way_back.done = [](FileOperation& operation, int) noexcept {
    auto& answered = *static_cast<SpaceQuestion*>(operation.context);
    answered.answered(answered, answered.answer);
  };
  question.lane->post(question.way_back);
}

// What is owed is to be seen before the budget is told that it is not under way any more.
void VolumeSpace::follow(std::function<ByteCount()> owed) {
  const ByteCount now = owed ? owed() : ByteCount{};
  {
    const std::lock_guard lock(mutex_);
    owed_ = std::move(owed);
    expected_ = {};
  }
  budget_.found(now);
}

void VolumeSpace::expect(ByteCount owed) {
  {
    const std::lock_guard lock(mutex_);
    expected_ = owed;
  }
  budget_.found(owed);
}

ByteCount VolumeSpace::owed() const {
  const std::lock_guard lock(mutex_);
  return owed_ ? owed_() : expected_;
}

}  // namespace engine
