// SCSI commands as iSCSI tasks: CDBs by SPC-5 and SBC-4. Blocks of data are the caller's.
#pragma once

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

}  // namespace client::scsi
