#include "protocol/nvme/admin_command.h"

namespace protocol::nvme {

namespace {

Parsed<AdminCommand> parse_get_log_page(const SubmissionEntry& entry) {
  TRY(auto data, parse_data_pointer(entry, TransferDirection::controller_to_host));
  const std::uint32_t cdw10 = entry.cdw10;
  const std::uint32_t cdw11 = entry.cdw11;
  const std::uint32_t cdw14 = entry.cdw14;
  const std::uint64_t dwords = ((std::uint64_t{cdw11 & 0xffffu} << 16) | (cdw10 >> 16)) + 1;
  const GetLogPage command{
      .nsid = {entry.nsid},
      .log_id = static_cast<std::uint8_t>(cdw10),
      .log_specific = static_cast<std::uint8_t>((cdw10 >> 8) & 0x7fu),
      .retain_async_event = (cdw10 & 0x8000u) != 0,
      .length = {dwords * 4},
      .offset = entry.cdw12.value() | (std::uint64_t{entry.cdw13.value()} << 32),
      .offset_is_index = ((cdw14 >> 23) & 1u) != 0,
      .log_specific_id = static_cast<std::uint16_t>(cdw11 >> 16),
      .uuid_index = static_cast<std::uint8_t>(cdw14 & 0x7fu),
      .command_set = static_cast<std::uint8_t>(cdw14 >> 24),
      .data = data,
  };
  if (!command.offset_is_index && (command.offset & 3u) != 0) {
    return Refusal{status::invalid_field, at_dword(12)};
  }
  TRY(check_data_length(data, command.length));
  return AdminCommand{command};
}

Parsed<AdminCommand> parse_identify(const SubmissionEntry& entry) {
  TRY(auto data, parse_data_pointer(entry, TransferDirection::controller_to_host));
  TRY(check_data_length(data, {identify_page_bytes}));
  const std::uint32_t cdw10 = entry.cdw10;
  const std::uint32_t cdw11 = entry.cdw11;
  return AdminCommand{Identify{.nsid = {entry.nsid},
                               .cns = static_cast<std::uint8_t>(cdw10),
                               .controller = {static_cast<std::uint16_t>(cdw10 >> 16)},
                               .cns_specific_id = static_cast<std::uint16_t>(cdw11),
                               .command_set = static_cast<std::uint8_t>(cdw11 >> 24),
                               .uuid_index = static_cast<std::uint8_t>(entry.cdw14 & 0x7fu),
                               .data = data}};
}

Parsed<AdminCommand> parse_set_features(const SubmissionEntry& entry) {
  SetFeatures command{.nsid = {entry.nsid},
                      .feature_id = static_cast<std::uint8_t>(entry.cdw10 & 0xffu),
                      .save = (entry.cdw10 >> 31) != 0,
                      .dword11 = entry.cdw11,
                      .dword12 = entry.cdw12,
                      .dword13 = entry.cdw13,
                      .dword14 = entry.cdw14,
                      .dword15 = entry.cdw15,
                      .data = std::nullopt};
  if (const auto bytes = feature_data_bytes(command.feature_id, command.dword11);
      bytes.value != 0) {
    TRY(auto data, parse_data_pointer(entry, TransferDirection::host_to_controller));
    TRY(check_data_length(data, bytes));
    command.data = data;
  }
  return AdminCommand{command};
}

Parsed<AdminCommand> parse_get_features(const SubmissionEntry& entry) {
  const unsigned select = (entry.cdw10 >> 8) & 7u;
  if (select > static_cast<unsigned>(FeatureSelect::capabilities)) {
    return Refusal{status::invalid_field, at_dword(10, 8)};
  }
  GetFeatures command{.nsid = {entry.nsid},
                      .feature_id = static_cast<std::uint8_t>(entry.cdw10 & 0xffu),
                      .select = static_cast<FeatureSelect>(select),
                      .dword11 = entry.cdw11,
                      .uuid_index = static_cast<std::uint8_t>(entry.cdw14 & 0x7fu),
                      .data = std::nullopt};
  const auto bytes = feature_data_bytes(command.feature_id, command.dword11);
  if (bytes.value != 0 && command.select != FeatureSelect::capabilities) {
    TRY(auto data, parse_data_pointer(entry, TransferDirection::controller_to_host));
    TRY(check_data_length(data, bytes));
    command.data = data;
  }
  return AdminCommand{command};
}

Parsed<AdminCommand> parse_get_lba_status(const SubmissionEntry& entry) {
  const auto action = static_cast<LbaStatusAction>(entry.cdw13 >> 24);
  switch (action) {
    case LbaStatusAction::allocated:
    case LbaStatusAction::scan:
    case LbaStatusAction::tracked:
      break;
    default:
      return Refusal{status::invalid_field, at_dword(13, 24)};
  }
  const GetLbaStatus command{
      .nsid = {entry.nsid},
      .first = {entry.cdw10.value() | (std::uint64_t{entry.cdw11.value()} << 32)},
      .blocks = {entry.cdw13 & 0xffffu},
      .action = action,
      .length = {(std::uint64_t{entry.cdw12.value()} + 1) * 4},
      .data = {}};
  TRY(auto data, parse_data_pointer(entry, TransferDirection::controller_to_host));
  TRY(check_data_length(data, command.length));
  GetLbaStatus whole = command;
  whole.data = data;
  return AdminCommand{whole};
}

Parsed<AdminCommand> parse_format(const SubmissionEntry& entry) {
  const std::uint32_t fields = entry.cdw10;
  const auto erase = static_cast<SecureErase>((fields >> 9) & 0x7u);
  if (erase > SecureErase::cryptographic) return Refusal{status::invalid_field, at_dword(10, 9)};
  return AdminCommand{
      FormatNvm{.nsid = {entry.nsid},
                .lba_format = static_cast<std::uint8_t>((fields & 0xfu) | ((fields >> 8) & 0x30u)),
                .protection = static_cast<std::uint8_t>((fields >> 5) & 0x7u),
                .erase = erase}};
}

}  // namespace

Parsed<AdminCommand> parse_admin_command(const SubmissionEntry& entry) {
  const auto opcode = static_cast<AdminOpcode>(entry.opcode);
  switch (opcode) {
    case AdminOpcode::get_log_page:
    case AdminOpcode::identify:
    case AdminOpcode::abort:
    case AdminOpcode::set_features:
    case AdminOpcode::get_features:
    case AdminOpcode::async_event_request:
    case AdminOpcode::keep_alive:
    case AdminOpcode::get_lba_status:
    case AdminOpcode::format_nvm:
      if (entry.fuse() != 0) return Refusal{status::invalid_field, at_byte(1)};
      break;
  }
  switch (opcode) {
    case AdminOpcode::get_log_page:
      return parse_get_log_page(entry);
    case AdminOpcode::identify:
      return parse_identify(entry);
    case AdminOpcode::abort:
      return AdminCommand{Abort{.queue_id = static_cast<std::uint16_t>(entry.cdw10 & 0xffffu),
                                .command_id = static_cast<std::uint16_t>(entry.cdw10 >> 16)}};
    case AdminOpcode::set_features:
      return parse_set_features(entry);
    case AdminOpcode::get_features:
      return parse_get_features(entry);
    case AdminOpcode::async_event_request:
      return AdminCommand{AsyncEventRequest{}};
    case AdminOpcode::keep_alive:
      return AdminCommand{KeepAlive{}};
    case AdminOpcode::get_lba_status:
      return parse_get_lba_status(entry);
    case AdminOpcode::format_nvm:
      return parse_format(entry);
  }
  return Refusal{status::invalid_opcode, at_byte(0)};
}

const char* admin_opcode_name(std::uint8_t opcode) {
  switch (static_cast<AdminOpcode>(opcode)) {
    case AdminOpcode::get_log_page:
      return "get log page";
    case AdminOpcode::identify:
      return "identify";
    case AdminOpcode::abort:
      return "abort";
    case AdminOpcode::set_features:
      return "set features";
    case AdminOpcode::get_features:
      return "get features";
    case AdminOpcode::async_event_request:
      return "async event request";
    case AdminOpcode::keep_alive:
      return "keep alive";
    case AdminOpcode::get_lba_status:
      return "get lba status";
    case AdminOpcode::format_nvm:
      return "format nvm";
  }
  return "unknown";
}

}  // namespace protocol::nvme
