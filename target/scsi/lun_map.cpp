#include "target/scsi/lun_map.h"

namespace target::scsi {

const char* text(LunError error) {
  switch (error) {
    case LunError::bad_lun:
      return "logical unit numbers are 0 to 16383";
    case LunError::in_use:
      return "the logical unit number is in use";
    case LunError::table_full:
      return "the target has as many logical units as it can have";
    case LunError::not_found:
      return "there is no such logical unit";
  }
  return "unknown";
}

engine::Result<void, LunError> LunMap::add(const LunOptions& options) {
  if (options.lun > max_lun) return LunError::bad_lun;
  if (present_.contains(options.lun)) return LunError::in_use;
  if (present_.size() == max_luns) return LunError::table_full;
  Entry entry{.unit = std::make_shared<LogicalUnit>(options.lun, *options.volume),
              .initiators = {}};
  if (options.initiators) {
    entry.initiators.emplace(options.initiators->begin(), options.initiators->end());
  }
  present_.emplace(options.lun, std::move(entry));
  version_.fetch_add(1, std::memory_order_acq_rel);
  return engine::success();
}

engine::Result<void, LunError> LunMap::remove(std::uint16_t lun) {
  if (present_.erase(lun) == 0) return LunError::not_found;
  version_.fetch_add(1, std::memory_order_acq_rel);
  return engine::success();
}

engine::Result<void, LunError> LunMap::replace(const LunOptions& options) {
  const auto found = present_.find(options.lun);
  if (found == present_.end()) return LunError::not_found;
  found->second.unit = std::make_shared<LogicalUnit>(options.lun, *options.volume);
  version_.fetch_add(1, std::memory_order_acq_rel);
  return engine::success();
}

engine::Result<void, LunError> LunMap::set_initiators(
    std::uint16_t lun, std::optional<std::vector<std::string>> initiators) {
  const auto found = present_.find(lun);
  if (found == present_.end()) return LunError::not_found;
  found->second.initiators.reset();
  if (initiators) found->second.initiators.emplace(initiators->begin(), initiators->end());
  version_.fetch_add(1, std::memory_order_acq_rel);
  return engine::success();
}

std::vector<std::shared_ptr<LogicalUnit>> LunMap::units_for(std::string_view initiator) const {
  std::vector<std::shared_ptr<LogicalUnit>> units;
  for (const auto& [lun, entry] : present_) {
    if (!entry.initiators || entry.initiators->contains(initiator)) units.push_back(entry.unit);
  }
  return units;
}

std::vector<std::shared_ptr<LogicalUnit>> LunMap::all() const {
  std::vector<std::shared_ptr<LogicalUnit>> units;
  for (const auto& [lun, entry] : present_) units.push_back(entry.unit);
  return units;
}

}  // namespace target::scsi
