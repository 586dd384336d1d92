#include "engine/cache/lost_segments.h"

#include <algorithm>
#include <limits>

#include "engine/foundation/guard.h"

namespace engine {
namespace {

class Search {
 public:
  explicit Search(const CacheSurvey& survey) : device_(*survey.device) {
    for (std::uint32_t segment = 0; segment < device_.segments().count(); ++segment) {
      if (device_.segments().info(segment).lost) lost_.try_emplace(segment);
    }
  }

  [[nodiscard]] std::map<std::uint32_t, LostSegment> run() {
    if (lost_.empty()) return std::move(lost_);
    for (auto& [segment, of] : lost_) {
      look_at_entry(segment, of);
      look_at_headers(segment);
    }
    for (std::uint32_t slot = 0; slot < device_.volumes().slots(); ++slot) read_slot(slot);
    for (auto& [segment, of] : lost_) decide(segment, of);
    return std::move(lost_);
  }

 private:
  // What was seen of a segment's generations, low halves.
  struct Seen {
    std::uint32_t newest = 0;             // of all
    std::optional<std::uint32_t> needed;  // that what is dirty, or a chunk, names
    format::SegmentUse use = format::SegmentUse::free;
    std::uint32_t tag = 0;
    bool contradicts = false;
  };

  void look_at_entry(std::uint32_t segment, LostSegment& of) {
    for (const MediaOffset place : device_.layout().segment_entry(segment)) {
      RawEntry entry;
      if (!device_.region().read(place, std::as_writable_bytes(std::span(&entry, 1)))) continue;
      if (!device_.seal().is_sealed(entry, format::EntryType::segment, segment)) continue;
      of.sequence = std::max<std::uint64_t>(of.sequence, entry.header.sequence);
    }
  }

  // Chunks of any life of this place.
  void look_at_headers(std::uint32_t segment) {
    for (const auto& [chunk, copy] :
         chunk_headers_in(device_.layout(), device_.seal(), device_.region(), segment)) {
      see(segment, chunk.generations[copy]);
    }
  }

  void read_slot(std::uint32_t slot) {
    const CacheVolume& volume = device_.volumes()[slot];
    const std::string name = "volume slot " + std::to_string(slot);
    if (volume.damaged) return give_up(name + " is lost");
    if (volume.identity.state != format::VolumeSlotState::attached) return;
    const LogView view{.volume = volume, .of = device_.chunks_of(slot)};
    for (const LogChunk& chunk : view.chunks()) {
      for (std::size_t copy = 0; copy < 2; ++copy) {
        need(*device_.layout().segment_of(chunk.places[copy]), chunk.generations[copy],
             format::SegmentUse::log, 0);
      }
    }
    LogReader reader(device_.region(), device_.layout(), device_.seal(), view,
                     LogReader::from_key_tail(volume.tails));
    const KeyLimits limits = device_.key_limits(slot);
    for (;;) {
      const auto next = reader.next();
      if (!next) return give_up("the log of " + name + " is damaged, repair that first");
      if (!next.value()) return;
      for (const format::Key& key : next.value()->view.keys) {
        if (check_key(key, limits) != KeyFault::none) {
          return give_up("the log of " + name + " is damaged, repair that first");
        }
        if (!has_place(static_cast<format::KeyKind>(key.kind))) continue;
        const auto segment = device_.layout().segment_of({key.place * format::place_bytes});
        if (next.value()->view.stamp.sequence > volume.tails.dirty_tail) {
          need(*segment, key.generation, format::SegmentUse::data, volume.identity.tag);
        } else {
          see(*segment, key.generation);
        }
      }
    }
  }

  void see(std::uint32_t segment, std::uint32_t generation) {
    if (!lost_.contains(segment)) return;
    Seen& seen = seen_[segment];
    seen.newest = std::max(seen.newest, generation);
  }

  void need(std::uint32_t segment, std::uint32_t generation, format::SegmentUse use,
            std::uint32_t tag) {
    if (!lost_.contains(segment)) return;
    see(segment, generation);
    Seen& seen = seen_[segment];
    seen.contradicts =
        seen.contradicts ||
        (seen.needed && (*seen.needed != generation || seen.use != use || seen.tag != tag));
    seen.needed = generation;
    seen.use = use;
    seen.tag = tag;
  }

  void give_up(const std::string& why) {
    if (doubt_.empty()) doubt_ = why;
  }

  void decide(std::uint32_t segment, LostSegment& of) {
    const Seen& seen = seen_[segment];
    constexpr auto most = std::numeric_limits<std::uint32_t>::max();
    if (!doubt_.empty()) {
      of.doubt = doubt_;
    } else if (seen.contradicts || (seen.needed && *seen.needed != seen.newest)) {
      of.doubt = "those who name it do not agree whose it is";
    } else if (seen.needed && *seen.needed != 0) {
      of.info = {.use = seen.use, .volume_tag = seen.tag, .generation = *seen.needed};
    } else if (seen.needed || seen.newest == most) {
      of.doubt = "its generations have run out";
    } else {
      const bool above = GUARD("generation above all keys");
      of.info = {.generation = above ? std::uint64_t{seen.newest} + 1 : std::max(seen.newest, 1U)};
    }
  }

  CacheDevice& device_;
  std::map<std::uint32_t, LostSegment> lost_;
  std::map<std::uint32_t, Seen> seen_;
  std::string doubt_;
};

}  // namespace

std::map<std::uint32_t, LostSegment> find_lost_segments(const CacheSurvey& survey) {
  return Search(survey).run();
}

}  // namespace engine
