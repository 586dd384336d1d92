#include "engine/cache/cache_finding.h"

namespace engine {
namespace {

const char* name_of(CacheFinding::Subject subject) {
  switch (subject) {
    case CacheFinding::Subject::superblock:
      return "superblock";
    case CacheFinding::Subject::volume_entry:
      return "entry of volume slot";
    case CacheFinding::Subject::segment_entry:
      return "entry of segment";
    case CacheFinding::Subject::chunk:
      return "log chunk";
  }
  return "?";
}

const char* what_of(CacheFinding::Kind kind) {
  using Kind = CacheFinding::Kind;
  switch (kind) {
    case Kind::replica_unreadable:
      return "one replica is unreadable; the other is whole";
    case Kind::replica_invalid:
      return "one replica does not match its checksum; the other is whole";
    case Kind::replica_older:
      return "one replica is older: a change was interrupted; the newer one counts";
    case Kind::header_missing:
      return "the header of one copy is missing; the other names its place";
    case Kind::lost_entry:
      return "both replicas are bad: what it said is unknown, and nothing it may concern is reused";
    case Kind::replicas_contradict:
      return "both replicas are whole and say different things: neither is believed";
    case Kind::impossible_entry:
      return "it is whole and says what cannot be: it is not believed";
    case Kind::duplicate_volume:
      return "its volume or its tag is in another slot too: neither is served";
    case Kind::orphan_segment:
      return "no volume has its tag: its data belongs to nobody";
    case Kind::contradicting_chunks:
      return "its headers contradict each other: the volume's log is damaged there";
    case Kind::chunk_gap:
      return "it is missing between others: the volume's log is damaged there";
    case Kind::chunk_disorder:
      return "it does not continue the chunk before it: the volume's log is damaged there";
    case Kind::stray_kset:
      return "a kset lies where no chunk is: both headers of its chunk are lost, and it is kept";
    case Kind::unknown_chunk:
      return "no known volume has its tag while an entry is lost: it is kept";
  }
  return "?";
}

}  // namespace

const char* CacheFinding::name() const {
  switch (kind) {
    case Kind::replica_unreadable:
      return "replica_unreadable";
    case Kind::replica_invalid:
      return "replica_invalid";
    case Kind::replica_older:
      return "replica_older";
    case Kind::header_missing:
      return "header_missing";
    case Kind::lost_entry:
      return "lost_entry";
    case Kind::replicas_contradict:
      return "replicas_contradict";
    case Kind::impossible_entry:
      return "impossible_entry";
    case Kind::duplicate_volume:
      return "duplicate_volume";
    case Kind::orphan_segment:
      return "orphan_segment";
    case Kind::contradicting_chunks:
      return "contradicting_chunks";
    case Kind::chunk_gap:
      return "chunk_gap";
    case Kind::chunk_disorder:
      return "chunk_disorder";
    case Kind::stray_kset:
      return "stray_kset";
    case Kind::unknown_chunk:
      return "unknown_chunk";
  }
  return "?";
}

std::string CacheFinding::text() const {
  std::string sentence = name_of(subject);
  if (subject != Subject::superblock) sentence += " " + std::to_string(index);
  if (tag != 0) sentence += " of tag " + std::to_string(tag);
  sentence += " at byte " + std::to_string(place.value) + ": " + what_of(kind);
  return sentence;
}

}  // namespace engine
