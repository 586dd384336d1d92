#include "engine/cache/cache_survey.h"

#include <algorithm>
#include <utility>

#include "engine/cache/cached_data.h"
#include "engine/foundation/clock.h"

namespace engine {
namespace {

using Severity = SurveyFinding::Severity;

// Bad pieces side by side, as one.
struct BadStretch {
  SectorRange range;
  ExtentValue value;
  PayloadFault fault = PayloadFault::media_error;

  [[nodiscard]] bool takes(const CachedPiece& piece) {
    if (range.end() != piece.range.begin || fault != *piece.fault ||
        value.advanced(range.count) != piece.value) {
      return false;
    }
    range.count = range.count + piece.range.count;
    return true;
  }
};

class Surveyor {
 public:
  Surveyor(CacheSurvey& survey, SurveyDepth depth) : survey_(survey), depth_(depth) {}

  [[nodiscard]] Result<void, CacheError> run() {
    for (const CacheFinding& finding : device().findings()) {
      report({.severity = finding.is_damage() ? Severity::damage : Severity::harmless,
              .kind = finding.name(),
              .place = finding.place,
              .slot = slot_of(finding),
              .text = finding.text()});
    }
    CacheVolumeTable& table = device().volumes();
    for (std::uint32_t slot = 0; slot < table.slots(); ++slot) {
      const CacheVolume& volume = table[slot];
      if (volume.identity.state == format::VolumeSlotState::free && !volume.damaged) continue;
      TRY(look_at(slot));
    }
    count_segments();
    return success();
  }

 private:
  [[nodiscard]] CacheDevice& device() const { return *survey_.device; }
  void report(SurveyFinding finding) { survey_.findings.push_back(std::move(finding)); }

  [[nodiscard]] std::optional<std::uint32_t> slot_of(const CacheFinding& finding) const {
    if (finding.subject == CacheFinding::Subject::volume_entry) {
      return static_cast<std::uint32_t>(finding.index);
    }
    return finding.tag == 0 ? std::nullopt : device().volumes().find_tag(finding.tag);
  }

  [[nodiscard]] Result<void, CacheError> look_at(std::uint32_t slot) {
    VolumeSurvey& to = survey_.volumes.emplace_back();
    to.slot = slot;
    to.chunks = device().chunks_of(slot).chunks.size();
    const CacheVolume& volume = device().volumes()[slot];
    if (volume.damaged) {
      to.report.entry_damage = true;
      return success();
    }
    if (volume.identity.state == format::VolumeSlotState::leaving) {
      report({.severity = Severity::harmless,
              .kind = "leaving_volume",
              .place = device().layout().volume_entry(slot, format::EntryType::volume_identity)[0],
              .slot = slot,
              .text = "volume slot " + std::to_string(slot) +
                      ": its detachment was interrupted; nothing of it counts any more, and its "
                      "segments wait to be freed"});
      return success();
    }
    IndexMemory memory(enough_index_memory(device().layout()));
    InlineTasks alone;
    TRY(auto read, read_volume(device(), slot, memory, clock_, alone));
    to.report = read.report;
    report_log(slot, to.report);
    measure(*read.cache, to);
    return success();
  }

  void report_log(std::uint32_t slot, const RecoveryReport& log) {
    for (const LogNote& note : log.notes) {
      report({.severity = Severity::harmless,
              .kind = note.name(),
              .place = place_of(slot, note),
              .slot = slot,
              .text = note.text()});
    }
    if (log.log_damage) {
      report({.severity = Severity::damage,
              .kind = log.log_damage->name(),
              .place = log.log_damage->place,
              .slot = slot,
              .text = log.log_damage->text()});
    }
    if (log.key_damage) {
      report({.severity = Severity::damage,
              .kind = log.key_damage->stale ? "stale_key" : "impossible_key",
              .place = log.key_damage->place,
              .slot = slot,
              .text = log.key_damage->text()});
    }
  }

  [[nodiscard]] MediaOffset place_of(std::uint32_t slot, const LogNote& note) const {
    const auto& chunks = device().chunks_of(slot).chunks;
    const auto chunk = std::ranges::find(chunks, note.chunk, &LogChunk::ordinal);
    if (chunk == chunks.end()) return {};
    return chunk->places[note.copy] + ByteCount{note.offset};
  }

  void measure(VolumeCache& volume, VolumeSurvey& to) {
    std::optional<BadStretch> bad;
    const auto reading = depth_ == SurveyDepth::data ? CachedReading::data : CachedReading::places;
    visit_cached_data(volume, CachedPart::all, reading, [&](const CachedPiece& piece) {
      const ByteCount bytes{piece.range.count.value * format::place_bytes};
      ++to.pieces;
      ByteCount& sum = piece.value.kind == ExtentKind::zero ? to.zeros
                       : piece.value.dirty                  ? to.dirty
                                                            : to.clean;
      sum = sum + bytes;
      if (!piece.fault) return;
      if (piece.value.dirty) to.bad_dirty = to.bad_dirty + bytes;
      if (bad && bad->takes(piece)) return;
      if (bad) report_bad(to.slot, *bad);
      bad = BadStretch{.range = piece.range, .value = piece.value, .fault = *piece.fault};
    });
    if (bad) report_bad(to.slot, *bad);
  }

  void report_bad(std::uint32_t slot, const BadStretch& bad) {
    const bool dirty = bad.value.dirty;
    const MediaOffset place{bad.value.place.value * format::place_bytes};
    report(
        {.severity = dirty ? Severity::damage : Severity::harmless,
         .kind = dirty ? "bad_dirty_data" : "bad_clean_data",
         .place = place,
         .slot = slot,
         .text = "sectors " + std::to_string(bad.range.begin.value) + " to " +
                 std::to_string(bad.range.end().value - 1) + " of volume slot " +
                 std::to_string(slot) + " at byte " + std::to_string(place.value) +
                 (bad.fault == PayloadFault::media_error ? ": unreadable"
                                                         : ": they do not match their checksum") +
                 (dirty ? "; nobody else has them, and reads of them fail until they are "
                          "written again"
                        : "; the backing has them")});
  }

  void count_segments() {
    SegmentUses& uses = survey_.segments;
    SegmentTable& segments = device().segments();
    for (std::uint32_t segment = 0; segment < segments.count(); ++segment) {
      const SegmentInfo info = segments.info(segment);
      if (info.lost) {
        ++uses.lost;
      } else if (info.use == format::SegmentUse::free) {
        ++uses.free;
      } else if (info.use == format::SegmentUse::log) {
        ++uses.log;
      } else {
        ++uses.data;
        count_data_segment(segment, info.volume_tag);
      }
    }
  }

  void count_data_segment(std::uint32_t segment, std::uint32_t tag) {
    const auto volume = std::ranges::find_if(survey_.volumes, [&](const VolumeSurvey& candidate) {
      return device().volumes()[candidate.slot].identity.tag == tag;
    });
    if (volume == survey_.volumes.end()) {
      ++survey_.segments.orphan;
      return;
    }
    ++volume->segments;
    const SegmentCounters& counters = device().segments().counters(segment);
    const bool attached =
        device().volumes()[volume->slot].identity.state == format::VolumeSlotState::attached;
    if (attached && !volume->report.damaged() && counters.live_sectors == 0 &&
        counters.highest_sequence == 0) {
      ++survey_.segments.unnamed;
    }
  }

  CacheSurvey& survey_;
  const SurveyDepth depth_;
  const SystemClock clock_;
};

}  // namespace

bool CacheSurvey::any_damage() const {
  return std::ranges::any_of(
      findings, [](const SurveyFinding& finding) { return finding.severity == Severity::damage; });
}

Result<CacheSurvey, CacheError> survey_cache(PmemRegion& region, SurveyDepth depth) {
  CacheSurvey survey;
  TRY(survey.device,
      CacheDevice::open(region, {.access = CacheDevice::Access::inspect, .expected = {}}));
  TRY(Surveyor(survey, depth).run());
  return survey;
}

}  // namespace engine
