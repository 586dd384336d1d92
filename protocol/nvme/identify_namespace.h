// What a host learns of one namespace: CNS 00h (NVM), 05h (NVM, by command set) and 08h
// (independent of it).
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "engine/foundation/units.h"
#include "protocol/nvme/counter128.h"
#include "protocol/nvme/entries.h"
#include "protocol/nvme/identity.h"

namespace protocol::nvme {

struct LbaFormat {
  wire_types::U16 metadata_bytes;
  std::uint8_t data_log2;             // LBADS: 9 or 12
  std::uint8_t relative_performance;  // 0 is best
};
static_assert(sizeof(LbaFormat) == 4);

// CNS 00h (NVM Command Set 1.1, "Identify Namespace data structure").
struct IdentifyNamespacePage {
  wire_types::U64 nsze;
  wire_types::U64 ncap;
  wire_types::U64 nuse;
  std::uint8_t nsfeat;
  std::uint8_t nlbaf;
  std::uint8_t flbas;
  std::uint8_t mc;
  std::uint8_t dpc;
  std::uint8_t dps;
  std::uint8_t nmic;
  std::uint8_t rescap;
  std::uint8_t fpi;
  std::uint8_t dlfeat;
  wire_types::U16 nawun;
  wire_types::U16 nawupf;
  wire_types::U16 nacwu;
  wire_types::U16 nabsn;
  wire_types::U16 nabo;
  wire_types::U16 nabspf;
  wire_types::U16 noiob;
  Counter128 nvmcap;
  wire_types::U16 npwg;
  wire_types::U16 npwa;
  wire_types::U16 npdg;
  wire_types::U16 npda;
  wire_types::U16 nows;
  wire_types::U16 mssrl;
  wire_types::U32 mcl;
  std::uint8_t msrc;
  std::uint8_t kpios;
  std::uint8_t nulbaf;
  std::uint8_t reserved83;
  wire_types::U32 kpiodaag;
  std::uint8_t reserved88[4];
  wire_types::U32 anagrpid;
  std::uint8_t reserved96[3];
  std::uint8_t nsattr;
  wire_types::U16 nvmsetid;
  wire_types::U16 endgid;
  std::uint8_t nguid[16];
  std::uint8_t eui64[8];
  LbaFormat lbaf[64];
  std::uint8_t vendor_specific[3712];
};
static_assert(sizeof(IdentifyNamespacePage) == 4096 && alignof(IdentifyNamespacePage) == 1);
static_assert(std::is_trivially_copyable_v<IdentifyNamespacePage>);
static_assert(offsetof(IdentifyNamespacePage, nsfeat) == 24);
static_assert(offsetof(IdentifyNamespacePage, flbas) == 26);
static_assert(offsetof(IdentifyNamespacePage, nmic) == 30);
static_assert(offsetof(IdentifyNamespacePage, rescap) == 31);
static_assert(offsetof(IdentifyNamespacePage, dlfeat) == 33);
static_assert(offsetof(IdentifyNamespacePage, nvmcap) == 48);
static_assert(offsetof(IdentifyNamespacePage, npwg) == 64);
static_assert(offsetof(IdentifyNamespacePage, nows) == 72);
static_assert(offsetof(IdentifyNamespacePage, anagrpid) == 92);
static_assert(offsetof(IdentifyNamespacePage, nsattr) == 99);
static_assert(offsetof(IdentifyNamespacePage, nguid) == 104);
static_assert(offsetof(IdentifyNamespacePage, eui64) == 120);
static_assert(offsetof(IdentifyNamespacePage, lbaf) == 128);
static_assert(offsetof(IdentifyNamespacePage, vendor_specific) == 384);

// Honest counts of blocks; 0 leaves the hint out by reporting one block.
struct IoHints {
  std::uint32_t preferred_write_granularity = 1;       // NPWG, 1..65536
  std::uint32_t preferred_write_alignment = 1;         // NPWA
  std::uint32_t preferred_deallocate_granularity = 1;  // NPDG
  std::uint32_t preferred_deallocate_alignment = 1;    // NPDA
  std::uint32_t optimal_write_size = 1;                // NOWS
};

struct NamespaceIdentity {
  engine::BlockCount size{};  // NSZE and NCAP
  engine::BlockCount used{};  // NUSE: what is allocated, at most `size`
  engine::BlockSize block_size{};
  // LBAF: those that Format NVM may ask for, at most 64; empty: `block_size` alone, which else is
  // among them.
  std::vector<engine::BlockSize> formats{};
  Nguid nguid{};
  std::uint32_t ana_group = 0;           // ANAGRPID
  bool shared = true;                    // NMIC: more than one controller may be attached
  bool write_protected = false;          // NSATTR bit 0
  bool deallocated_reads_zero = true;    // DLFEAT 2:0 = 001b
  bool write_zeroes_deallocates = true;  // DLFEAT bit 3: DEAC is honoured
  bool ready = true;                     // NSTAT.NRDY of CNS 08h
  std::uint8_t format_left_percent = 0;  // FPI: of a format that is under way, what is to do
  // Of Copy: blocks of a source range (MSSRL) and of all of them (MCL), and how many (MSRC).
  std::uint32_t copy_range_blocks = 1;
  std::uint32_t copy_blocks = 1;
  std::uint32_t copy_ranges = 1;
  IoHints hints{};
};
[[nodiscard]] IdentifyNamespacePage build_identify_namespace(const NamespaceIdentity& identity);

// CNS 05h, CSI 00h: no protection information, so nothing but zeros. Still the right answer, not an
// error.
struct IdentifyNvmNamespacePage {
  wire_types::U64 lbstm;
  std::uint8_t pic;
  std::uint8_t reserved9[3];
  wire_types::U32 elbaf[64];
  std::uint8_t reserved268[3828];
};
static_assert(sizeof(IdentifyNvmNamespacePage) == 4096 && alignof(IdentifyNvmNamespacePage) == 1);
static_assert(offsetof(IdentifyNvmNamespacePage, elbaf) == 12);

// CNS 08h (Base 2.1, "I/O Command Set Independent Identify Namespace data structure").
struct IdentifyIndependentNamespacePage {
  std::uint8_t nsfeat;
  std::uint8_t nmic;
  std::uint8_t rescap;
  std::uint8_t fpi;
  wire_types::U32 anagrpid;
  std::uint8_t nsattr;
  std::uint8_t reserved9;
  wire_types::U16 nvmsetid;
  wire_types::U16 endgid;
  std::uint8_t nstat;
  std::uint8_t reserved15[4081];
};
static_assert(sizeof(IdentifyIndependentNamespacePage) == 4096 &&
              alignof(IdentifyIndependentNamespacePage) == 1);
static_assert(offsetof(IdentifyIndependentNamespacePage, anagrpid) == 4);
static_assert(offsetof(IdentifyIndependentNamespacePage, nstat) == 14);
[[nodiscard]] IdentifyIndependentNamespacePage build_identify_independent_namespace(
    const NamespaceIdentity& identity);

}  // namespace protocol::nvme
