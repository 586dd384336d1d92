// AdminQueue: executes the commands of one controller's Admin queue, and watches over its
// association.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "protocol/nvme/admin_command.h"
#include "protocol/nvme/fabrics_command.h"
#include "target/block/volume_formatter.h"
#include "target/nvmf/command.h"
#include "target/nvmf/controller.h"
#include "target/nvmf/keep_alive.h"
#include "target/reactor/timer_queue.h"

namespace target::nvmf {

class NvmfTarget;

// Reactor thread only. Lives until every command it was given has been answered.
// A Keep Alive command needs no buffer and waits for nothing: it is answered however busy the data
// path is.
class AdminQueue {
 public:
  AdminQueue(NvmfTarget& target, std::shared_ptr<Controller> controller,
             std::shared_ptr<SessionHandle> session, CommandPort& port);
  AdminQueue(const AdminQueue&) = delete;
  AdminQueue& operator=(const AdminQueue&) = delete;
  ~AdminQueue();

  void execute(CommandPermit permit);
  void data_ready(CommandPermit permit);
  // Answers outstanding Asynchronous Event Requests as far as there are events.
  void deliver_events();
  void abort_finished() { --aborts_; }
  // What has become of the Format NVM that this queue has asked for as its `number`th.
  void format_ended(std::uint64_t number, block::VolumeFormatter::End end);
  // The connection has ended: so does the association.
  void end(EndReason reason);

 private:
  struct Visitor;

  void run(CommandPermit permit, bool data_is_ready);
  void run_fabrics(CommandPermit permit);
  void get_log_page(CommandPermit permit, const protocol::nvme::GetLogPage& command,
                    bool data_is_ready);
  void identify(CommandPermit permit, const protocol::nvme::Identify& command, bool data_is_ready);
  // lba_status.cpp
  void get_lba_status(CommandPermit permit, const protocol::nvme::GetLbaStatus& command,
                      bool data_is_ready);
  [[nodiscard]] protocol::nvme::Parsed<std::vector<std::byte>> lba_status(
      const protocol::nvme::GetLbaStatus& command) const;
  // format_nvm.cpp
  void format_nvm(CommandPermit permit, const protocol::nvme::FormatNvm& command);
  struct WantedFormat {
    block::BlockVolume* volume = nullptr;
    engine::BlockSize blocks;
  };
  [[nodiscard]] protocol::nvme::Parsed<WantedFormat> wanted_format(
      const protocol::nvme::FormatNvm& command) const;
  // The host hears no more of a format that is under way; that goes on.
  void leave_format(protocol::nvme::Status status);
  void abort(CommandPermit permit, const protocol::nvme::Abort& command);
  void set_features(CommandPermit permit, const protocol::nvme::SetFeatures& command,
                    bool data_is_ready);
  void get_features(CommandPermit permit, const protocol::nvme::GetFeatures& command,
                    bool data_is_ready);
  // Features 83h and 84h, which are the volume's: volume_features.cpp.
  void set_volume_feature(CommandPermit permit, const protocol::nvme::SetFeatures& command);
  [[nodiscard]] protocol::nvme::Parsed<std::uint32_t> volume_feature(
      const protocol::nvme::GetFeatures& command) const;
  void set_reservation_persistence(CommandPermit permit, bool persist,
                                   const std::vector<block::BlockVolume*>& volumes);
  void set_write_protection(CommandPermit permit, protocol::nvme::WriteProtectionState wanted,
                            const std::vector<block::BlockVolume*>& volumes);
  void request_event(CommandPermit permit);
  void set_property(CommandPermit permit, const protocol::nvme::PropertySet& command);

  // The page: in `own`, or for the discovery log the snapshot that offset reads are served from.
  [[nodiscard]] protocol::nvme::Parsed<std::span<const std::byte>> read_log(
      const protocol::nvme::GetLogPage& command, bool data_is_ready, std::vector<std::byte>& own);
  // A namespace-specific feature of a namespace that is not there.
  [[nodiscard]] protocol::nvme::Parsed<void> check_feature_namespace(
      std::uint8_t feature_id, protocol::nvme::NamespaceId nsid) const;
  [[nodiscard]] bool abort_event_request(std::uint16_t command_id);
  void abort_event_requests();
  void refuse(CommandPermit permit, const protocol::nvme::Refusal& refusal);

  // Keep-alive while the controller is ready; else how long its association may stay.
  void watch_association();
  void arm_timer();
  void time_passed();

  NvmfTarget& target_;
  const std::shared_ptr<Controller> controller_;
  const std::shared_ptr<SessionHandle> session_;
  CommandPort& port_;
  bool ended_ = false;

  std::vector<Command*> event_requests_;  // outstanding, oldest first
  std::uint32_t aborts_ = 0;              // asked of other reactors
  Command* format_ = nullptr;             // outstanding
  std::uint64_t formats_ = 0;             // that have begun
  std::vector<std::byte> discovery_page_;

  KeepAlive keep_alive_;
  bool watching_idle_ = false;
  bool admin_traffic_ = false;
  engine::Instant checked_at_{};
  Timer timer_;
};

}  // namespace target::nvmf
