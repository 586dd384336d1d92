// SessionTable: which sessions there are. Gives out session handles (TSIH), and sees to it that a
// session that takes the place of another one begins when the other one's tasks have ended.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "protocol/iscsi/pdu.h"
#include "target/iscsi/target_status.h"
#include "target/net/link_info.h"
#include "target/reactor/handle.h"

namespace target::iscsi {

class Connection;
using ConnectionHandle = Handle<Connection>;

// What makes two sessions the same one (RFC 7143, 4.4.3.1 and 6.3.5): the initiator port and the
// target port.
struct SessionKey {
  std::string target;  // the node's name; empty: a discovery session, which is like no other
  std::string initiator;
  protocol::iscsi::Isid isid{};
  std::uint16_t portal_group = 0;

  auto operator<=>(const SessionKey&) const = default;
};

// A session from its admission until its tasks have ended. Shared by its connection and the table;
// what is const here, any thread may read.
struct SessionEntry {
  SessionEntry(SessionKey session_key, const LinkInfo& link,
               std::shared_ptr<ConnectionHandle> session_handle)
      : key(std::move(session_key)),
        listener(link.listener),
        peer_address(link.peer_address),
        handle(std::move(session_handle)) {}

  const SessionKey key;
  const std::string listener;
  const std::string peer_address;
  const std::shared_ptr<ConnectionHandle> handle;

  // Guarded by the lock of whoever owns the table.
  std::uint16_t tsih = 0;
  std::shared_ptr<SessionEntry> successor;    // waits for the end of this one
  std::function<SessionSnapshot()> snapshot;  // set from full feature phase until the end
};

// Not thread-safe: its owner has the lock. Invariants: no two entries have the same key, unless it
// is of discovery; the handles in use are those of the entries.
class SessionTable {
 public:
  explicit SessionTable(std::uint32_t most) : most_(most) {}

  // Those that are there stay.
  void set_most(std::uint32_t most) { most_ = most; }

  enum class Admission : std::uint8_t {
    admitted,
    // Another session must end first: end `displaced`. `admitted()` will say when.
    waits,
    full,
  };
  struct Outcome {
    Admission admission = Admission::admitted;
    std::shared_ptr<SessionEntry> displaced;  // to be ended, as its place is taken
  };
  [[nodiscard]] Outcome add(const std::shared_ptr<SessionEntry>& entry);
  // The session has ended, or does not want to wait any more. The one that waited for it and is
  // admitted now; nullptr: none.
  [[nodiscard]] std::shared_ptr<SessionEntry> remove(const std::shared_ptr<SessionEntry>& entry);

  [[nodiscard]] std::shared_ptr<SessionEntry> find(std::uint16_t tsih) const;
  // Those that are admitted, by their handles.
  template <class F>
  void for_each(F&& visit) const {
    for (const auto& [tsih, entry] : sessions_) visit(*entry);
  }
  [[nodiscard]] std::size_t size() const { return sessions_.size(); }

 private:
  void admit(const std::shared_ptr<SessionEntry>& entry);

  std::uint32_t most_;
  std::uint16_t last_tsih_ = 0;
  std::map<std::uint16_t, std::shared_ptr<SessionEntry>> sessions_;
  std::map<SessionKey, std::shared_ptr<SessionEntry>> by_key_;
};

}  // namespace target::iscsi
