// CacheCommand: a commit record that belongs to a lane and goes on there when it is through.
#pragma once

#include "engine/cache/commit_record.h"
#include "engine/cache/hand_over.h"

namespace engine {

class CacheLane;

// Whose a command is, and in which era of its volume's front it has begun (CacheFront::next_era()):
// what a lane counts it by.
struct CommandTicket {
  std::uint32_t slot = 0;  // of the volume, on its device
  unsigned era = 0;
};

// Of its lane's thread; whoever else is done with something for it hands it over (CacheLane::tell).
class CacheCommand : public CommitRecord {
 public:
  explicit CacheCommand(CacheLane& lane);
  CacheCommand(const CacheCommand&) = delete;
  CacheCommand& operator=(const CacheCommand&) = delete;

  CommandTicket ticket;  // the lane's

  // On the lane's thread: what it waited for has happened. It may be reused in here.
  virtual void go_on() noexcept = 0;

  [[nodiscard]] CacheLane& lane() const { return lane_; }
  // Behind it in what HandOver::take_all() returned.
  [[nodiscard]] CacheCommand* next() const { return next_; }

 protected:
  ~CacheCommand() = default;

 private:
  friend class HandOver<CacheCommand>;
  CacheLane& lane_;
  CacheCommand* next_ = nullptr;
};

}  // namespace engine
