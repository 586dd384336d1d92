#include "protocol/nvme/status.h"

namespace protocol::nvme {

namespace {

struct Named {
  Status status;
  std::string_view name;
};

// Fabrics names win over those of the NVM command set where codes overlap (1h/80h..82h): the caller
// that logs an I/O refusal of these three knows what it refused.
constexpr Named names[] = {
    {status::success, "Success"},
    {status::invalid_opcode, "Invalid Command Opcode"},
    {status::invalid_field, "Invalid Field in Command"},
    {status::command_id_conflict, "Command ID Conflict"},
    {status::data_transfer_error, "Data Transfer Error"},
    {status::internal_error, "Internal Error"},
    {status::abort_requested, "Command Abort Requested"},
    {status::aborted_queue_deleted, "Command Aborted due to SQ Deletion"},
    {status::aborted_failed_fused, "Command Aborted due to Failed Fused Command"},
    {status::aborted_missing_fused, "Command Aborted due to Missing Fused Command"},
    {status::invalid_namespace, "Invalid Namespace or Format"},
    {status::command_sequence_error, "Command Sequence Error"},
    {status::invalid_sgl_segment_descriptor, "Invalid SGL Segment Descriptor"},
    {status::invalid_number_of_sgl_descriptors, "Invalid Number of SGL Descriptors"},
    {status::data_sgl_length_invalid, "Data SGL Length Invalid"},
    {status::metadata_sgl_length_invalid, "Metadata SGL Length Invalid"},
    {status::sgl_descriptor_type_invalid, "SGL Descriptor Type Invalid"},
    {status::operation_denied, "Operation Denied"},
    {status::sgl_offset_invalid, "SGL Offset Invalid"},
    {status::host_identifier_inconsistent, "Host Identifier Inconsistent Format"},
    {status::keep_alive_expired, "Keep Alive Timer Expired"},
    {status::keep_alive_invalid, "Keep Alive Timeout Invalid"},
    {status::aborted_preempted, "Command Aborted due to Preempt and Abort"},
    {status::sgl_granularity_invalid, "SGL Data Block Granularity Invalid"},
    {status::namespace_write_protected, "Namespace is Write Protected"},
    {status::command_interrupted, "Command Interrupted"},
    {status::transient_transport_error, "Transient Transport Error"},
    {status::admin_media_not_ready, "Admin Command Media Not Ready"},
    {status::lba_out_of_range, "LBA Out of Range"},
    {status::capacity_exceeded, "Capacity Exceeded"},
    {status::namespace_not_ready, "Namespace Not Ready"},
    {status::reservation_conflict, "Reservation Conflict"},
    {status::format_in_progress, "Format In Progress"},
    {status::invalid_queue_identifier, "Invalid Queue Identifier"},
    {status::invalid_queue_size, "Invalid Queue Size"},
    {status::abort_limit_exceeded, "Abort Command Limit Exceeded"},
    {status::async_event_limit_exceeded, "Asynchronous Event Request Limit Exceeded"},
    {status::invalid_log_page, "Invalid Log Page"},
    {status::invalid_format, "Invalid Format"},
    {status::feature_not_saveable, "Feature Identifier Not Saveable"},
    {status::feature_not_changeable, "Feature Not Changeable"},
    {status::feature_not_namespace_specific, "Feature Not Namespace Specific"},
    {status::invalid_controller_identifier, "Invalid Controller Identifier"},
    {status::command_set_not_supported, "I/O Command Set Not Supported"},
    {status::command_set_not_enabled, "I/O Command Set Not Enabled"},
    {status::command_set_combination_rejected, "I/O Command Set Combination Rejected"},
    {status::invalid_command_set, "Invalid I/O Command Set"},
    {status::connect_incompatible_format, "Incompatible Format"},
    {status::connect_controller_busy, "Controller Busy"},
    {status::connect_invalid_parameters, "Connect Invalid Parameters"},
    {status::connect_restart_discovery, "Connect Restart Discovery"},
    {status::connect_invalid_host, "Connect Invalid Host"},
    {status::invalid_queue_type, "Invalid Queue Type"},
    {status::discover_restart, "Discover Restart"},
    {status::authentication_required, "Authentication Required"},
    {status::write_fault, "Write Fault"},
    {status::unrecovered_read_error, "Unrecovered Read Error"},
    {status::compare_failure, "Compare Failure"},
    {status::access_denied, "Access Denied"},
    {status::deallocated_or_unwritten, "Deallocated or Unwritten Logical Block"},
    {status::internal_path_error, "Internal Path Error"},
    {status::ana_persistent_loss, "Asymmetric Access Persistent Loss"},
    {status::ana_inaccessible, "Asymmetric Access Inaccessible"},
    {status::ana_transition, "Asymmetric Access Transition"},
    {status::controller_pathing_error, "Controller Pathing Error"},
    {status::aborted_by_host, "Command Aborted By Host"},
};

}  // namespace

std::string_view name_of(Status status) {
  for (const auto& named : names) {
    if (named.status.is(status)) return named.name;
  }
  return {};
}

}  // namespace protocol::nvme
