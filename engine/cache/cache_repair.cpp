#include "engine/cache/cache_repair.h"

#include <algorithm>
#include <utility>

#include "engine/cache/log_heal.h"

namespace engine {
namespace {

using Kind = RepairStep::Kind;
using Finding = CacheFinding::Kind;

bool is_segment_loss(const CacheFinding& finding) {
  return finding.subject == CacheFinding::Subject::segment_entry &&
         (finding.kind == Finding::lost_entry || finding.kind == Finding::replicas_contradict ||
          finding.kind == Finding::impossible_entry);
}

class Planner {
 public:
  Planner(const CacheSurvey& survey, std::span<const Uuid> cut)
      : survey_(survey), device_(*survey.device), cut_(cut) {}

  [[nodiscard]] Result<RepairPlan, CacheError> run() {
    plan_healing();
    plan_lost_segments();
    plan_orphans();
    for (const VolumeSurvey& volume : survey_.volumes) {
      TRY(plan_volume(volume));
    }
    note_what_remains();
    return std::move(plan_);
  }

 private:
  void plan_healing() {
    const auto bad = std::ranges::count_if(survey_.findings, [](const SurveyFinding& finding) {
      return finding.severity == SurveyFinding::Severity::harmless &&
             (finding.kind.starts_with("replica_") || finding.kind == "header_missing" ||
              finding.kind == "bad_kset_copy");
    });
    if (bad == 0) return;
    step({.kind = Kind::heal,
          .text = std::to_string(bad) +
                  " bad replicas, headers or copies are written again from the good one; nothing "
                  "is lost"});
  }

  void plan_lost_segments() {
    for (const auto& [segment, lost] : find_lost_segments(survey_)) {
      const std::string name = "segment " + std::to_string(segment);
      if (!lost.doubt.empty()) {
        remain("the entry of " + name +
               " is lost, and it is neither used nor freed: " + lost.doubt);
        continue;
      }
      const bool named = lost.info.use != format::SegmentUse::free;
      restores_ = restores_ || named;
      step({.kind = named ? Kind::restore_segment : Kind::free_segment,
            .segment = segment,
            .entry = lost,
            .text = "the lost entry of " + name + " is written again: " +
                    (!named ? "free, because no key names it; nothing is lost"
                     : lost.info.use == format::SegmentUse::log
                         ? "a log segment, as its chunks say; nothing is lost"
                         : "data of tag " + std::to_string(lost.info.volume_tag) +
                               ", as the keys say that name it; nothing is lost")});
    }
  }

  void plan_orphans() {
    for (const CacheFinding& finding : device_.findings()) {
      if (finding.kind != Finding::orphan_segment) continue;
      step({.kind = Kind::free_segment,
            .segment = static_cast<std::uint32_t>(finding.index),
            .text = "segment " + std::to_string(finding.index) + " of tag " +
                    std::to_string(finding.tag) +
                    " is freed: no volume has that tag, and what it holds belongs to nobody"});
    }
  }

  [[nodiscard]] Result<void, CacheError> plan_volume(const VolumeSurvey& volume) {
    const CacheVolume& entry = device_.volumes()[volume.slot];
    if (entry.damaged) return success();
    if (entry.identity.state == format::VolumeSlotState::leaving) {
      step({.kind = Kind::finish_leaving,
            .slot = volume.slot,
            .text = name_of(entry) +
                    ": its detachment is finished, its segments are freed; nothing is lost"});
      return success();
    }
    if (!volume.report.damaged()) return success();
    if (volume.report.key_damage && volume.report.key_damage->stale && restores_) {
      remain(
          name_of(entry) +
          ": its log names a segment whose entry is lost; once that is written again, look anew");
      return success();
    }
    TRY(auto cut, plan_log_cut(device_, volume.slot, volume.report));
    if (cut.only_forgets) {
      step({.kind = Kind::forget_clean,
            .slot = volume.slot,
            .cut = cut,
            .text = name_of(entry) + ": everything up to kset " +
                    std::to_string(cut.tails.key_tail) +
                    " is on its backing and is forgotten here, with the damage in it; only cached "
                    "copies are lost"});
      return success();
    }
    const bool wanted = std::ranges::find(cut_, entry.identity.volume) != cut_.end();
    if (wanted) {
      step({.kind = Kind::cut_log,
            .slot = volume.slot,
            .cut = cut,
            .text = name_of(entry) + ": its log is cut; " + loss_of(cut)});
    } else {
      remain(name_of(entry) +
             ": its log is damaged. To go on without what is behind the damage, "
             "cut it: --cut " +
             entry.identity.volume.text() + "; " + loss_of(cut));
    }
    return success();
  }

  [[nodiscard]] static std::string name_of(const CacheVolume& volume) {
    return "volume \"" + volume.binding.name + "\" " + volume.identity.volume.text();
  }

  [[nodiscard]] static std::string loss_of(const LogCut& cut) {
    std::string text =
        "everything up to kset " + std::to_string(cut.last) + " stays, and ksets from " +
        std::to_string(cut.last + 1) + " on are lost" +
        (cut.known_to > cut.last ? ", to " + std::to_string(cut.known_to) + " at least" : "");
    text += ": " + std::to_string(cut.whole_ksets) + " that can still be read, with " +
            std::to_string(cut.whole_bytes.value) + " bytes written";
    if (cut.known_to - cut.last > cut.whole_ksets) {
      text += ", and " + std::to_string(cut.known_to - cut.last - cut.whole_ksets) +
              " of which nothing is known";
    }
    if (cut.torn_batch != 0) {
      text += ". A batch up to kset " + std::to_string(cut.torn_batch) +
              " was being written back: the backing may have parts of what is lost";
    }
    return text;
  }

  // Damage that no step is about, nor a sentence so far.
  void note_what_remains() {
    for (const CacheFinding& finding : device_.findings()) {
      if (!finding.is_damage() || is_segment_loss(finding) ||
          finding.kind == Finding::orphan_segment) {
        continue;
      }
      const auto slot = device_.volumes().find_tag(finding.tag);
      if (finding.subject == CacheFinding::Subject::chunk && slot && is_damaged(*slot)) continue;
      remain(finding.text() +
             ". No repair knows better: export what can be read, then format the device anew and "
             "name its UUID");
    }
    for (const SurveyFinding& finding : survey_.findings) {
      if (finding.kind == "bad_dirty_data") remain(finding.text);
    }
  }

  [[nodiscard]] bool is_damaged(std::uint32_t slot) const {
    return std::ranges::any_of(survey_.volumes, [slot](const VolumeSurvey& volume) {
      return volume.slot == slot && volume.report.damaged();
    });
  }

  void step(RepairStep step) { plan_.steps.push_back(std::move(step)); }
  void remain(std::string text) { plan_.remains.push_back(std::move(text)); }

  const CacheSurvey& survey_;
  CacheDevice& device_;
  const std::span<const Uuid> cut_;
  RepairPlan plan_;
  bool restores_ = false;
};

// Opening has healed tables and headers.
Result<void, CacheError> heal_logs(CacheDevice& device, DurableWriter& writer,
                                   const CacheSurvey& survey) {
  for (const VolumeSurvey& volume : survey.volumes) {
    const RecoveryReport& report = volume.report;
    if (report.notes.empty()) continue;  // of ksets before the damage, if there is one
    const auto& chunks = device.chunks_of(volume.slot).chunks;
    // As recovery does it: what was read must not be taken back once something is made of it.
    auto done = settle_log_end(writer, device.layout(), chunks, {.chunk = report.end_chunk});
    if (done) {
      done =
          heal_ksets(writer, device.region(), device.layout(), device.seal(), chunks, report.notes);
    }
    if (!done) {
      return CacheError{
          CacheError::Kind::io, {}, std::string("a log cannot be healed: ") + text(done.error())};
    }
  }
  return success();
}

Result<void, CacheError> do_step(CacheDevice& device, DurableWriter& writer,
                                 const CacheSurvey& survey, const RepairStep& step) {
  switch (step.kind) {
    case Kind::heal:
      return heal_logs(device, writer, survey);
    case Kind::restore_segment:
    case Kind::free_segment:
      if (device.segments().info(step.segment).lost) {
        return device.segments().restore(writer, step.segment, step.entry.info,
                                         step.entry.sequence);
      }
      return device.segments().free(writer, step.segment);
    case Kind::finish_leaving:
      return device.finish_leaving(writer, step.slot);
    case Kind::forget_clean:
    case Kind::cut_log:
      return cut_log(device, writer, step.slot, step.cut);
  }
  return success();
}

}  // namespace

const char* RepairStep::name() const {
  switch (kind) {
    case Kind::heal:
      return "heal";
    case Kind::restore_segment:
      return "restore_segment";
    case Kind::free_segment:
      return "free_segment";
    case Kind::finish_leaving:
      return "finish_leaving";
    case Kind::forget_clean:
      return "forget_clean";
    case Kind::cut_log:
      return "cut_log";
  }
  return "?";
}

Result<RepairPlan, CacheError> plan_repair(const CacheSurvey& survey, std::span<const Uuid> cut) {
  return Planner(survey, cut).run();
}

Result<void, CacheError> repair_cache(PmemRegion& region, const Uuid& device,
                                      const CacheSurvey& survey, const RepairPlan& plan) {
  TRY(auto opened, CacheDevice::open(region, {.expected = device}));
  auto writer = DurableWriter::make(region);
  if (!writer) {
    return CacheError{CacheError::Kind::io,
                      {},
                      std::string("the cache cannot be written: ") + text(writer.error())};
  }
  for (const RepairStep& step : plan.steps) {
    TRY(do_step(*opened, writer.value(), survey, step));
  }
  return success();
}

}  // namespace engine
