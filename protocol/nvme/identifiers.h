// The numbers that name things in NVMe commands, so that one cannot be passed for another.
#pragma once

#include <compare>
#include <cstdint>

namespace protocol::nvme {

// NSID; 0 names nothing, FFFFFFFFh (broadcast) all active namespaces.
struct NamespaceId {
  std::uint32_t value = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 means the default's own zero.
  friend constexpr auto operator<=>(NamespaceId, NamespaceId) = default;
};
inline constexpr NamespaceId every_namespace{0xffff'ffff};
// The largest NSID that may be asked of the Active Namespace ID list (Base 2.1, CNS 02h).
inline constexpr NamespaceId last_listable_namespace{0xffff'fffd};

// CNTLID of one controller of a subsystem.
struct ControllerId {
  std::uint16_t value = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 means the default's own zero.
  friend constexpr auto operator<=>(ControllerId, ControllerId) = default;
};
inline constexpr ControllerId dynamic_controller{0xffff};      // in Connect: "give me any"
inline constexpr ControllerId any_static_controller{0xfffe};   // in Connect: static model only
inline constexpr ControllerId last_usable_controller{0xffef};  // FFF0h and above are reserved

// I/O command set (CSI). The NVM command set is the only one served.
inline constexpr std::uint8_t nvm_command_set = 0x00;

}  // namespace protocol::nvme
