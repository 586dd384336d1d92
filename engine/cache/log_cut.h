// LogCut: how a damaged log becomes one with a legal end again, and what that loses.
#pragma once

#include <cstdint>

#include "engine/cache/cache_device.h"
#include "engine/cache/recovery.h"

namespace engine {

// Afterwards the log ends behind kset `last`, in a new epoch that bounds what lies there. What is
// at or before D is on the backing: where the damage lies before that, everything up to D is
// forgotten instead, and if the log behind it is whole, that is all.
struct LogCut {
  bool only_forgets = false;  // no kset after D is lost; the epoch stays as it is
  std::uint64_t last = 0;
  LogEpoch epoch;                // from then on
  LogTails tails;                // from then on
  std::uint64_t keep_chunk = 0;  // the ordinal of the last chunk that stays

  // What is lost: ksets from last + 1 to `known_to` at least, and whatever was logged behind.
  std::uint64_t known_to = 0;
  std::uint64_t whole_ksets = 0;  // of them still readable, behind the damage
  ByteCount whole_bytes;          // that their keys cover
  // A batch up to here was being written back: the backing may have parts of what is lost. 0: none.
  std::uint64_t torn_batch = 0;
};

// `report`: of reading it, damaged. Nothing is written. Error: exhausted.
[[nodiscard]] Result<LogCut, CacheError> plan_log_cut(CacheDevice& device, std::uint32_t slot,
                                                      const RecoveryReport& report);

// On a device opened for writing, as it was when the cut was planned. A crash leaves the log
// damaged where it was, or cut; planning and cutting may be repeated. The device must be opened
// anew afterwards. Error: io.
[[nodiscard]] Result<void, CacheError> cut_log(CacheDevice& device, DurableWriter& writer,
                                               std::uint32_t slot, const LogCut& cut);

}  // namespace engine
