// HandOver: items on their way from any thread to the one that takes them.
#pragma once

#include <atomic>

namespace engine {

// Lock-free; many push, one at a time takes. Items of one pusher come out in its order, those of
// several in the order of their pushes. An item is linked by its `next_`, and in one list at a
// time.
template <class Item>
class HandOver {
 public:
  void push(Item& item) { push(item, item); }
  // A chain, linked from the newest to the oldest.
  void push(Item& newest, Item& oldest) {
    Item* head = head_.load(std::memory_order_relaxed);
    do {
      oldest.next_ = head;
    } while (!head_.compare_exchange_weak(head, &newest, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
  }
  // Everything, linked from the oldest to the newest; null: nothing.
  [[nodiscard]] Item* take_all() {
    Item* newest = head_.exchange(nullptr, std::memory_order_seq_cst);
    Item* oldest = nullptr;
    while (newest != nullptr) {
      Item* const next = newest->next_;
      newest->next_ = oldest;
      oldest = newest;
      newest = next;
    }
    return oldest;
  }
  [[nodiscard]] bool empty() const { return head_.load(std::memory_order_seq_cst) == nullptr; }

 private:
  std::atomic<Item*> head_{nullptr};
};

}  // namespace engine
