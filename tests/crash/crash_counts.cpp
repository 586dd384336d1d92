#include "tests/crash/crash_counts.h"

#include <numeric>

namespace engine::test {

const char* text(CrashKind kind) {
  switch (kind) {
    case CrashKind::data_copy:
      return "data copy";
    case CrashKind::kset_append:
      return "kset append";
    case CrashKind::segment_switch:
      return "segment switch";
    case CrashKind::chunk_switch:
      return "chunk switch";
    case CrashKind::table_update:
      return "table update";
    case CrashKind::recovery:
      return "recovery";
    case CrashKind::second_recovery:
      return "second recovery";
    case CrashKind::kill_then_power:
      return "kill, then power";
    case CrashKind::rotten_kset:
      return "rotten kset";
    case CrashKind::write_back:
      return "write-back";
    case CrashKind::reclaim:
      return "reclaim";
    case CrashKind::compaction:
      return "compaction";
    case CrashKind::mode_switch:
      return "mode switch";
    case CrashKind::settled_mode:
      return "settled mode";
  }
  return "?";
}

std::uint64_t CrashCounts::total() const {
  return std::accumulate(states.begin(), states.end(), std::uint64_t{0});
}

}  // namespace engine::test
