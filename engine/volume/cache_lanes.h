// CacheLanes: the lanes that have come to a cache device, and what its keeper asks of them.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

namespace engine {

class CacheLane;

// What a lane is asked: each answers on its own thread, and only when that is true.
struct LaneQuestion {
  enum class Kind : std::uint8_t {
    ended,   // the commands of the volume that it had begun in the era have ended
    left,    // all of them, and its actor has left the volume
    closed,  // it writes to the device no more; nothing of any volume is under way
  };
  Kind kind = Kind::ended;
  std::uint32_t slot = 0;  // of the volume
  unsigned era = 0;        // of the volume's front
  friend bool operator==(const LaneQuestion&, const LaneQuestion&) = default;
};

class CacheLanes {
 public:
  // The lane's thread. Its number is from now on the least that no other lane has.
  void add(CacheLane& lane);
  void remove(CacheLane& lane);

  // The keeper's thread, again and again until it is true, or is taken back: whether all lanes have
  // answered. A lane that comes later has nothing of what is asked for.
  [[nodiscard]] bool all_say(const LaneQuestion& question);
  void take_back(const LaneQuestion& question);

 private:
  void forget(const LaneQuestion& question);

  std::mutex mutex_;  // before a lane's own
  std::vector<CacheLane*> lanes_;
};

}  // namespace engine
