#include "appliance/media/survey_json.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/src.hpp>  // the library's own code, once in this program

#include "appliance/media/survey_screen.h"

namespace media {
namespace {

namespace json = boost::json;
using engine::CacheSurvey;
using engine::CacheVolume;
using engine::SurveyFinding;
using engine::VolumeSurvey;

json::object device_object(const std::string& path, const CacheSurvey& survey) {
  const engine::CacheLayout& layout = survey.device->layout();
  const auto& block = survey.device->superblock();
  return {{"path", path},
          {"uuid", survey.device->uuid().text()},
          {"size_bytes", layout.device_bytes.value},
          {"guarantee", survey.device->region().guarantee().text()},
          {"format_version", block.version.value()},
          {"features_compatible", block.features.compatible.value()},
          {"features_read_only", block.features.read_only.value()},
          {"features_incompatible", block.features.incompatible.value()},
          {"payload_crc", survey.device->payload_crc()},
          {"superblock_sequence", block.sequence.value()},
          {"created_ms", block.created_ms.value()},
          {"segment_bytes", layout.segment_bytes},
          {"segment_slots", layout.segment_slots},
          {"volume_slots", layout.volume_slots},
          {"chunk_bytes", layout.chunk_bytes},
          {"kset_alignment", layout.kset_alignment}};
}

json::object segments_object(const CacheSurvey& survey) {
  const engine::SegmentUses& uses = survey.segments;
  return {{"count", survey.device->layout().segment_count},
          {"free", uses.free},
          {"data", uses.data},
          {"log", uses.log},
          {"lost", uses.lost},
          {"unnamed", uses.unnamed},
          {"orphan", uses.orphan}};
}

json::object log_object(const CacheVolume& entry, const engine::RecoveryReport& report) {
  return {{"key_tail", entry.tails.key_tail},
          {"dirty_tail", entry.tails.dirty_tail},
          {"writeback_target", entry.tails.writeback_target},
          {"last_sequence", report.last_sequence},
          {"last_time_ms", report.last_time_ms},
          {"known_durable", entry.epoch.known_durable},
          {"clean_end", entry.epoch.clean_end},
          {"epoch", entry.epoch.epoch},
          {"ksets", report.ksets},
          {"keys", report.keys}};
}

json::object volume_object(const CacheSurvey& survey, const VolumeSurvey& volume) {
  const CacheVolume& entry = survey.device->volumes()[volume.slot];
  json::object object{{"slot", volume.slot}, {"state", state_of(survey, volume)}};
  if (entry.identity_lost) return object;
  object["uuid"] = entry.identity.volume.text();
  object["name"] = entry.binding.name;
  object["backing_uuid"] = entry.identity.backing.text();
  object["size_bytes"] = entry.identity.size.value;
  object["tag"] = entry.identity.tag;
  if (entry.damaged) return object;
  object["mode"] = mode_text(entry.binding.mode);
  object["block_size"] = entry.binding.block_size.bytes;
  object["attach_epoch"] = entry.binding.attach_epoch;
  object["dirty_bytes"] = volume.dirty.value;
  object["zero_bytes"] = volume.zeros.value;
  object["clean_bytes"] = volume.clean.value;
  object["bad_dirty_bytes"] = volume.bad_dirty.value;
  object["pieces"] = volume.pieces;
  object["segments"] = volume.segments;
  object["log_chunks"] = volume.chunks;
  object["consistent_time_ms"] = entry.tails.consistent_time_ms;
  object["log"] = log_object(entry, volume.report);
  return object;
}

json::object finding_object(const CacheSurvey& survey, const SurveyFinding& finding) {
  json::object object{
      {"severity", finding.severity == SurveyFinding::Severity::damage ? "damage" : "harmless"},
      {"kind", finding.kind},
      {"place", finding.place.value}};
  if (finding.slot) {
    object["slot"] = *finding.slot;
    const CacheVolume& entry = survey.device->volumes()[*finding.slot];
    if (!entry.identity.volume.is_nil()) object["volume"] = entry.identity.volume.text();
  }
  object["text"] = finding.text;
  return object;
}

}  // namespace

std::string survey_json(const std::string& path, const CacheSurvey& survey) {
  json::array volumes;
  for (const VolumeSurvey& volume : survey.volumes)
    volumes.push_back(volume_object(survey, volume));
  json::array findings;
  for (const SurveyFinding& finding : survey.findings) {
    findings.push_back(finding_object(survey, finding));
  }
  std::string verdict = verdict_of(survey);
  for (char& letter : verdict) letter = static_cast<char>(letter - 'A' + 'a');
  const json::object all{{"verdict", verdict},
                         {"device", device_object(path, survey)},
                         {"segments", segments_object(survey)},
                         {"volumes", std::move(volumes)},
                         {"findings", std::move(findings)}};
  return json::serialize(all) + "\n";
}

}  // namespace media
