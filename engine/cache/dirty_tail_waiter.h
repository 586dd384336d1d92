// DirtyTailWaiter: somebody who wants to know that what he has written is on the backing.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

namespace engine {

// Write-through commands, flushes and drains. As long as one waits, write-back goes on at once. Of
// the volume's home lane; unlinks itself when destroyed, which is how a wait is cancelled.
class DirtyTailWaiter : public boost::intrusive::list_base_hook<
                            boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // D has reached sequence(), durably. Called once, not inside WriteBack::wait(); may wait again,
  // may not destroy the WriteBack.
  virtual void written_back() = 0;
  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }

 protected:
  ~DirtyTailWaiter() = default;

 private:
  friend class WriteBack;
  std::uint64_t sequence_ = 0;
};

}  // namespace engine
