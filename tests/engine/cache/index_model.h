// IndexModel: what ExtentIndex promises, as one cell for each sector.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/cache/extent_index.h"

namespace engine::index_kit {

// A sector and what it had, or has.
struct Cell {
  std::uint64_t sector = 0;
  std::optional<ExtentValue> value;  // as seen from this sector; heat is left out (0)
  friend bool operator==(const Cell&, const Cell&) = default;
};
using Cells = std::vector<Cell>;

class IndexModel {
 public:
  explicit IndexModel(std::uint64_t sectors) : values_(sectors) {}

  [[nodiscard]] std::uint64_t sectors() const { return values_.size(); }
  [[nodiscard]] const std::optional<ExtentValue>& at(std::uint64_t sector) const {
    return values_[sector];
  }
  // All return what they displaced.
  Cells publish(SectorRange range, ExtentValue value) {
    return change(
        range, [&](const Cell&) { return true; }, value);
  }
  Cells erase(SectorRange range) {
    return change(
        range, [](const Cell&) { return true; }, std::nullopt);
  }
  Cells erase_if(SectorRange range, const Owner& owner) {
    return change(
        range, [&](const Cell& cell) { return matches(range, owner, cell); }, std::nullopt);
  }
  std::uint64_t mark_clean(SectorRange range, const Owner& owner, CleanZeros zeros) {
    std::uint64_t cleaned = 0;
    for (const Cell& cell : matching(range, owner)) {
      std::optional<ExtentValue>& value = values_[cell.sector];
      if (!value->dirty) continue;
      ++cleaned;
      value->dirty = false;
      if (value->kind == ExtentKind::zero && zeros == CleanZeros::drop) value.reset();
    }
    return cleaned;
  }
  [[nodiscard]] Cells matching(SectorRange range, const Owner& owner) const {
    Cells found;
    for (const Cell& cell : cells(range)) {
      if (matches(range, owner, cell)) found.push_back(cell);
    }
    return found;
  }
  [[nodiscard]] Cells cells(SectorRange range) const {
    Cells all;
    all.reserve(range.count.value);
    for (std::uint64_t at = range.begin.value; at < range.end().value; ++at) {
      all.push_back({at, values_[at]});
    }
    return all;
  }

 private:
  static bool matches(SectorRange range, const Owner& owner, const Cell& cell) {
    if (!cell.value || cell.value->kind != owner.kind) return false;
    if (owner.clean_only && cell.value->dirty) return false;
    if (owner.kind == ExtentKind::zero) return cell.value->place == owner.place;
    return cell.value->place == owner.place + (Sector{cell.sector} - range.begin);
  }
  template <class Wanted>
  Cells change(SectorRange range, Wanted wanted, std::optional<ExtentValue> value) {
    Cells displaced;
    if (value) value->heat = 0;
    for (const Cell& cell : cells(range)) {
      if (!wanted(cell)) continue;
      if (cell.value) displaced.push_back(cell);
      auto& target = values_[cell.sector];
      target = value;
      if (value) target = value->advanced(Sector{cell.sector} - range.begin);
    }
    return displaced;
  }

  std::vector<std::optional<ExtentValue>> values_;
};

}  // namespace engine::index_kit
