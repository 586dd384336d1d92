#include "target/iscsi/session_table.h"

#include <utility>

#include "engine/foundation/check.h"

namespace target::iscsi {

void SessionTable::admit(const std::shared_ptr<SessionEntry>& entry) {
  // 0 is a login's way to ask for a new session (RFC 7143, 11.12.6). A handle is not used again
  // soon, so that who still believes in an old session does not find another one.
  do {
    ++last_tsih_;
  } while (last_tsih_ == 0 || sessions_.contains(last_tsih_));
  entry->tsih = last_tsih_;
  sessions_.emplace(entry->tsih, entry);
  if (!entry->key.target.empty()) CHECK(by_key_.emplace(entry->key, entry).second);
}

SessionTable::Outcome SessionTable::add(const std::shared_ptr<SessionEntry>& entry) {
  const auto same = entry->key.target.empty() ? by_key_.end() : by_key_.find(entry->key);
  if (same == by_key_.end()) {
    if (sessions_.size() >= most_) return {.admission = Admission::full, .displaced = nullptr};
    admit(entry);
    return {};
  }
  SessionEntry& old = *same->second;
  // Of several that wait, the last one is the initiator's; the one before has been given up by it.
  const auto before = std::exchange(old.successor, entry);
  return {.admission = Admission::waits, .displaced = before != nullptr ? before : same->second};
}

std::shared_ptr<SessionEntry> SessionTable::remove(const std::shared_ptr<SessionEntry>& entry) {
  if (entry->tsih == 0) {
    const auto same = by_key_.find(entry->key);
    if (same != by_key_.end() && same->second->successor == entry) {
      same->second->successor = nullptr;
    }
    return nullptr;
  }
  sessions_.erase(entry->tsih);
  if (!entry->key.target.empty()) by_key_.erase(entry->key);
  entry->snapshot = nullptr;
  auto next = std::exchange(entry->successor, nullptr);
  if (next != nullptr) admit(next);
  return next;
}

std::shared_ptr<SessionEntry> SessionTable::find(std::uint16_t tsih) const {
  const auto found = sessions_.find(tsih);
  return found == sessions_.end() ? nullptr : found->second;
}

}  // namespace target::iscsi
