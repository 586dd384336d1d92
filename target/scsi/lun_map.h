// LunMap: the logical units of one target device, and who sees them.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/foundation/result.h"
#include "target/scsi/logical_unit.h"
#include "target/scsi/options.h"

namespace target::scsi {

enum class LunError : std::uint8_t {
  bad_lun,     // beyond max_lun
  in_use,      // take the other one away first
  table_full,  // max_luns
  not_found,
};
[[nodiscard]] const char* text(LunError error);

// Guarded by its device's lock, but for version(), which grows with every change of what
// units_for() may answer.
class LunMap {
 public:
  LunMap() = default;
  LunMap(const LunMap&) = delete;
  LunMap& operator=(const LunMap&) = delete;

  [[nodiscard]] engine::Result<void, LunError> add(const LunOptions& options);
  [[nodiscard]] engine::Result<void, LunError> remove(std::uint16_t lun);
  // In the place of one that is there; who sees it stays.
  [[nodiscard]] engine::Result<void, LunError> replace(const LunOptions& options);
  [[nodiscard]] engine::Result<void, LunError> set_initiators(
      std::uint16_t lun, std::optional<std::vector<std::string>> initiators);

  // Any thread, without the lock.
  [[nodiscard]] std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // Ascending.
  [[nodiscard]] std::vector<std::shared_ptr<LogicalUnit>> units_for(
      std::string_view initiator) const;
  [[nodiscard]] std::vector<std::shared_ptr<LogicalUnit>> all() const;

  template <class F>
  void for_each(F&& visit) const {
    for (const auto& [lun, entry] : present_) visit(*entry.unit, entry.initiators);
  }

 private:
  using Names = std::set<std::string, std::less<>>;
  struct Entry {
    std::shared_ptr<LogicalUnit> unit;
    std::optional<Names> initiators;  // nullopt: everybody
  };

  std::map<std::uint16_t, Entry> present_;
  std::atomic<std::uint64_t> version_{1};
};

}  // namespace target::scsi
