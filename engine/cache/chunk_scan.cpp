#include "engine/cache/chunk_scan.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "engine/cache/kset.h"

namespace engine {
namespace {

// The copies of one ordinal as their headers tell.
struct Candidate {
  std::array<std::optional<LogChunk>, 2> copies;
  bool contradicts = false;
};

class Scanner {
 public:
  Scanner(const PmemRegion& region, const CacheLayout& layout, const DeviceSeal& seal,
          const SegmentTable& segments, const CacheVolumeTable& volumes, CacheFindings& findings)
      : region_(region),
        layout_(layout),
        seal_(seal),
        segments_(segments),
        volumes_(volumes),
        findings_(findings),
        candidates_(volumes.slots()) {
    scan_.volumes.resize(volumes.slots());
    for (std::uint32_t slot = 0; slot < volumes.slots(); ++slot) {
      const CacheVolume& volume = volumes[slot];
      if (volume.identity.state == format::VolumeSlotState::attached) {
        slots_.emplace(volume.identity.tag, slot);
      }
      if (volume.identity.state == format::VolumeSlotState::leaving) {
        leaving_.emplace(volume.identity.tag, slot);
      }
    }
  }

  ChunkScan run() {
    for (std::uint32_t segment = 0; segment < segments_.count(); ++segment) {
      const SegmentInfo info = segments_.info(segment);
      if (info.use != format::SegmentUse::log || info.lost) continue;
      const auto generation = static_cast<std::uint32_t>(info.generation);
      for (std::uint32_t at = 0; at < layout_.chunks_in_segment(); ++at) {
        look_at(layout_.chunk_place(segment, at), generation);
      }
    }
    for (std::uint32_t slot = 0; slot < volumes_.slots(); ++slot) put_in_order(slot);
    for (const MediaOffset place : unowned_) {
      if (!owned_.contains(place.value)) look_for_stray(place);
    }
    return std::move(scan_);
  }

 private:
  void look_at(MediaOffset place, std::uint32_t generation) {
    format::ChunkHeader header;
    if (!region_.read(place, std::as_writable_bytes(std::span(&header, 1)))) {
      unowned_.push_back(place);
      return;
    }
    const auto found = decode_chunk_header(layout_, seal_, header, place);
    if (!found || found->chunk.generations[found->copy] != generation) {
      unowned_.push_back(place);
      return;
    }
    const auto slot = slots_.find(found->chunk.volume_tag);
    if (slot == slots_.end()) {
      if (leaving_.contains(found->chunk.volume_tag) || !volumes_.any_identity_lost()) return;
      scan_.kept.push_back(place);
      report(CacheFinding::Kind::unknown_chunk, found->chunk, place);
      return;
    }
    const CacheVolume& volume = volumes_[slot->second];
    // A damaged slot may have lost its tails: nothing is below them then.
    if (!volume.damaged && found->chunk.ordinal < volume.tails.key_tail_chunk) return;
    owned_.insert(place.value);
    Candidate& candidate = candidates_[slot->second][found->chunk.ordinal];
    auto& copy = candidate.copies[found->copy];
    if (!copy) {
      copy = found->chunk;
      return;
    }
    // A second header for this copy: neither is believed, both places are kept.
    candidate.contradicts = true;
    scan_.kept.push_back(place);
    report(CacheFinding::Kind::contradicting_chunks, found->chunk, place);
  }

  // A place without a header, of a chunk that nobody names: its first kset tells whose it was.
  void look_for_stray(MediaOffset place) {
    const ByteCount first{layout_.first_kset()};
    std::array<std::byte, largest_kset_bytes> space;
    const auto header = std::span(space).first(sizeof(format::KsetHeader));
    if (!region_.read(place + first, header)) return;
    const auto length = claimed_kset_bytes(header);
    if (!length || first.value + length.value().value > layout_.chunk_bytes) return;
    const auto bytes = std::span(space).first(length.value().value);
    if (!region_.read(place + first, bytes)) return;
    const auto kset = decode_kset(seal_, bytes);
    if (!kset) return;
    const KsetStamp& stamp = kset.value().stamp;
    const auto slot = slots_.find(stamp.volume_tag);
    if (slot == slots_.end()) return;
    const CacheVolume& volume = volumes_[slot->second];
    // In a place that was given back every kset is below the tail.
    if (volume.damaged || stamp.sequence <= volume.tails.key_tail) return;
    if (stamp.epoch != static_cast<std::uint32_t>(volume.epoch.epoch)) return;
    VolumeChunks& to = scan_.volumes[slot->second];
    to.stray_sequence = std::max(to.stray_sequence, stamp.sequence);
    scan_.kept.push_back(place);
    findings_.push_back({.kind = CacheFinding::Kind::stray_kset,
                         .subject = CacheFinding::Subject::chunk,
                         .place = place,
                         .index = stamp.sequence,
                         .tag = stamp.volume_tag});
  }

  void put_in_order(std::uint32_t slot) {
    VolumeChunks& to = scan_.volumes[slot];
    for (auto& [ordinal, candidate] : candidates_[slot]) {
      const auto& [first, second] = candidate.copies;
      LogChunk chunk = first ? *first : *second;
      if (first && second && *first != *second) {
        candidate.contradicts = true;
        scan_.kept.push_back(second->places[1]);
        report(CacheFinding::Kind::contradicting_chunks, *second, second->places[1]);
      }
      if (!candidate.contradicts && !(first && second)) {
        candidate.contradicts = !miss(chunk, first ? 1 : 0);
      }
      chunk.contradicted = candidate.contradicts;
      if (candidate.contradicts) to.contradicts = true;
      follow(slot, to, chunk);
    }
  }

  // One header of `chunk` is not there; the other says where that copy lies. False if it cannot lie
  // there: nothing is ever written to such a place.
  bool miss(const LogChunk& chunk, std::size_t copy) {
    const MediaOffset place = chunk.places[copy];
    const SegmentInfo info = segments_.info(*layout_.segment_of(place));
    const bool is_its = info.use == format::SegmentUse::log &&
                        static_cast<std::uint32_t>(info.generation) == chunk.generations[copy];
    if (!info.lost && (!is_its || !owned_.insert(place.value).second)) {
      report(CacheFinding::Kind::contradicting_chunks, chunk, place);
      return false;
    }
    report(CacheFinding::Kind::header_missing, chunk, place);
    if (!info.lost) scan_.missing.push_back({.chunk = chunk, .copy = copy});
    return true;
  }

  // Whether `chunk` can come after what `to` has, and in this epoch.
  void follow(std::uint32_t slot, VolumeChunks& to, const LogChunk& chunk) {
    const CacheVolume& volume = volumes_[slot];
    bool disorder = false;
    if (!to.chunks.empty()) {
      const LogChunk& before = to.chunks.back();
      disorder = chunk.epoch < before.epoch || chunk.first_sequence < before.first_sequence;
      if (chunk.ordinal != before.ordinal + 1) gap(before.ordinal + 1, chunk);
    } else if (!volume.damaged && chunk.ordinal > volume.tails.key_tail_chunk) {
      gap(volume.tails.key_tail_chunk, chunk);
    }
    if (!volume.damaged) {
      disorder = disorder || chunk.epoch > volume.epoch.epoch ||
                 (chunk.ordinal >= volume.epoch.first_chunk) != (chunk.epoch == volume.epoch.epoch);
    }
    if (disorder) {
      to.contradicts = true;
      report(CacheFinding::Kind::chunk_disorder, chunk, chunk.places[0]);
    }
    to.chunks.push_back(chunk);
  }

  void gap(std::uint64_t ordinal, const LogChunk& after) {
    findings_.push_back({.kind = CacheFinding::Kind::chunk_gap,
                         .subject = CacheFinding::Subject::chunk,
                         .place = after.places[0],
                         .index = ordinal,
                         .tag = after.volume_tag});
  }
  void report(CacheFinding::Kind kind, const LogChunk& chunk, MediaOffset place) {
    findings_.push_back({.kind = kind,
                         .subject = CacheFinding::Subject::chunk,
                         .place = place,
                         .index = chunk.ordinal,
                         .tag = chunk.volume_tag});
  }

  const PmemRegion& region_;
  const CacheLayout& layout_;
  const DeviceSeal& seal_;
  const SegmentTable& segments_;
  const CacheVolumeTable& volumes_;
  CacheFindings& findings_;
  std::map<std::uint32_t, std::uint32_t> slots_;  // tag -> slot
  std::map<std::uint32_t, std::uint32_t> leaving_;
  std::vector<MediaOffset> unowned_;  // places without a header of now
  std::set<std::uint64_t> owned_;     // places of chunks that are somebody's
  std::vector<std::map<std::uint64_t, Candidate>> candidates_;  // by slot, then ordinal
  ChunkScan scan_;
};

}  // namespace

ChunkScan scan_chunks(const PmemRegion& region, const CacheLayout& layout, const DeviceSeal& seal,
                      const SegmentTable& segments, const CacheVolumeTable& volumes,
                      CacheFindings& findings) {
  return Scanner(region, layout, seal, segments, volumes, findings).run();
}

}  // namespace engine
