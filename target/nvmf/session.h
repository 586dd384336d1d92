// Session: what the commands of one connection mean: Connect first, then those of its queue.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "protocol/nvme/fabrics_command.h"
#include "target/net/host_change.h"
#include "target/nvmf/admin_queue.h"
#include "target/nvmf/command.h"
#include "target/nvmf/controller.h"
#include "target/nvmf/io_queue.h"
#include "target/nvmf/queue_authentication.h"
#include "target/nvmf/session_handle.h"

namespace target::nvmf {

class NvmfTarget;

// The controller, as one I/O queue sees it. Reactor thread of the queue; keeps a view of the
// namespaces so that finding one takes no lock.
class IoQueueView final : public IoQueueOwner {
 public:
  // `enable`: Controller::enable_of() this queue.
  IoQueueView(Controller& controller, std::uint64_t enable);

  [[nodiscard]] Namespace* find_namespace(std::uint32_t nsid) override;
  // The view is of now. Not while a command runs.
  void refresh();
  [[nodiscard]] bool ready() const override {
    const std::uint64_t serving = controller_.serving();
    return serving != 0 && serving == enable_;
  }
  void command_failed(const CommandFailure& failure) override {
    controller_.command_failed(failure);
  }
  [[nodiscard]] bool delays_retries() const override { return controller_.delays_retries(); }
  [[nodiscard]] bool copies_between_namespaces() const override {
    return controller_.copies_between_namespaces();
  }
  [[nodiscard]] bool knows_access_states() const override {
    return controller_.knows_access_states();
  }
  [[nodiscard]] AnaState path_state() const override { return controller_.path_state(); }
  void note_traffic() override { controller_.note_io_traffic(); }
  [[nodiscard]] IoCounters& counters() override { return controller_.counters(); }
  [[nodiscard]] const block::PartyId& party() const override { return controller_.party(); }
  void uses(Namespace& space) override { controller_.watch_reservations(space); }
  [[nodiscard]] std::uint32_t largest_transfer_bytes() const override { return largest_transfer_; }

 private:
  Controller& controller_;
  const std::uint64_t enable_;
  const std::uint32_t largest_transfer_;
  std::shared_ptr<const NamespaceView> view_;
};

// Reactor thread of its connection only; others go through its SessionHandle.
class Session final : public CommandExecutor {
 public:
  Session(NvmfTarget& target, CommandPort& port);
  ~Session() override;

  [[nodiscard]] block::BlockVolume* volume_of(const Command& command) override {
    return io_ ? io_->volume_of(command) : nullptr;
  }
  [[nodiscard]] protocol::nvme::Status try_later(const Command& command) override {
    return io_ ? io_->send_back(command) : protocol::nvme::status::command_interrupted;
  }
  void execute(CommandPermit permit) override;
  void data_ready(CommandPermit permit) override;
  void not_executed(const protocol::nvme::SubmissionEntry& entry) override {
    if (io_) io_->not_executed(entry);
  }
  void partner_lost(Command& command) override { io_->partner_lost(command); }
  void connection_ended(EndReason reason) override;
  void digest_failed() override;

  // Asked for by other threads.

  void end(EndReason reason) { port_.end(reason); }
  void deliver_events();
  [[nodiscard]] bool abort(std::uint16_t command_id);
  void abort_finished();
  void format_ended(std::uint64_t number, block::VolumeFormatter::End end);
  void access_changed() {
    if (io_) io_->refuse_unreachable();
  }
  void forget_removed_namespaces() {
    if (!io_) return;
    view_->refresh();
    io_->forget_removed();
  }
  // Answers the Authentication Send whose Diffie-Hellman another thread has done.
  void finish_authentication(CommandPermit permit, protocol::auth::DhWork& work);

 private:
  void connect(CommandPermit permit, bool data_is_ready);
  void accept(CommandPermit permit, const protocol::nvme::Connect& connect);
  void open();
  void refuse_command(CommandPermit permit, const protocol::nvme::Refusal& refusal);
  void refuse(CommandPermit permit, const protocol::nvme::Refusal& refusal, std::string_view why);
  void run_io_fabrics(CommandPermit permit);
  // Before the host has proved who it is.
  void execute_unproved(CommandPermit permit);
  void log_refusal(std::uint16_t qid, const protocol::nvme::Refusal& refusal, std::string_view why);
  void log_connected() const;
  void log_disconnected(EndReason reason) const;
  [[nodiscard]] HostChange host_change(HostChange::What what) const;

  NvmfTarget& target_;
  CommandPort& port_;
  const std::shared_ptr<SessionHandle> handle_;

  // What Connect named, for the log: also when it was refused.
  std::string host_nqn_;
  std::string subsystem_nqn_;

  // From a successful Connect on, exactly one of the two queues is there.
  std::shared_ptr<Controller> controller_;
  QueueBinding binding_;
  std::optional<AdminQueue> admin_;
  std::optional<IoQueueView> view_;
  std::optional<IoQueue> io_;
  std::optional<QueueAuthentication> authentication_;
  bool open_ = false;       // connected, and proved where that is required
  bool announced_ = false;  // the log has it as connected
};

}  // namespace target::nvmf
