// CrashChooser: which of its possible contents each piece of memory has after a simulated crash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/foundation/check.h"
#include "engine/foundation/random.h"

namespace engine {

// Asked in ascending order of addresses, and only where there is a choice, so the same answers give
// the same crash.
class CrashChooser {
 public:
  CrashChooser() = default;
  CrashChooser(const CrashChooser&) = delete;
  CrashChooser& operator=(const CrashChooser&) = delete;
  virtual ~CrashChooser() = default;
  // True: the words of the next unit are chosen one by one (it is torn).
  virtual bool tear() = 0;
  // In [0, versions): 0 is what was persistent for sure, the last what was stored last.
  virtual std::size_t pick(std::size_t versions) = 0;
};

// Nothing that was not fenced survives.
class LoseEverything final : public CrashChooser {
 public:
  bool tear() override { return false; }
  std::size_t pick(std::size_t /*versions*/) override { return 0; }
};

// Everything survives, as if power had failed a little later.
class KeepEverything final : public CrashChooser {
 public:
  bool tear() override { return false; }
  std::size_t pick(std::size_t versions) override { return versions - 1; }
};

// All is as it was but one unit, or all was stored but one.
class AllButOne final : public CrashChooser {
 public:
  enum class Others : std::uint8_t { lost, kept };
  // `one`: which of those that there is a choice for.
  AllButOne(std::size_t one, Others others) : one_(one), others_(others) {}
  bool tear() override { return false; }
  std::size_t pick(std::size_t versions) override {
    const bool keeps = (at_++ == one_) != (others_ == Others::kept);
    return keeps ? versions - 1 : 0;
  }

 private:
  const std::size_t one_;
  const Others others_;
  std::size_t at_ = 0;
};

// One of several tempers for each crash: fair, nearly everything kept, nearly everything lost.
// (Fair alone would hardly ever lose just one line of a hundred.)
class RandomChooser final : public CrashChooser {
 public:
  explicit RandomChooser(SeededRandom& random)
      : random_(random), temper_(random.below(3)), tears_(random.chance(1, 2)) {}
  bool tear() override { return tears_ && random_.chance(1, 4); }
  std::size_t pick(std::size_t versions) override {
    if (temper_ == 1 && !random_.chance(1, 16)) return versions - 1;
    if (temper_ == 2 && !random_.chance(1, 16)) return 0;
    return random_.below(versions);
  }

 private:
  SeededRandom& random_;
  const std::uint64_t temper_;
  const bool tears_;
};

// Every combination, one for each crash:
//   ExhaustiveChooser choose;
//   do { auto after = pmem.crash(choose); ... } while (choose.next());
class ExhaustiveChooser final : public CrashChooser {
 public:
  // `tear_units`: also all combinations of words inside a unit; their number explodes.
  explicit ExhaustiveChooser(bool tear_units = false) : tear_units_(tear_units) {}
  bool tear() override { return tear_units_; }
  std::size_t pick(std::size_t versions) override {
    if (at_ == digits_.size()) digits_.push_back({.value = 0, .base = versions});
    CHECK(digits_[at_].base == versions);  // the same crash must ask the same questions
    return digits_[at_++].value;
  }
  // Goes on to the next combination; false when that was the last.
  [[nodiscard]] bool next() {
    CHECK(at_ == digits_.size());
    at_ = 0;
    while (!digits_.empty() && digits_.back().value + 1 == digits_.back().base) digits_.pop_back();
    if (digits_.empty()) return false;
    ++digits_.back().value;
    return true;
  }

 private:
  struct Digit {
    std::size_t value;
    std::size_t base;
  };
  const bool tear_units_;
  std::vector<Digit> digits_;
  std::size_t at_ = 0;
};

}  // namespace engine
