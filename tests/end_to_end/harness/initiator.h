// A well-behaved iSCSI initiator. Every call fails the test when the target does not do what it
// should.
#pragma once

#include <memory>
#include <string>

#include "tests/client/scsi_task.h"
#include "tests/end_to_end/harness/config_text.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/watcher.h"

namespace end_to_end {

namespace iscsi = client::iscsi;
namespace scsi = client::scsi;

// Attackers work on a target and a volume of their own.
constexpr const char* prey_target = "iqn.2026-11.com.example:prey";
// Bytes in a block of LUN 0, and of the prey's.
inline constexpr std::uint32_t iscsi_block = 4096;

// Adds an iSCSI listener "scsi" and a target whose LUN 0 is the volume "big" (4096-byte blocks) and
// LUN 1 "small" (512), and the prey: LUN 0, 4096-byte blocks, 16 MiB.
[[nodiscard]] ConfigText with_iscsi(ConfigText config, const std::string& listener_options = {});
// Of the listener that with_iscsi() has added.
[[nodiscard]] client::Endpoint iscsi_endpoint(const ConfigText& config);

// nullptr and a test failure when it is refused. Unit attentions of LUN 0 are taken away.
[[nodiscard]] std::unique_ptr<iscsi::Session> open_session(const iscsi::LoginOptions& options);
[[nodiscard]] iscsi::LoginOptions to_target(const client::Endpoint& endpoint,
                                            const std::string& target = default_target);
// Executes TEST UNIT READY until nothing more is to be told.
void take_unit_attentions(iscsi::Session& session, std::uint16_t lun = 0);

[[nodiscard]] scsi::Task on_lun(std::uint16_t lun, scsi::Task task);
// Each ends with GOOD, or the test has failed.
iscsi::Outcome execute(iscsi::Session& session, scsi::Task task);
void write(iscsi::Session& session, std::uint16_t lun, std::uint64_t lba, const Bytes& data,
           std::uint32_t block_bytes);
[[nodiscard]] Bytes read(iscsi::Session& session, std::uint16_t lun, std::uint64_t lba,
                         std::uint32_t blocks, std::uint32_t block_bytes);

// Writes, reads back and pings, again and again, on a session of its own, at the last MiB of LUN 0.
class InitiatorBystander {
 public:
  explicit InitiatorBystander(const client::Endpoint& endpoint);

  void expect_undisturbed() { watcher_.expect_undisturbed(); }
  void await_rounds(int count) { watcher_.await_rounds(count); }

 private:
  std::unique_ptr<iscsi::Session> session_;
  std::uint64_t first_lba_ = 0;
  Watcher watcher_;
};

}  // namespace end_to_end
