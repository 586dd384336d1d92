// VolumeSpace: whether what is written to a volume has its place on the pool.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>

#include "engine/media/io_lane.h"
#include "engine/media/space_budget.h"

namespace engine {

// Asked where the budget was too small for a write when it was looked at; owned by who asks,
// untouched by it until `answered` runs, on the lane's thread.
struct SpaceQuestion {
  enum class Answer : std::uint8_t {
    promised,   // taken from the budget, as by admits()
    has_place,  // the backing has space for all of the range already
    refused,
    unknown,  // whoever knows is ending
  };
  MediaOffset offset;  // in bytes of the volume
  ByteCount length;
  // Space that the range has may be given back before the write comes there.
  bool loses_place = false;
  IoLane* lane = nullptr;
  void (*answered)(SpaceQuestion& question, Answer answer) noexcept = nullptr;
  void* context = nullptr;  // the asker's own

  // Of who answers.
  Answer answer = Answer::unknown;
  FileOperation way_back{};
};

// Of a volume whose backing has no space for everything that may be written to it. Any thread.
class VolumeSpace {
 public:
  // May wait for the disk, so on a thread of its own; ends in SpaceQuestion::answered.
  using Ask = std::function<void(SpaceQuestion&)>;
  // Outlived by the budget.
  VolumeSpace(SpaceBudget& budget, Ask ask) : budget_(budget), ask_(std::move(ask)) {}
  VolumeSpace(const VolumeSpace&) = delete;
  VolumeSpace& operator=(const VolumeSpace&) = delete;

  // What a backing gives space in.
  static constexpr ByteCount block{4096};
  // Of all blocks that the range touches.
  [[nodiscard]] static ByteCount needed(MediaOffset offset, ByteCount length);

  [[nodiscard]] bool admits(ByteCount bytes) { return budget_.admits(bytes); }
  void ended(ByteCount bytes) { budget_.ended(bytes); }
  void ask(SpaceQuestion& question) { ask_(question); }
  // For who answers.
  static void answer(SpaceQuestion& question, SpaceQuestion::Answer answer);

  // What a cache has that the backing lacks, as `owed` says whenever it is asked; empty: no cache
  // any more. Not before the cache is where others can see what it owes.
  void follow(std::function<ByteCount()> owed);
  // What a cache that is not there yet may owe.
  void expect(ByteCount owed);
  [[nodiscard]] ByteCount owed() const;

 private:
  SpaceBudget& budget_;
  const Ask ask_;
  mutable std::mutex mutex_;  // guards what follows; before nothing but what owed_() takes
  std::function<ByteCount()> owed_;
  ByteCount expected_;
};

}  // namespace engine
