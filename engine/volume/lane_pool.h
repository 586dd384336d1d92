// LanePool: objects of one lane, used again and again, so that a command allocates nothing.
#pragma once

#include <memory>
#include <vector>

namespace engine {

// One thread. Grows to the most that were ever in use at once. Nothing may be out when it is
// destroyed.
template <class Item>
class LanePool {
 public:
  // Made with `arguments` where there is none to use again.
  template <class... Arguments>
  [[nodiscard]] Item& take(Arguments&... arguments) {
    if (free_.empty()) {
      all_.push_back(std::make_unique<Item>(arguments...));
      free_.reserve(all_.size());
      return *all_.back();
    }
    Item& item = *free_.back();
    free_.pop_back();
    return item;
  }
  void give_back(Item& item) { free_.push_back(&item); }
  // Nothing is out.
  [[nodiscard]] bool is_whole() const { return free_.size() == all_.size(); }

 private:
  std::vector<std::unique_ptr<Item>> all_;
  std::vector<Item*> free_;
};

}  // namespace engine
