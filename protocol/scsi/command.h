// SCSI commands, parsed from a CDB into a closed variant (SPC-4, SPC-5, SBC-3, SBC-4). Counts are
// honest here: "0 means 256" and the like end in this file. What is known and which bits of it may
// be set stands in one table (command_table.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "engine/foundation/units.h"
#include "protocol/scsi/sense.h"

namespace protocol::scsi {

inline constexpr std::size_t cdb_bytes = 16;  // shorter ones are padded with what is not looked at
using Cdb = std::span<const std::byte, cdb_bytes>;

// A count of 0 is no error where the standard says so: nothing is transferred. Nothing says yet
// that the blocks exist.
struct BlockRange {
  engine::Lba first{};
  engine::BlockCount count{};
  friend constexpr bool operator==(BlockRange, BlockRange) = default;
};

// BYTCHK (SBC-4, VERIFY): what blocks are compared with. 2h is reserved.
enum class ByteCheck : std::uint8_t {
  none = 0,         // the medium alone is checked; no data comes from the host
  each_block = 1,   // as many blocks come from the host
  single_block = 3  // one block comes, and every block is compared with it; VERIFY only
};

// DPO is a hint and has no effect: it is accepted, and not kept.
struct Read {
  BlockRange blocks{};
  bool force_unit_access = false;
};
struct Write {
  BlockRange blocks{};
  bool force_unit_access = false;
};
struct WriteAndVerify {
  BlockRange blocks{};
  ByteCheck check = ByteCheck::none;  // none or each_block
};
struct Verify {
  BlockRange blocks{};
  ByteCheck check = ByteCheck::none;
};
// All of it or nothing, whatever happens; no boundary inside (ATOMIC BOUNDARY 0).
struct WriteAtomic {
  BlockRange blocks{};
  bool force_unit_access = false;
};
// The data from the host: `blocks.count` blocks to compare with, then as many to write.
struct CompareAndWrite {
  BlockRange blocks{};
  bool force_unit_access = false;
};
// The blocks become what they were OR the data.
struct OrWrite {
  BlockRange blocks{};
  bool force_unit_access = false;
};
// `blocks.count` 0: to the end of the unit.
struct Prefetch {
  BlockRange blocks{};
  bool immediate = false;
};
struct SynchronizeCache {
  BlockRange blocks{};
  bool immediate = false;
};
// One block from the host into every block of the range; `blocks.count` 0: to the end of the unit,
// which is refused where WSNZ says so.
struct WriteSame {
  BlockRange blocks{};
  bool unmap = false;
  bool no_data_out = false;  // NDOB: no data comes from the host, the block is zeros
  bool ten_byte_cdb = false;
};
struct Unmap {
  std::uint32_t parameter_bytes = 0;  // parse_unmap_list (unmap.h)
};
struct GetLbaStatus {
  engine::Lba first{};
  std::uint32_t allocation_bytes = 0;
};
struct ReadCapacity10 {};
struct ReadCapacity16 {
  std::uint32_t allocation_bytes = 0;
};
struct ReadDefectData {
  bool twelve_byte_cdb = false;
  bool primary_list = false;      // REQ_PLIST
  bool grown_list = false;        // REQ_GLIST
  std::uint8_t format = 0;        // DEFECT LIST FORMAT
  std::uint32_t first_index = 0;  // ADDRESS DESCRIPTOR INDEX, of the 12-byte CDB
  std::uint32_t allocation_bytes = 0;
};

struct TestUnitReady {};
struct RequestSense {
  bool descriptor_format = false;  // DESC
  std::uint32_t allocation_bytes = 0;
};
struct Inquiry {
  bool vital_product_data = false;  // EVPD
  std::uint8_t page = 0;            // 0 without EVPD
  std::uint32_t allocation_bytes = 0;
};
// SELECT REPORT; the enumerators are all that is served.
struct ReportLuns {
  enum class Select : std::uint8_t {
    addressable = 0x00,  // all but well-known units
    well_known = 0x01,
    all = 0x02,
    administrative = 0x10,      // administrative units: there are none
    administrative_all = 0x11,  // the addressable, if there is an administrative unit
    subsidiary = 0x12,          // those of this unit: there are none
  };
  Select select = Select::addressable;
  std::uint32_t allocation_bytes = 0;
};
// PC of MODE SENSE and LOG SENSE share no meaning; this is MODE SENSE's.
enum class ModePageControl : std::uint8_t { current = 0, changeable = 1, defaults = 2, saved = 3 };
struct ModeSense {
  bool ten_byte_cdb = false;
  bool block_descriptor = true;    // not DBD
  bool long_lba_accepted = false;  // LLBAA
  ModePageControl control = ModePageControl::current;
  std::uint8_t page = 0;     // 3Fh: all
  std::uint8_t subpage = 0;  // FFh: all
  std::uint32_t allocation_bytes = 0;
};
struct ModeSelect {
  bool ten_byte_cdb = false;
  bool page_format = false;           // PF
  std::uint32_t parameter_bytes = 0;  // parse_mode_select (mode_page.h)
};
// Power conditions and LOEJ are refused: there is no medium to eject, and nothing to put to sleep.
struct StartStopUnit {
  bool immediate = false;
  bool start = false;
  bool no_flush = false;
};
struct PreventAllowMediumRemoval {
  bool prevent = false;
};
struct ReportSupportedOpcodes {
  // REPORTING OPTIONS.
  enum class Options : std::uint8_t {
    all = 0,
    one_opcode = 1,          // which must have no service actions
    one_service_action = 2,  // of an opcode that must have them
    one_either = 3,
  };
  bool timeouts = false;  // RCTD
  Options options = Options::all;
  std::uint8_t opcode = 0;
  std::uint16_t service_action = 0;
  std::uint32_t allocation_bytes = 0;
};
struct ReportSupportedTaskManagement {
  bool extended = false;  // REPD
  std::uint32_t allocation_bytes = 0;
};
struct LogSense {
  // PC; thresholds are answered as cumulative values where a page has no thresholds.
  enum class Control : std::uint8_t {
    threshold = 0,
    cumulative = 1,
    default_threshold = 2,
    default_cumulative = 3
  };
  Control control = Control::cumulative;
  std::uint8_t page = 0;
  std::uint8_t subpage = 0;  // FFh of page 00h and 3Fh
  std::uint16_t first_parameter = 0;
  std::uint32_t allocation_bytes = 0;
};
// The default self-test, or none; there are no diagnostic pages and no other self-tests.
struct SendDiagnostic {
  bool self_test = false;  // SELFTEST
};
inline constexpr std::uint16_t echo_buffer_bytes = 4096;  // at most 8191 (SPC-4, BUFFER CAPACITY)
// Of buffers only the echo buffer is there.
struct ReadBuffer {
  // MODE; the enumerators are all that is served.
  enum class Mode : std::uint8_t {
    descriptor = 0x03,  // of data buffers, of which there are none
    echo = 0x0a,
    echo_descriptor = 0x0b,
  };
  Mode mode = Mode::descriptor;
  std::uint32_t allocation_bytes = 0;
};
// MODE 0Ah: into the echo buffer.
struct WriteBuffer {
  std::uint32_t parameter_bytes = 0;  // at most echo_buffer_bytes
};
// Of SPC-2: the whole unit, for the nexus that asks. The 6 and 10 byte CDBs mean the same.
struct ReserveUnit {};
struct ReleaseUnit {};

struct PersistentReserveIn {
  enum class Action : std::uint8_t {
    read_keys = 0,
    read_reservation = 1,
    report_capabilities = 2,
    read_full_status = 3,
  };
  Action action = Action::read_keys;
  std::uint32_t allocation_bytes = 0;
};
struct PersistentReserveOut {
  enum class Action : std::uint8_t {
    register_key = 0,
    reserve = 1,
    release = 2,
    clear = 3,
    preempt = 4,
    preempt_and_abort = 5,
    register_and_ignore_existing_key = 6,
    register_and_move = 7,
  };
  Action action = Action::register_key;
  // TYPE: one of the standard's (1, 3, 5..8) where the action has one, else 0. Scope is the unit.
  std::uint8_t type = 0;
  std::uint32_t parameter_bytes = 0;  // parse_reserve_out_parameters (persistent_reservation.h)
};
struct ReportTargetPortGroups {
  bool extended_header = false;  // PARAMETER DATA FORMAT 001b
  std::uint32_t allocation_bytes = 0;
};
struct SetTargetPortGroups {
  std::uint32_t parameter_bytes = 0;  // parse_set_target_port_groups (target_port_group.h)
};
// LID1.
struct ExtendedCopy {
  std::uint32_t parameter_bytes = 0;  // parse_extended_copy (extended_copy.h)
};
struct ReceiveCopyResults {
  enum class Action : std::uint8_t {
    copy_status = 0,
    operating_parameters = 3,
    failed_segment_details = 4,
  };
  Action action = Action::copy_status;
  std::uint8_t list_id = 0;
  std::uint32_t allocation_bytes = 0;
};

using Command =
    std::variant<Read, Write, WriteAndVerify, Verify, WriteAtomic, CompareAndWrite, OrWrite,
                 Prefetch, SynchronizeCache, WriteSame, Unmap, GetLbaStatus, ReadCapacity10,
                 ReadCapacity16, ReadDefectData, TestUnitReady, RequestSense, Inquiry, ReportLuns,
                 ModeSense, ModeSelect, StartStopUnit, PreventAllowMediumRemoval,
                 ReportSupportedOpcodes, ReportSupportedTaskManagement, LogSense, SendDiagnostic,
                 ReadBuffer, WriteBuffer, ReserveUnit, ReleaseUnit, PersistentReserveIn,
                 PersistentReserveOut, ReportTargetPortGroups, SetTargetPortGroups, ExtendedCopy,
                 ReceiveCopyResults>;

// What a logical unit offers beyond what every one does. Commands that it does not offer are
// unknown to it, and not reported.
struct UnitFeatures {
  bool unmap = true;         // UNMAP; the UNMAP bit of WRITE SAME is its executor's
  bool write_atomic = true;  // WRITE ATOMIC (16)
  bool copy = true;          // EXTENDED COPY, RECEIVE COPY RESULTS
  friend constexpr bool operator==(UnitFeatures, UnitFeatures) = default;
};

// Errors: invalid_opcode (20/00: unknown, or not offered; for an unknown service action of a known
// opcode invalid_field_in_cdb, pointing at it); invalid_field_in_cdb (24/00) with a pointer to the
// highest bit that must not be set, be it reserved, obsolete or not supported (NACA, protection
// information, ANCHOR, saved pages); or to the field whose value is not served.
[[nodiscard]] Parsed<Command> parse_command(Cdb cdb, const UnitFeatures& features);

}  // namespace protocol::scsi
