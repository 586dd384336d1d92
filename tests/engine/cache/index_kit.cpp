#include "tests/engine/cache/index_kit.h"

#include <algorithm>
#include <utility>

namespace engine::index_kit {
namespace {

// Fragments as cells; the heat is left out.
void expand(SectorRange range, std::optional<ExtentValue> value, Cells& to) {
  if (value) value->heat = 0;
  for (std::uint64_t i = 0; i < range.count.value; ++i) {
    const std::uint64_t sector = range.begin.value + i;
    to.push_back({sector, value ? std::optional(value->advanced(SectorCount{i})) : std::nullopt});
  }
}

struct Collected {
  Cells cells;
  void operator()(const Fragment& fragment) { expand(fragment.range, fragment.value, cells); }
  void operator()(const Piece& piece) { expand(piece.range, piece.value, cells); }
  void operator()(SectorRange range) { expand(range, std::nullopt, cells); }
};

std::string show(const Cell& cell) {
  if (!cell.value) return std::to_string(cell.sector) + " hole";
  const ExtentValue& value = *cell.value;
  return std::to_string(cell.sector) + (value.kind == ExtentKind::zero ? " zero " : " data ") +
         std::to_string(value.place.value) + (value.dirty ? " dirty" : "") + " origin " +
         std::to_string(value.origin);
}

}  // namespace

bool CheckedIndex::same(const char* what, SectorRange range, const Cells& expected,
                        const Cells& got) {
  if (expected == got) return true;
  const auto differ = std::mismatch(expected.begin(), expected.end(), got.begin(), got.end());
  problem = std::string(what) + " [" + std::to_string(range.begin.value) + ", +" +
            std::to_string(range.count.value) + "): expected " +
            (differ.first == expected.end() ? "no more" : show(*differ.first)) + ", got " +
            (differ.second == got.end() ? "no more" : show(*differ.second));
  return false;
}

bool CheckedIndex::publish(SectorRange range, const ExtentValue& value) {
  auto permit = index.prepare(range);
  if (permit) return publish(*std::move(permit), value);
  ++refused;
  return true;
}

bool CheckedIndex::publish(PublishPermit permit, const ExtentValue& value) {
  const SectorRange range = permit.range();
  Collected displaced;
  index.publish(std::move(permit), value, displaced);
  return same("publish displaced", range, model.publish(range, value), displaced.cells) &&
         look_up(range);
}

bool CheckedIndex::erase(SectorRange range) {
  auto permit = index.prepare(range);
  if (!permit) {
    ++refused;
    return true;
  }
  Collected displaced;
  index.erase(*std::move(permit), displaced);
  return same("erase displaced", range, model.erase(range), displaced.cells) && look_up(range);
}

bool CheckedIndex::erase_if(SectorRange range, const Owner& owner) {
  Collected displaced;
  index.erase_if(range, owner, displaced);
  return same("erase_if displaced", range, model.erase_if(range, owner), displaced.cells) &&
         look_up(range);
}

bool CheckedIndex::mark_clean(SectorRange range, const Owner& owner, CleanZeros zeros) {
  const SectorCount cleaned = index.mark_clean(range, owner, zeros);
  if (cleaned.value != model.mark_clean(range, owner, zeros)) {
    problem = "mark_clean counted " + std::to_string(cleaned.value);
    return false;
  }
  return look_up(range);
}

bool CheckedIndex::look_up(SectorRange range) {
  Collected pieces;
  index.look_up(range, ExtentIndex::Heat::warm, pieces);
  return same("look_up", range, model.cells(range), pieces.cells);
}

bool CheckedIndex::still_points(SectorRange range, const Owner& owner) {
  Collected fragments;
  index.still_points(range, owner, fragments);
  return same("still_points", range, model.matching(range, owner), fragments.cells);
}

bool CheckedIndex::check_all() {
  const SectorRange all = sectors(0, model.sectors());
  Collected fragments;
  index.for_each(fragments);
  Cells expected = model.cells(all);
  std::erase_if(expected, [](const Cell& cell) { return !cell.value; });
  if (!same("for_each", all, expected, fragments.cells) || !look_up(all)) return false;
  index.check_invariants();
  memory.check_invariants();
  return true;
}

// Mostly small extents close together, so that stripes fill up; a few large ones that sweep them
// away, and some at the borders of stripes and leaves.
SectorRange Operations::draw_range(Draw draw, std::uint64_t most) const {
  const std::uint64_t volume = checked_.model.sectors();
  const std::uint64_t shape = draw(256);
  std::uint64_t begin = draw(volume);
  std::uint64_t count = 8;
  if (shape == 0) {
    count = 1 + draw(3 * stripe_sectors);
  } else if (shape == 1) {
    begin = begin / stripe_sectors * stripe_sectors;
    count = stripe_sectors * (1 + draw(2));
  } else if (shape < 6) {
    count = 1 + draw(largest_extent_sectors);
  } else if (shape < 20) {
    count = 1 + draw(300);
  } else if (shape < 40) {
    begin = begin / LeafTable::leaf_sectors * LeafTable::leaf_sectors;
    begin -= std::min(begin, draw(4));
    count = 1 + draw(20);
  } else if (shape < 150) {
    count = 1 + draw(16);
  } else {
    begin = begin / 8 * 8;
  }
  count = std::min({count, most, volume - begin});
  return sectors(begin, count);
}

ExtentValue Operations::draw_value(Draw draw, SectorRange range) {
  const bool dirty = draw(2) == 0;
  if (range.count.value > largest_extent_sectors || draw(8) == 0) {
    return zero_of(next_place_++, dirty);
  }
  ExtentValue value = data_at(next_place_, dirty);
  value.heat = static_cast<std::uint8_t>(draw(4));
  value.origin = static_cast<std::uint16_t>(draw(largest_extent_sectors - range.count.value + 1));
  next_place_ += range.count.value + draw(2);  // sometimes the next one lies just behind it
  return value;
}

Owner Operations::draw_owner(Draw draw, SectorRange range) const {
  const std::uint64_t ahead = draw(4) == 0 ? draw(range.count.value) : 0;
  const auto& there = checked_.model.at(range.begin.value + ahead);
  Owner owner{.clean_only = draw(2) == 0};
  if (!there) {
    owner.place = Place{next_place_};
    return owner;
  }
  owner.kind = there->kind;
  owner.place = there->place;
  if (owner.kind == ExtentKind::data) owner.place.value -= std::min(owner.place.value, ahead);
  return owner;
}

bool Operations::spend_one(Draw draw) {
  const auto at = held_.begin() + static_cast<std::ptrdiff_t>(draw(held_.size()));
  PublishPermit permit = std::move(*at);
  held_.erase(at);
  if (draw(8) == 0) {
    permit.abandon();
    return true;
  }
  const ExtentValue value = draw_value(draw, permit.range());
  return checked_.publish(std::move(permit), value);
}

bool Operations::step(Draw draw) {
  constexpr std::size_t most_held = 40;
  const std::uint64_t kind = draw(14);
  const bool conditional = kind >= 8 && kind < 12;
  const SectorRange range =
      draw_range(draw, conditional ? largest_extent_sectors : 3 * stripe_sectors);
  switch (kind) {
    case 6:
      return checked_.erase(range);
    case 7:  // a permit for later
      if (held_.size() == most_held) return spend_one(draw);
      if (auto permit = checked_.index.prepare(range)) held_.push_back(*std::move(permit));
      return true;
    case 8:
      return checked_.erase_if(range, draw_owner(draw, range));
    case 9:
    case 10:
      return checked_.mark_clean(range, draw_owner(draw, range),
                                 draw(2) == 0 ? CleanZeros::keep : CleanZeros::drop);
    case 11:
      return checked_.still_points(range, draw_owner(draw, range));
    case 12:
      return checked_.look_up(range);
    case 13:
      return held_.empty() || spend_one(draw);
    default:
      return checked_.publish(range, draw_value(draw, range));
  }
}

bool Operations::finish(Draw draw) {
  while (!held_.empty()) {
    if (!spend_one(draw)) return false;
  }
  return checked_.check_all();
}

}  // namespace engine::index_kit
