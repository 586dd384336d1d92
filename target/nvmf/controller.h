// Controller: one association between a host and a subsystem: the state that its queues share.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "protocol/nvme/admin_command.h"
#include "protocol/nvme/fabrics_command.h"
#include "target/net/generated_keys.h"
#include "target/net/host_counts.h"
#include "target/nvmf/async_events.h"
#include "target/nvmf/command.h"
#include "target/nvmf/error_log.h"
#include "target/nvmf/feature_values.h"
#include "target/nvmf/io_queue.h"
#include "target/nvmf/namespace_table.h"
#include "target/nvmf/persistent_log.h"
#include "target/nvmf/properties.h"
#include "target/nvmf/reservation_watch.h"
#include "target/nvmf/session_handle.h"
#include "target/nvmf/target_status.h"

namespace target::nvmf {

class Subsystem;

// What the Connect of the Admin queue settled.
struct Association {
  std::string host_nqn;
  protocol::nvme::HostId host_id{};
  std::uint32_t keep_alive_ms = 0;  // rounded up; 0: none
  std::uint32_t admin_entries = 0;
  LinkInfo link;  // of the Admin queue
  engine::ByteCount in_capsule_data;
  std::uint16_t port_id = 0;  // of the listener, as discovery tells it
  engine::Instant connected_at;
  AnaState path_state = AnaState::optimized;  // of the listener, at first
};

// Any thread unless a method says otherwise; outlives every session that holds it. The queues may
// be on different reactors. The I/O path touches nothing but atomics here, unless a command fails.
class Controller {
 public:
  Controller(std::shared_ptr<Subsystem> subsystem, protocol::nvme::ControllerId id,
             Association association, std::shared_ptr<SessionHandle> admin);
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;
  ~Controller();

  // Never change.
  [[nodiscard]] Subsystem& subsystem() const { return *subsystem_; }
  [[nodiscard]] protocol::nvme::ControllerId id() const { return id_; }
  [[nodiscard]] const Association& association() const { return association_; }
  [[nodiscard]] bool is_discovery() const;
  // Its host, among those that reserve volumes.
  [[nodiscard]] const block::PartyId& party() const { return party_; }

  // By what its Admin queue is secured: "none", "dhchap", "mutual dhchap", and what the link has.
  [[nodiscard]] std::string security() const;
  void set_authentication(std::string_view by);
  // The PSK that authentication has made for its connections, until it ends; the one before opens
  // no more.
  void hold_key(std::unique_ptr<GeneratedKeys::Hold> key);
  // Whether a queue inside TLS with this identity of a generated PSK (empty: with a configured one)
  // belongs here.
  [[nodiscard]] bool admits_key(std::string_view generated_identity) const;

  // For I/O commands.
  [[nodiscard]] bool ready() const { return serving() != 0; }
  // The how manieth enable is in force, 0 while not ready. A queue belongs to one of them: after a
  // reset it is refused, although the controller is ready again.
  [[nodiscard]] std::uint64_t serving() const { return serving_.load(std::memory_order_acquire); }
  // As the host has enabled it: see IoQueueOwner.
  [[nodiscard]] bool copies_between_namespaces() const {
    return copies_between_namespaces_.load(std::memory_order_relaxed);
  }
  // The host waits before it tries again if a status asks for it.
  [[nodiscard]] bool delays_retries() const {
    return delays_retries_.load(std::memory_order_relaxed);
  }
  // The host has read the ANA log: a path that is not to be reached it waits for, or does without.
  [[nodiscard]] bool knows_access_states() const {
    return knows_access_states_.load(std::memory_order_relaxed);
  }
  void note_ana_log_read() { knows_access_states_.store(true, std::memory_order_relaxed); }
  // Of the listener that the host has come by; no lock.
  [[nodiscard]] AnaState path_state() const { return path_state_.load(std::memory_order_acquire); }
  // The subsystem's count of ANA changes when that last changed; 0: it has not.
  [[nodiscard]] std::uint64_t path_changes() const {
    return path_changes_.load(std::memory_order_relaxed);
  }
  // All of its groups change with it, and the host is told. Under the subsystem's lock.
  void set_path_state(AnaState state, std::uint64_t changes);
  // Has the I/O queues answer what waits for a namespace that is not to be reached any more. After
  // namespaces_changed().
  void refuse_unreachable();
  void note_io_traffic() {
    if (!io_traffic_.load(std::memory_order_relaxed)) {
      io_traffic_.store(true, std::memory_order_relaxed);
    }
  }
  // True if there was I/O since the last call.
  [[nodiscard]] bool take_io_traffic() {
    return io_traffic_.exchange(false, std::memory_order_relaxed);
  }
  [[nodiscard]] IoCounters& counters() { return counters_; }
  [[nodiscard]] const IoCounters& counters() const { return counters_; }
  void add_busy(engine::Duration busy) {
    busy_ms_.fetch_add(static_cast<std::uint64_t>(busy.count() / 1'000'000),
                       std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t busy_ms() const { return busy_ms_.load(std::memory_order_relaxed); }
  void command_failed(const CommandFailure& failure);

  // I/O queues.

  struct QueueRecord {
    std::shared_ptr<SessionHandle> session;
    QueueSnapshot shown;
  };
  // Refusals as Connect answers them; `why` is for the log.
  [[nodiscard]] protocol::nvme::Parsed<void> attach_queue(std::uint16_t qid, QueueRecord queue,
                                                          std::string& why);
  void detach_queue(std::uint16_t qid, const SessionHandle& session);
  // nullptr: there is no such queue.
  [[nodiscard]] std::shared_ptr<SessionHandle> queue(std::uint16_t qid) const;
  // The enable that this queue was attached in; 0 if a reset has taken it away already.
  [[nodiscard]] std::uint64_t enable_of(std::uint16_t qid, const SessionHandle& session) const;

  // Properties and features.

  [[nodiscard]] protocol::nvme::Parsed<std::uint64_t> get_property(
      const protocol::nvme::PropertyGet& command) const;
  // Does everything that the write means but for the Admin queue's own timers.
  [[nodiscard]] protocol::nvme::Parsed<Properties::Effect> set_property(
      const protocol::nvme::PropertySet& command, engine::Instant now);
  [[nodiscard]] protocol::nvme::Parsed<std::uint32_t> set_feature(
      const protocol::nvme::SetFeatures& command, std::span<const std::byte> data,
      engine::Instant now);
  [[nodiscard]] protocol::nvme::Parsed<FeatureReply> get_feature(
      const protocol::nvme::GetFeatures& command, engine::Instant now) const;
  [[nodiscard]] std::uint32_t keep_alive_ms() const;
  [[nodiscard]] bool temperature_warning() const;

  // Events. The notification itself leaves on the Admin queue's reactor.

  void namespaces_changed(std::span<const NamespaceChange> changes);
  // What discovery now shows this host has this generation.
  void discovery_log_is(std::uint64_t generation);
  [[nodiscard]] std::optional<protocol::nvme::AsyncEvent> take_event();
  // The host reads this page without Retain Asynchronous Event. Called before the page is made:
  // what changes in between may not be in it, and is told.
  void log_page_read(std::uint8_t log_id);
  // The discovery log of this generation, which may be older than what there is now.
  void discovery_log_read(std::uint64_t generation);

  // Of a namespace that its host uses: what becomes of reservations there is told it from now on.
  void watch_reservations(Namespace& space) { watch_.watch(space, party_); }
  // Whatever its queues and itself keep of namespaces that have been removed goes, as soon as
  // nothing of theirs is under way there; to be called again until it has.
  void forget_removed_namespaces();
  // Under the lock of the volume's reservations.
  void reservation_changed(std::uint32_t nsid,
                           protocol::nvme::ReservationNotification notification) noexcept;

  // The subsystem's Persistent Event log; a discovery controller has none, and does nothing here.

  void remember_host_came() const;
  void remember_host_went(std::string_view why) const;
  // `daily`: unless that was less than a day ago.
  void remember_health(bool daily);
  // The host has set a feature of a namespace by this command.
  void remember_feature(const protocol::nvme::SubmissionEntry& command) const;
  // Format NVM: what the log is to say of it.
  void remember_format(const protocol::nvme::FormatStartEvent& format) const;
  void remember_format(const protocol::nvme::FormatCompletionEvent& format) const;

  // Log pages that are the controller's own.

  // 0Dh, by the reporting context that the host has of this controller. `begins`: the command has
  // just come, and does what it is to do; else it has its buffer. Refusal: command_sequence_error
  // (a context that there is, or is not).
  [[nodiscard]] protocol::nvme::Parsed<std::vector<std::byte>> persistent_page(
      protocol::nvme::PersistentLogAction action, bool begins);

  // 80h; `clears`: the host reads it without Retain Asynchronous Event.
  [[nodiscard]] std::vector<std::byte> reservation_page(bool clears);

  [[nodiscard]] std::vector<std::byte> error_page() const;
  [[nodiscard]] std::uint64_t error_count() const;
  // Ascending; they stay until the page is taken.
  [[nodiscard]] std::vector<protocol::nvme::NamespaceId> changed_namespaces() const;
  // The page is read without Retain Asynchronous Event: in one step the list is emptied and its
  // event cleared.
  [[nodiscard]] std::vector<protocol::nvme::NamespaceId> take_changed_namespaces();

  // Ends the association: every queue's connection ends, each on its own reactor, and the
  // controller identifier is free again. Once; later calls do nothing.
  void end(EndReason reason);
  [[nodiscard]] bool ended() const { return ended_.load(std::memory_order_acquire); }
  // CSTS.CFS, before the end.
  void fail();
  // I/O queues that were there at once.
  [[nodiscard]] std::size_t most_io_queues() const;

  // Of its host: what it has done by this controller.
  [[nodiscard]] HostCounts work() const;
  // That are there now.
  [[nodiscard]] std::size_t io_queues() const;
  [[nodiscard]] ControllerSnapshot snapshot(engine::Instant now) const;

 private:
  using Queues = std::map<std::uint16_t, QueueRecord>;
  static void end_queues(const Queues& queues, EndReason reason);
  void tell_admin();
  [[nodiscard]] protocol::nvme::EventPlace event_place() const {
    return {.controller = id_, .port = association_.port_id};
  }
  void remember_failure(const CommandFailure& failure) const;
  void update_serving();
  [[nodiscard]] QueueSnapshot admin_snapshot() const;

  const std::shared_ptr<Subsystem> subsystem_;
  const protocol::nvme::ControllerId id_;
  const Association association_;
  const std::shared_ptr<SessionHandle> admin_;
  const block::PartyId party_;

  std::atomic<std::uint64_t> serving_{0};
  std::atomic<bool> ended_{false};
  std::atomic<bool> io_traffic_{false};
  std::atomic<bool> delays_retries_{false};
  std::atomic<bool> copies_between_namespaces_{false};
  std::atomic<bool> knows_access_states_{false};
  std::atomic<AnaState> path_state_;
  std::atomic<std::uint64_t> path_changes_{0};
  std::atomic<std::uint64_t> busy_ms_{0};
  IoCounters counters_;

  // Guards everything below but `watch_`. After Subsystem::mutex_ and those of reservations; before
  // it nothing but a reactor's queue of posted functions is locked.
  mutable std::mutex mutex_;
  Properties properties_;
  FeatureValues features_;
  AsyncEvents events_;
  ReservationLog reservations_;
  ErrorLog errors_;
  std::set<std::uint32_t> changed_;
  bool discovery_known_ = false;
  Queues queues_;  // I/O queues by QID; of the enable in force
  std::uint64_t enables_ = 0;
  std::size_t most_queues_ = 0;
  std::string authentication_;  // of the Admin queue; empty: none
  std::unique_ptr<GeneratedKeys::Hold> generated_key_;
  engine::Instant reset_at_;
  engine::Instant health_at_;          // when it was last remembered
  std::optional<EventReport> report_;  // the reporting context
  bool report_existed_ = false;        // before the command that would have established it

  ReservationWatch watch_;  // last: what it tells comes to all the rest
};

}  // namespace target::nvmf
