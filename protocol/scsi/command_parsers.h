// One parser for each shape of CDB; command_table.cpp says which commands they are for. Each is
// given a CDB in which no bit is set that must not be; what is left to check are values of fields.
#pragma once

#include "protocol/scsi/command.h"

namespace protocol::scsi::parsers {

// Numbers are CDB lengths.
Parsed<Command> read_6(Cdb cdb);
Parsed<Command> read_10(Cdb cdb);
Parsed<Command> read_12(Cdb cdb);
Parsed<Command> read_16(Cdb cdb);
Parsed<Command> write_6(Cdb cdb);
Parsed<Command> write_10(Cdb cdb);
Parsed<Command> write_12(Cdb cdb);
Parsed<Command> write_16(Cdb cdb);
Parsed<Command> write_and_verify_10(Cdb cdb);
Parsed<Command> write_and_verify_12(Cdb cdb);
Parsed<Command> write_and_verify_16(Cdb cdb);
Parsed<Command> verify_10(Cdb cdb);
Parsed<Command> verify_12(Cdb cdb);
Parsed<Command> verify_16(Cdb cdb);
Parsed<Command> write_atomic_16(Cdb cdb);
Parsed<Command> compare_and_write(Cdb cdb);
Parsed<Command> or_write_16(Cdb cdb);
Parsed<Command> prefetch_10(Cdb cdb);
Parsed<Command> prefetch_16(Cdb cdb);
Parsed<Command> synchronize_cache_10(Cdb cdb);
Parsed<Command> synchronize_cache_16(Cdb cdb);
Parsed<Command> write_same_10(Cdb cdb);
Parsed<Command> write_same_16(Cdb cdb);
Parsed<Command> unmap(Cdb cdb);
Parsed<Command> get_lba_status(Cdb cdb);
Parsed<Command> read_capacity_10(Cdb cdb);
Parsed<Command> read_capacity_16(Cdb cdb);
Parsed<Command> read_defect_data_10(Cdb cdb);
Parsed<Command> read_defect_data_12(Cdb cdb);

Parsed<Command> test_unit_ready(Cdb cdb);
Parsed<Command> request_sense(Cdb cdb);
Parsed<Command> inquiry(Cdb cdb);
Parsed<Command> report_luns(Cdb cdb);
Parsed<Command> mode_sense_6(Cdb cdb);
Parsed<Command> mode_sense_10(Cdb cdb);
Parsed<Command> mode_select_6(Cdb cdb);
Parsed<Command> mode_select_10(Cdb cdb);
Parsed<Command> start_stop_unit(Cdb cdb);
Parsed<Command> prevent_allow(Cdb cdb);
Parsed<Command> report_supported_opcodes(Cdb cdb);
Parsed<Command> report_supported_task_management(Cdb cdb);
Parsed<Command> log_sense(Cdb cdb);
Parsed<Command> send_diagnostic(Cdb cdb);
Parsed<Command> read_buffer_10(Cdb cdb);
Parsed<Command> write_buffer(Cdb cdb);
Parsed<Command> reserve_unit(Cdb cdb);
Parsed<Command> release_unit(Cdb cdb);
Parsed<Command> persistent_reserve_in(Cdb cdb);
Parsed<Command> persistent_reserve_out(Cdb cdb);
Parsed<Command> report_target_port_groups(Cdb cdb);
Parsed<Command> set_target_port_groups(Cdb cdb);
Parsed<Command> extended_copy(Cdb cdb);
Parsed<Command> receive_copy_results(Cdb cdb);

}  // namespace protocol::scsi::parsers
