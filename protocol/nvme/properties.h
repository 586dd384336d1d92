// Controller properties (Base 2.1, "Controller Properties"): offsets, and the fields of CAP, CC and
// CSTS.
#pragma once

#include <cstdint>

namespace protocol::nvme {

namespace property {
inline constexpr std::uint32_t cap = 0x00;   // 8 bytes
inline constexpr std::uint32_t vs = 0x08;    // 4
inline constexpr std::uint32_t cc = 0x14;    // 4
inline constexpr std::uint32_t csts = 0x1c;  // 4
inline constexpr std::uint32_t nssr = 0x20;  // 4
inline constexpr std::uint32_t crto = 0x68;  // 4
}  // namespace property

// VS, and VER of Identify Controller: major 31:16, minor 15:8, tertiary 7:0.
constexpr std::uint32_t make_version(unsigned major, unsigned minor, unsigned tertiary = 0) {
  return (major << 16) | (minor << 8) | tertiary;
}
inline constexpr std::uint32_t version_2_1 = make_version(2, 1);

// CAP. Contiguous queues are required (CQR), doorbells, memory buffers and reset support do not
// exist.
struct ControllerCapabilities {
  std::uint32_t max_queue_entries = 1024;  // honest, 2..65536 (MQES is 0's based)
  std::uint8_t timeout_500ms = 30;         // TO: worst time for CSTS.RDY to follow CC.EN
  bool nvm_command_set = true;             // CSS bit 0 (37)
  bool all_io_command_sets = true;         // CSS bit 6 (43): CC.CSS 110b, CNS 1Ch
  bool no_io_command_set = false;          // CSS bit 7 (44): discovery controllers
  bool subsystem_reset = false;            // NSSRS (36)
  bool ready_with_media = true;  // CRMS.CRWMS (59): CC.CRIME 0 mode; needs the CRTO property
  [[nodiscard]] std::uint64_t encode() const;
  [[nodiscard]] static ControllerCapabilities decode(std::uint64_t cap);
  friend constexpr bool operator==(const ControllerCapabilities&,
                                   const ControllerCapabilities&) = default;
};
// CAP.MPSMIN and MPSMAX are 0: MDTS, WZSL and the like count in pages of this size.
inline constexpr std::uint32_t memory_page_bytes = 4096;

// CC.CSS.
enum class CommandSetSelect : std::uint8_t { nvm = 0, all_supported = 6, admin_only = 7 };
// CC.SHN.
enum class ShutdownNotification : std::uint8_t { none = 0, normal = 1, abrupt = 2, reserved = 3 };

// CC as a host wrote it; fields hold reserved values too, the controller judges them when EN goes
// to 1.
struct ControllerConfiguration {
  bool enable = false;
  std::uint8_t command_set = 0;       // CSS, compare with CommandSetSelect
  std::uint8_t memory_page_size = 0;  // MPS, 2 ^ (12 + n); must be 0 here
  std::uint8_t arbitration = 0;       // AMS, must be 0 here
  ShutdownNotification shutdown = ShutdownNotification::none;
  std::uint8_t submission_entry_log2 = 0;   // IOSQES, 6 when I/O queues are used
  std::uint8_t completion_entry_log2 = 0;   // IOCQES, 4
  bool ready_independent_of_media = false;  // CRIME
  [[nodiscard]] std::uint32_t encode() const;
  [[nodiscard]] static ControllerConfiguration decode(std::uint32_t cc);
  friend constexpr bool operator==(const ControllerConfiguration&,
                                   const ControllerConfiguration&) = default;
};

// CSTS.SHST.
enum class ShutdownStatus : std::uint8_t { normal_operation = 0, occurring = 1, complete = 2 };

struct ControllerStatus {
  bool ready = false;
  bool fatal = false;  // CFS
  ShutdownStatus shutdown = ShutdownStatus::normal_operation;
  bool subsystem_reset_occurred = false;  // NSSRO, cleared by the host writing 1
  bool processing_paused = false;         // PP
  [[nodiscard]] std::uint32_t encode() const;
  [[nodiscard]] static ControllerStatus decode(std::uint32_t csts);
  friend constexpr bool operator==(const ControllerStatus&, const ControllerStatus&) = default;
};

// NSSR: this value and no other asks for an NVM subsystem reset.
inline constexpr std::uint32_t subsystem_reset_key = 0x4e56'4d65;

// CRTO: CRWMT 15:0 and CRIMT 31:16, both in 500 ms.
constexpr std::uint32_t make_ready_timeouts(std::uint16_t with_media_500ms,
                                            std::uint16_t independent_500ms) {
  return with_media_500ms | (std::uint32_t{independent_500ms} << 16);
}

}  // namespace protocol::nvme
