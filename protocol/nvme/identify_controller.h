// Identify Controller (CNS 01h) and the NVM command set's own controller page (CNS 06h, CSI 00h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "engine/foundation/units.h"
#include "protocol/nvme/counter128.h"
#include "protocol/nvme/entries.h"
#include "protocol/nvme/identifiers.h"
#include "protocol/nvme/nqn.h"
#include "protocol/nvme/properties.h"

namespace protocol::nvme {

enum class ControllerType : std::uint8_t { io = 1, discovery = 2, administrative = 3 };

// OAES: the notices a controller can send.
namespace oaes_bit {
inline constexpr std::uint32_t namespace_attribute = 1u << 8;
inline constexpr std::uint32_t ana_change = 1u << 11;
inline constexpr std::uint32_t normal_shutdown = 1u << 15;
inline constexpr std::uint32_t discovery_log_change = 1u << 31;
}  // namespace oaes_bit

// FNA: every namespace is formatted and erased for itself; FFFFFFFFh is none to format; nothing is
// erased by its key.
inline constexpr std::uint8_t format_attributes = 1 << 3;

// OACS.
namespace oacs_bit {
inline constexpr std::uint16_t format_nvm = 1 << 1;
inline constexpr std::uint16_t get_lba_status = 1 << 9;
}  // namespace oacs_bit

// ONCS.
namespace oncs_bit {
inline constexpr std::uint16_t compare = 1 << 0;
inline constexpr std::uint16_t write_uncorrectable = 1 << 1;
inline constexpr std::uint16_t dataset_management = 1 << 2;
inline constexpr std::uint16_t write_zeroes = 1 << 3;
inline constexpr std::uint16_t save_and_select =
    1 << 4;  // SV and SEL are looked at; nothing is saveable
inline constexpr std::uint16_t reservations = 1 << 5;
inline constexpr std::uint16_t timestamp = 1 << 6;
inline constexpr std::uint16_t verify = 1 << 7;
inline constexpr std::uint16_t copy = 1 << 8;
}  // namespace oncs_bit

// ANACAP.
namespace anacap_bit {
inline constexpr std::uint8_t optimized = 1 << 0;
inline constexpr std::uint8_t non_optimized = 1 << 1;
inline constexpr std::uint8_t inaccessible = 1 << 2;
inline constexpr std::uint8_t persistent_loss = 1 << 3;
inline constexpr std::uint8_t change = 1 << 4;
inline constexpr std::uint8_t group_id_never_changes =
    1 << 6;  // a namespace's ANAGRPID while attached
}  // namespace anacap_bit

// Power State Descriptor. All zero: maximum power and the rest are not reported.
struct PowerStateDescriptor {
  wire_types::U16 max_power;
  std::uint8_t rest[30];
};
static_assert(sizeof(PowerStateDescriptor) == 32);

struct IdentifyControllerPage {
  wire_types::U16 vid;    // 0: we have no PCI vendor identifier and borrow none
  wire_types::U16 ssvid;  // 0
  char sn[20];            // space padded
  char mn[40];            // space padded
  char fr[8];             // space padded
  std::uint8_t rab;
  std::uint8_t ieee[3];  // 0: no OUI
  std::uint8_t cmic;
  std::uint8_t mdts;
  wire_types::U16 cntlid;
  wire_types::U32 ver;
  wire_types::U32 rtd3r;
  wire_types::U32 rtd3e;
  wire_types::U32 oaes;
  wire_types::U32 ctratt;
  wire_types::U16 rrls;
  std::uint8_t reserved102[9];
  std::uint8_t cntrltype;
  std::uint8_t fguid[16];
  wire_types::U16 crdt[3];
  std::uint8_t reserved134[119];
  std::uint8_t nvmsr;
  std::uint8_t vwci;
  std::uint8_t mec;
  wire_types::U16 oacs;
  std::uint8_t acl;
  std::uint8_t aerl;
  std::uint8_t frmw;
  std::uint8_t lpa;
  std::uint8_t elpe;
  std::uint8_t npss;
  std::uint8_t avscc;
  std::uint8_t apsta;
  wire_types::U16 wctemp;
  wire_types::U16 cctemp;
  wire_types::U16 mtfa;
  wire_types::U32 hmpre;
  wire_types::U32 hmmin;
  Counter128 tnvmcap;
  Counter128 unvmcap;
  wire_types::U32 rpmbs;
  wire_types::U16 edstt;
  std::uint8_t dsto;
  std::uint8_t fwug;
  wire_types::U16 kas;
  wire_types::U16 hctma;
  wire_types::U16 mntmt;
  wire_types::U16 mxtmt;
  wire_types::U32 sanicap;
  wire_types::U32 hmminds;
  wire_types::U16 hmmaxd;
  wire_types::U16 nsetidmax;
  wire_types::U16 endgidmax;
  std::uint8_t anatt;
  std::uint8_t anacap;
  wire_types::U32 anagrpmax;
  wire_types::U32 nanagrpid;
  wire_types::U32 pels;
  wire_types::U16 domain_id;
  std::uint8_t reserved358[10];
  Counter128 megcap;
  std::uint8_t reserved384[128];
  std::uint8_t sqes;
  std::uint8_t cqes;
  wire_types::U16 maxcmd;
  wire_types::U32 nn;
  wire_types::U16 oncs;
  wire_types::U16 fuses;
  std::uint8_t fna;
  std::uint8_t vwc;
  wire_types::U16 awun;
  wire_types::U16 awupf;
  std::uint8_t icsvscc;
  std::uint8_t nwpc;
  wire_types::U16 acwu;
  wire_types::U16 cdfs;
  wire_types::U32 sgls;
  wire_types::U32 mnan;
  Counter128 maxdna;
  wire_types::U32 maxcna;
  std::uint8_t reserved564[204];
  char subnqn[nqn_field_bytes];  // NUL padded
  std::uint8_t reserved1024[768];
  wire_types::U32 ioccsz;
  wire_types::U32 iorcsz;
  wire_types::U16 icdoff;
  std::uint8_t fcatt;
  std::uint8_t msdbd;
  wire_types::U16 ofcs;
  std::uint8_t dctype;
  std::uint8_t reserved1807[241];
  PowerStateDescriptor psd[32];
  std::uint8_t vendor_specific[1024];
};
static_assert(sizeof(IdentifyControllerPage) == 4096 && alignof(IdentifyControllerPage) == 1);
static_assert(std::is_trivially_copyable_v<IdentifyControllerPage>);
static_assert(offsetof(IdentifyControllerPage, sn) == 4);
static_assert(offsetof(IdentifyControllerPage, mn) == 24);
static_assert(offsetof(IdentifyControllerPage, fr) == 64);
static_assert(offsetof(IdentifyControllerPage, cmic) == 76);
static_assert(offsetof(IdentifyControllerPage, mdts) == 77);
static_assert(offsetof(IdentifyControllerPage, cntlid) == 78);
static_assert(offsetof(IdentifyControllerPage, ver) == 80);
static_assert(offsetof(IdentifyControllerPage, oaes) == 92);
static_assert(offsetof(IdentifyControllerPage, ctratt) == 96);
static_assert(offsetof(IdentifyControllerPage, cntrltype) == 111);
static_assert(offsetof(IdentifyControllerPage, oacs) == 256);
static_assert(offsetof(IdentifyControllerPage, acl) == 258);
static_assert(offsetof(IdentifyControllerPage, aerl) == 259);
static_assert(offsetof(IdentifyControllerPage, frmw) == 260);
static_assert(offsetof(IdentifyControllerPage, lpa) == 261);
static_assert(offsetof(IdentifyControllerPage, elpe) == 262);
static_assert(offsetof(IdentifyControllerPage, wctemp) == 266);
static_assert(offsetof(IdentifyControllerPage, kas) == 320);
static_assert(offsetof(IdentifyControllerPage, anatt) == 342);
static_assert(offsetof(IdentifyControllerPage, anacap) == 343);
static_assert(offsetof(IdentifyControllerPage, anagrpmax) == 344);
static_assert(offsetof(IdentifyControllerPage, nanagrpid) == 348);
static_assert(offsetof(IdentifyControllerPage, sqes) == 512);
static_assert(offsetof(IdentifyControllerPage, maxcmd) == 514);
static_assert(offsetof(IdentifyControllerPage, nn) == 516);
static_assert(offsetof(IdentifyControllerPage, oncs) == 520);
static_assert(offsetof(IdentifyControllerPage, vwc) == 525);
static_assert(offsetof(IdentifyControllerPage, awun) == 526);
static_assert(offsetof(IdentifyControllerPage, sgls) == 536);
static_assert(offsetof(IdentifyControllerPage, mnan) == 540);
static_assert(offsetof(IdentifyControllerPage, subnqn) == 768);
static_assert(offsetof(IdentifyControllerPage, ioccsz) == 1792);
static_assert(offsetof(IdentifyControllerPage, ofcs) == 1804);
static_assert(offsetof(IdentifyControllerPage, dctype) == 1806);
static_assert(offsetof(IdentifyControllerPage, psd) == 2048);
static_assert(offsetof(IdentifyControllerPage, vendor_specific) == 3072);

// What differs between controllers; the builder sets the rest. Counts and sizes are honest.
struct ControllerIdentity {
  ControllerType type = ControllerType::io;
  std::string_view serial_number{};      // at most 20 characters
  std::string_view model_number{};       // at most 40
  std::string_view firmware_revision{};  // at most 8
  std::string_view subsystem_nqn{};
  ControllerId controller{};
  std::uint32_t version = version_2_1;
  engine::ByteCount max_transfer =
      engine::operator""_MiB(1);  // power of two, at least 4 KiB; 0 is no limit
  engine::ByteCount in_capsule_data = engine::operator""_KiB(8);  // of I/O queues; a multiple of 16
  std::uint16_t max_outstanding_commands = 1024;                  // MAXCMD, a queue
  std::uint32_t abort_limit = 4;                                  // 1..256
  std::uint32_t async_event_limit = 4;                            // 1..256
  std::uint32_t error_log_entries = 64;                           // 1..256
  std::uint16_t keep_alive_granularity_100ms = 1;                 // KAS; not 0
  std::uint16_t warning_temperature_kelvin = 343;
  std::uint16_t critical_temperature_kelvin = 353;
  // Of I/O controllers only; ignored for discovery controllers.
  std::array<std::uint16_t, 3> retry_delays_100ms{};  // CRDT1 to CRDT3
  std::uint32_t highest_namespace = 1024;             // NN: NSIDs are 1..NN
  std::uint32_t max_namespaces = 1024;                // MNAN, at most NN
  std::uint32_t max_ana_groups = 1024;                // ANAGRPMAX
  std::uint32_t ana_groups = 1024;                    // NANAGRPID
  std::uint8_t ana_transition_seconds = 10;           // ANATT; not 0
  std::uint32_t persistent_log_units = 1;             // PELS, of 64 KiB
  std::uint16_t optional_commands = oncs_bit::compare | oncs_bit::write_uncorrectable |
                                    oncs_bit::dataset_management | oncs_bit::write_zeroes |
                                    oncs_bit::save_and_select | oncs_bit::reservations |
                                    oncs_bit::timestamp | oncs_bit::verify | oncs_bit::copy;
  std::uint8_t ana_capabilities = anacap_bit::optimized | anacap_bit::non_optimized |
                                  anacap_bit::inaccessible | anacap_bit::persistent_loss |
                                  anacap_bit::change | anacap_bit::group_id_never_changes;
};

// Fixed for every controller we present: dynamic model, one SGL descriptor, 128-bit host
// identifiers (CTRATT bit 0), traffic based keep alive (CTRATT bit 6), several ports and
// controllers with ANA (CMIC), log pages with offsets, command effects and, of I/O controllers,
// persistent events (LPA), no volatile write
// cache with Flush of FFFFFFFFh accepted (VWC 6h), no write atomicity beyond one block (AWUN,
// AWUPF, ACWU), write protection of namespaces but no permanent one (NWPC), fused Compare and Write
// (FUSES, of I/O controllers), Disconnect (OFCS).
[[nodiscard]] IdentifyControllerPage build_identify_controller(const ControllerIdentity& identity);

// MDTS, WZSL: 2^n pages of 4 KiB; 0 is no limit. `limit` is rounded down to a power of two.
[[nodiscard]] std::uint8_t transfer_limit_log2(engine::ByteCount limit);

// CNS 06h, CSI 00h. Each field 0 is "no limit".
struct IdentifyNvmControllerPage {
  std::uint8_t vsl;       // Verify, 2^n pages of 4 KiB
  std::uint8_t wzsl;      // Write Zeroes, 2^n pages of 4 KiB
  std::uint8_t wusl;      // Write Uncorrectable: none, what NLB can say is done
  std::uint8_t dmrl;      // Dataset Management: ranges a command
  wire_types::U32 dmrsl;  // blocks a range
  wire_types::U64 dmsl;   // blocks a command
  std::uint8_t reserved16[4080];
};
static_assert(sizeof(IdentifyNvmControllerPage) == 4096 && alignof(IdentifyNvmControllerPage) == 1);
static_assert(offsetof(IdentifyNvmControllerPage, wzsl) == 1);
static_assert(offsetof(IdentifyNvmControllerPage, dmrl) == 3);
static_assert(offsetof(IdentifyNvmControllerPage, dmrsl) == 4);
static_assert(offsetof(IdentifyNvmControllerPage, dmsl) == 8);

struct NvmCommandLimits {
  engine::ByteCount verify{};        // 0 is no limit, else a power of two of at least 4 KiB
  engine::ByteCount write_zeroes{};  // the same
  std::uint32_t dataset_ranges =
      256;  // DMRL; 256 is every list there can be, and is sent as "no limit"
  std::uint32_t dataset_range_blocks = 0;  // DMRSL
  std::uint64_t dataset_total_blocks = 0;  // DMSL
};
[[nodiscard]] IdentifyNvmControllerPage build_identify_nvm_controller(
    const NvmCommandLimits& limits);

}  // namespace protocol::nvme
