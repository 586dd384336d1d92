// PersistentLog: the Persistent Event log of one subsystem (log page 0Dh), over resets,
// associations and restarts (Base 2.1, "Persistent Event Log").
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/foundation/clock.h"
#include "protocol/nvme/persistent_event_log.h"
#include "target/reactor/log.h"

namespace target::nvmf {

// An event as it is reported and kept.
struct RecordedEvent {
  std::uint64_t number = 0;  // in the order that they are recorded in, above kept_events
  std::vector<std::byte> bytes;
};

// Numbers up to this are those of events that an earlier process has recorded.
inline constexpr std::uint64_t kept_events = std::uint64_t{1} << 32;

// What a reporting context holds: the log at one moment.
struct EventReport {
  std::vector<std::shared_ptr<const RecordedEvent>> newest_first;
  std::chrono::milliseconds at{0};  // since 1970
  std::uint64_t power_cycles = 0;
  std::uint16_t generation = 0;
};

// What is counted over all lives of the subsystem.
struct SubsystemLives {
  std::uint64_t power_cycles = 0;  // starts of the daemon
  std::uint64_t powered_ms = 0;
  std::uint64_t unsafe_shutdowns = 0;  // lives that nobody ended
  friend bool operator==(const SubsystemLives&, const SubsystemLives&) = default;
};

// Any thread. Invariants: all events together fit into a page of `most_page_bytes`, the oldest give
// way; whoever has a report keeps what it holds.
class PersistentLog {
 public:
  // PELS 1.
  static constexpr std::uint64_t most_page_bytes = protocol::nvme::persistent_log_unit_bytes;
  static constexpr std::uint64_t most_event_bytes =
      most_page_bytes - sizeof(protocol::nvme::PersistentLogHeader) - sizeof(std::uint32_t);

  // The clock outlives it.
  explicit PersistentLog(const engine::Clock& clock);
  PersistentLog(const PersistentLog&) = delete;
  PersistentLog& operator=(const PersistentLog&) = delete;

  // What an earlier process has kept; once. It stands before what has been recorded since.
  // `ended_well`: that process had been told to end.
  void restore(std::vector<std::vector<std::byte>> oldest_first, const SubsystemLives& lives,
               bool ended_well);
  // Is called, without this log's lock, when there is something to keep. On any thread.
  void on_added(std::function<void()> wake);

  // The subsystem begins to be served: at first it is powered on, and reset whenever this is called
  // again.
  void begin(std::string_view firmware_revision);

  // What has happened. Where the same happens too often, some of it is left out.

  void host_connected(const protocol::nvme::EventPlace& place, std::string_view host,
                      std::string_view peer);
  void host_disconnected(const protocol::nvme::EventPlace& place, std::string_view host,
                         std::string_view reason);
  // Its host has reset the controller, whose Timestamp was this.
  void controller_reset(const protocol::nvme::EventPlace& place, engine::Duration powered_for,
                        const protocol::nvme::TimestampData& timestamp);
  void controller_failed(const protocol::nvme::EventPlace& place);
  void timestamp_changed(const protocol::nvme::EventPlace& place,
                         const protocol::nvme::TimestampData& before, engine::Duration since_reset);
  // A command ended with a status of type Media and Data Integrity.
  void media_error(const protocol::nvme::EventPlace& place,
                   const protocol::nvme::CompletionEntry& completion);
  void health(const protocol::nvme::EventPlace& place, std::span<const std::byte> smart_page);
  void feature_set(const protocol::nvme::EventPlace& place,
                   const protocol::nvme::SubmissionEntry& command);
  void namespace_changed(const protocol::nvme::ChangeNamespaceEvent& change);
  void format_started(const protocol::nvme::EventPlace& place,
                      const protocol::nvme::FormatStartEvent& format);
  void format_completed(const protocol::nvme::EventPlace& place,
                        const protocol::nvme::FormatCompletionEvent& format);

  // The log as it is now.
  [[nodiscard]] EventReport report();
  [[nodiscard]] std::uint64_t power_on_hours() const;
  [[nodiscard]] engine::Instant now() const { return clock_.now(); }

  // For who keeps it: the events after `number`, oldest first.
  struct News {
    std::vector<std::shared_ptr<const RecordedEvent>> events;
    SubsystemLives lives;
    bool some_are_gone = false;  // newer than `number`, but have given way already
  };
  [[nodiscard]] News after(std::uint64_t number) const;

 private:
  // What is limited together.
  enum class Often : std::uint8_t { hosts, resets, times, errors, health, never };
  void add(Often often, protocol::nvme::PersistentEventType type,
           const protocol::nvme::EventPlace& place, std::span<const std::byte> data);
  void make_room();
  void record_death();
  [[nodiscard]] SubsystemLives lives_now() const;

  const engine::Clock& clock_;
  const engine::Instant begun_at_;

  // Guards everything below. Leaf.
  mutable std::mutex mutex_;
  std::function<void()> wake_;
  std::deque<std::shared_ptr<const RecordedEvent>> events_;  // oldest first
  std::uint64_t bytes_ = 0;                                  // of all events
  std::uint64_t last_number_ = kept_events;
  std::uint64_t last_gone_ = 0;  // what has given way
  SubsystemLives before_;        // up to this process; the others count it
  bool powered_on_ = false;
  std::string firmware_revision_;
  bool died_ = false;  // the life before
  std::uint16_t generation_ = 0;
  std::array<LogLimit, 5> limits_;
};

// The whole page of a report.
[[nodiscard]] std::vector<std::byte> persistent_log_page(const EventReport& report,
                                                         protocol::nvme::PersistentLogFacts facts);

}  // namespace target::nvmf
