// PersistPoint: a moment at which a crash can leave something new behind.
#pragma once

#include <cstdint>
#include <functional>

namespace engine {

struct PersistPoint {
  enum class Kind : std::uint8_t {
    store,   // after a copy or write
    settle,  // after a fence or sync
  };
  Kind kind = Kind::store;
  std::uint64_t number = 0;  // from 1, of both kinds together
};

// Calls whoever wants to know; counts whether anybody does or not.
class PersistPoints {
 public:
  using Hook = std::function<void(PersistPoint)>;
  void set_hook(Hook hook) { hook_ = std::move(hook); }
  void reach(PersistPoint::Kind kind) {
    ++count_;
    if (hook_) hook_({.kind = kind, .number = count_});
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  Hook hook_;
  std::uint64_t count_ = 0;
};

}  // namespace engine
