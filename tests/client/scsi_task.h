// SCSI commands as iSCSI tasks: CDBs by SPC-5 and SBC-4. Blocks of data are the caller's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/client/iscsi_session.h"

namespace client::scsi {

using iscsi::Task;

[[nodiscard]] Task test_unit_ready();
[[nodiscard]] Task inquiry(std::uint16_t bytes = 255);
[[nodiscard]] Task vital_product_data(std::uint8_t page, std::uint16_t bytes = 1024);
[[nodiscard]] Task report_luns(std::uint32_t bytes = 4096);
[[nodiscard]] Task read_capacity_16();
[[nodiscard]] Task request_sense();
[[nodiscard]] Task mode_sense_10(std::uint8_t page, std::uint8_t subpage = 0);
[[nodiscard]] Task synchronize_cache();

// READ(16) and WRITE(16).
[[nodiscard]] Task read(std::uint64_t lba, std::uint32_t blocks, std::uint32_t block_bytes);
[[nodiscard]] Task write(std::uint64_t lba, Bytes data, std::uint32_t block_bytes);
// `data`: the blocks to compare with, then those to write, as many.
[[nodiscard]] Task compare_and_write(std::uint64_t lba, Bytes data, std::uint32_t block_bytes);
[[nodiscard]] Task unmap(std::uint64_t lba, std::uint32_t blocks);
[[nodiscard]] Task write_same(std::uint64_t lba, std::uint32_t blocks, Bytes block,
                              bool unmap = false);

// PERSISTENT RESERVE IN: service action 0 keys, 1 reservation, 2 capabilities, 3 full status.
[[nodiscard]] Task reservation_report(std::uint8_t action, std::uint16_t bytes = 1024);
// PERSISTENT RESERVE OUT with the basic parameter list; `scope_type`: the type, scope 0.
[[nodiscard]] Task reserve(std::uint8_t action, std::uint8_t type, std::uint64_t key,
                           std::uint64_t action_key, bool through_power_loss = false);
// REGISTER of `new_key` for the caller's own nexus, which has none, and with SPEC_I_PT for the
// initiator ports (ISID) or devices (none) named; ALL_TG_PT: by every target port.
struct NamedInitiator {
  std::string name;
  std::optional<std::array<std::uint8_t, 6>> isid = std::nullopt;
};
[[nodiscard]] Task register_for(std::uint64_t new_key, const std::vector<NamedInitiator>& others,
                                bool all_target_ports, bool through_power_loss = false);

// RECEIVE COPY RESULTS: service action 0 copy status, 3 operating parameters, 4 failed segments.
[[nodiscard]] Task copy_results(std::uint8_t action, std::uint8_t list_id = 0,
                                std::uint32_t bytes = 255);
// EXTENDED COPY (LID1) of one segment, block device to block device, as sg_xcopy sends it.
struct CopyUnit {
  Bytes designator;  // with its header of 4 bytes, as page 83h has it
  std::uint32_t block_bytes = 0;
  std::uint64_t first = 0;
};
[[nodiscard]] Task extended_copy(const CopyUnit& from, const CopyUnit& to, std::uint16_t blocks,
                                 bool counts_destination = false);

}  // namespace client::scsi
