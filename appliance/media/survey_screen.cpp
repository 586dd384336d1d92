#include "appliance/media/survey_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "config/values.h"

namespace media {
namespace {

using config::size_text;
using engine::CacheSurvey;
using engine::CacheVolume;
using engine::SurveyFinding;
using engine::VolumeSurvey;

std::string device_lines(const CacheSurvey& survey) {
  const engine::CacheLayout& layout = survey.device->layout();
  const auto& block = survey.device->superblock();
  const engine::SegmentUses& uses = survey.segments;
  std::string out =
      fmt::format("format {}, {} checksums of data; made {}, superblock sequence {}\n",
                  block.version.value(), survey.device->payload_crc() ? "with" : "without",
                  time_text(block.created_ms), block.sequence.value());
  out += fmt::format("{} segments of {} (room for {}): {} free, {} data, {} log",
                     layout.segment_count, size_text({layout.segment_bytes}), layout.segment_slots,
                     uses.free, uses.data, uses.log);
  if (uses.lost != 0) out += fmt::format(", {} lost", uses.lost);
  if (uses.unnamed != 0) out += fmt::format("; {} of data that no key names", uses.unnamed);
  if (uses.orphan != 0) out += fmt::format("; {} of data that is nobody's", uses.orphan);
  out += fmt::format("\nlog chunks of {}, ksets every {}; {} volume slots\n",
                     size_text({layout.chunk_bytes}), size_text({layout.kset_alignment}),
                     layout.volume_slots);
  return out;
}

std::string volume_lines(const CacheSurvey& survey, const VolumeSurvey& volume) {
  const CacheVolume& entry = survey.device->volumes()[volume.slot];
  if (entry.identity_lost) return fmt::format("\nvolume slot {}: lost\n", volume.slot);
  std::string out = fmt::format("\nvolume {}  {}  {}  {}  {}\n",
                                entry.binding.name.empty() ? "-" : entry.binding.name,
                                entry.identity.volume.text(), size_text(entry.identity.size),
                                mode_text(entry.binding.mode), state_of(survey, volume));
  out += fmt::format("  slot {}, tag {}, blocks of {}, attach epoch {}, backing {}\n", volume.slot,
                     entry.identity.tag, entry.binding.block_size.bytes, entry.binding.attach_epoch,
                     entry.identity.backing.text());
  if (entry.damaged) return out + "  an entry of its slot is lost: its log was not read\n";
  out += fmt::format("  dirty {}, zeros {}, clean {} in {} pieces; {} segments, {} log chunks\n",
                     size_text(volume.dirty), size_text(volume.zeros), size_text(volume.clean),
                     volume.pieces, volume.segments, volume.chunks);
  if (volume.bad_dirty.value != 0) {
    out += fmt::format("  of the dirty data {} cannot be read\n", size_text(volume.bad_dirty));
  }
  out +=
      fmt::format("  log: forgotten to {}, written back to {}{}, {} {}; epoch {}{}\n",
                  entry.tails.key_tail, entry.tails.dirty_tail,
                  entry.tails.writeback_target > entry.tails.dirty_tail
                      ? fmt::format(" (a batch to {} was under way)", entry.tails.writeback_target)
                      : "",
                  volume.report.damaged() ? "readable to" : "ends at", volume.report.last_sequence,
                  entry.epoch.epoch, entry.epoch.clean_end != 0 ? ", stopped clean" : "");
  out += entry.tails.consistent_time_ms == 0
             ? "  the backing alone: nothing was written back to it yet\n"
             : fmt::format("  the backing alone: the volume as of {}\n",
                           time_text(entry.tails.consistent_time_ms));
  return out;
}

}  // namespace

const char* verdict_of(const CacheSurvey& survey) {
  if (survey.any_damage()) return "DAMAGED";
  const bool dirty = std::ranges::any_of(survey.volumes, [](const VolumeSurvey& volume) {
    return volume.dirty.value + volume.zeros.value != 0;
  });
  return dirty ? "DIRTY" : "CLEAN";
}

const char* state_of(const CacheSurvey& survey, const VolumeSurvey& volume) {
  const CacheVolume& entry = survey.device->volumes()[volume.slot];
  if (entry.damaged || volume.report.damaged() || volume.bad_dirty.value != 0) return "damaged";
  if (entry.identity.state == engine::format::VolumeSlotState::leaving) return "leaving";
  return volume.dirty.value + volume.zeros.value != 0 ? "dirty" : "clean";
}

const char* mode_text(engine::format::CacheMode mode) {
  using Mode = engine::format::CacheMode;
  switch (mode) {
    case Mode::write_back:
      return "write-back";
    case Mode::write_through:
      return "write-through";
    case Mode::write_around:
      return "write-around";
    case Mode::pass_through:
      return "pass-through";
    case Mode::read_only:
      return "read-only";
  }
  return "?";
}

std::string time_text(std::uint64_t ms_since_1970) {
  if (ms_since_1970 == 0) return "never";
  // What media says is not believed to be a time that a calendar knows.
  const auto seconds = static_cast<std::time_t>(std::min(ms_since_1970 / 1000, 253402300799UL));
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

std::string findings_screen(const CacheSurvey& survey) {
  std::string out;
  for (const auto severity : {SurveyFinding::Severity::damage, SurveyFinding::Severity::harmless}) {
    for (const SurveyFinding& finding : survey.findings) {
      if (finding.severity != severity) continue;
      out += fmt::format("{} {}\n", severity == SurveyFinding::Severity::damage ? '!' : '-',
                         finding.text);
    }
  }
  return out;
}

std::string survey_screen(const std::string& path, const CacheSurvey& survey) {
  std::string out =
      fmt::format("cache {}  {}  {}\n", survey.device->uuid().text(),
                  size_text(survey.device->layout().device_bytes), verdict_of(survey));
  out += fmt::format("on {}, {}\n", path, survey.device->region().guarantee().text());
  out += findings_screen(survey);
  out += device_lines(survey);
  for (const VolumeSurvey& volume : survey.volumes) out += volume_lines(survey, volume);
  if (survey.volumes.empty()) out += "\nNo volume is attached.\n";
  return out;
}

}  // namespace media
