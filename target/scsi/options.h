// What a transport tells a TargetDevice: plain structs, already checked by config.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "target/block/block_volume.h"

namespace target::scsi {

inline constexpr std::uint16_t max_lun = 16383;  // flat addressing (SAM-5, "Flat space addressing")
inline constexpr std::size_t max_luns = 1024;    // of one target device
inline constexpr std::size_t max_target_ports = 64;  // of one target device

struct LunOptions {
  std::uint16_t lun = 0;                 // 0 .. max_lun, unique in its device
  block::BlockVolume* volume = nullptr;  // outlives the device
  // Names of the initiator devices that see it; nullopt: all that the device admits.
  std::optional<std::vector<std::string>> initiators;
  friend bool operator==(const LunOptions&, const LunOptions&) = default;
};

struct DeviceOptions {
  // Of the SCSI target device: the iSCSI node's name, in lower case. Its ports are named after it.
  std::string name;
  // Relative target port identifiers (SAM-5), 1 .. 65535: an iSCSI target portal group each, whose
  // tag it is.
  std::vector<std::uint16_t> target_ports;
  std::vector<LunOptions> luns;
  std::string product_revision = FOREBAY_VERSION;  // INQUIRY shows the first 4 characters
};

// The initiator port and target port of one I_T nexus. Names are in lower case.
struct NexusIdentity {
  std::string initiator;            // the initiator node's iSCSI name
  std::array<std::byte, 6> isid{};  // with the name, the initiator port (RFC 7143, 4.4.1)
  std::uint16_t target_port = 1;    // relative target port identifier
};

}  // namespace target::scsi
