// CommitQueue: records on their way from any reactor to whoever commits.
#pragma once

#include <atomic>

#include "engine/cache/commit_record.h"

namespace engine {

// Lock-free; many push, one at a time takes. Records of one pusher come out in its order, those of
// several in the order of their pushes.
class CommitQueue {
 public:
  // A chain, linked from the newest to the oldest.
  void push(CommitRecord& newest, CommitRecord& oldest) {
    CommitRecord* head = head_.load(std::memory_order_relaxed);
    do {
      oldest.next_ = head;
    } while (!head_.compare_exchange_weak(head, &newest, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
  }
  // Everything, linked from the oldest to the newest; null: nothing.
  [[nodiscard]] CommitRecord* take_all() {
    CommitRecord* newest = head_.exchange(nullptr, std::memory_order_seq_cst);
    CommitRecord* oldest = nullptr;
    while (newest != nullptr) {
      CommitRecord* const next = newest->next_;
      newest->next_ = oldest;
      oldest = newest;
      newest = next;
    }
    return oldest;
  }
  [[nodiscard]] bool empty() const { return head_.load(std::memory_order_seq_cst) == nullptr; }

 private:
  std::atomic<CommitRecord*> head_{nullptr};
};

}  // namespace engine
