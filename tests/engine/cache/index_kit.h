// An index and its model side by side: every operation goes to both and must answer the same.
#pragma once

#include <deque>
#include <string>

#include "engine/foundation/function_ref.h"
#include "tests/engine/cache/index_model.h"

namespace engine::index_kit {

inline constexpr auto ignore = [](const Fragment&) {};

// Shorthand for tests.
inline SectorRange sectors(std::uint64_t begin, std::uint64_t count) {
  return {Sector{begin}, SectorCount{count}};
}
inline ExtentValue data_at(std::uint64_t place, bool dirty = true) {
  return {.place = Place{place},
          .crc = static_cast<std::uint32_t>(place * 2654435761U),
          .dirty = dirty};
}
inline ExtentValue zero_of(std::uint64_t stamp, bool dirty = true) {
  return {.place = Place{stamp}, .kind = ExtentKind::zero, .dirty = dirty};
}

// Each operation returns false after noting in `problem` what differed.
class CheckedIndex {
 public:
  CheckedIndex(std::uint64_t volume_sectors, ByteCount memory_limit)
      : memory(memory_limit), index(memory, SectorCount{volume_sectors}), model(volume_sectors) {}

  // Those that need a permit do nothing if there is no memory, and count it.
  bool publish(SectorRange range, const ExtentValue& value);
  bool publish(PublishPermit permit, const ExtentValue& value);
  bool erase(SectorRange range);
  bool erase_if(SectorRange range, const Owner& owner);
  bool mark_clean(SectorRange range, const Owner& owner, CleanZeros zeros);
  bool look_up(SectorRange range);
  bool still_points(SectorRange range, const Owner& owner);
  // All of the volume, for_each and the invariants.
  bool check_all();

  IndexMemory memory;
  ExtentIndex index;
  IndexModel model;
  std::string problem;
  std::uint64_t refused = 0;

 private:
  bool same(const char* what, SectorRange range, const Cells& expected, const Cells& got);
};

// Operations out of numbers, be they random or a fuzzer's bytes.
class Operations {
 public:
  using Draw = FunctionRef<std::uint64_t(std::uint64_t)>;  // uniform below its argument
  explicit Operations(CheckedIndex& checked) : checked_(checked) {}

  // One operation; false if index and model disagree.
  bool step(Draw draw);
  // Permits still held are spent or abandoned.
  bool finish(Draw draw);

 private:
  [[nodiscard]] SectorRange draw_range(Draw draw, std::uint64_t most) const;
  [[nodiscard]] ExtentValue draw_value(Draw draw, SectorRange range);
  // Mostly who is there now, seen from the beginning of the range.
  [[nodiscard]] Owner draw_owner(Draw draw, SectorRange range) const;
  bool spend_one(Draw draw);

  CheckedIndex& checked_;
  std::uint64_t next_place_ = 1;
  std::deque<PublishPermit> held_;
};

}  // namespace engine::index_kit
