// Feeds arbitrary CDBs and their parameter lists to every parser of protocol/scsi: none may read
// behind its bytes, what is accepted must keep the promises of the headers, and answers must end
// where the host's allocation does.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "engine/foundation/check.h"
#include "protocol/scsi/command.h"
#include "protocol/scsi/command_table.h"
#include "protocol/scsi/defect_list.h"
#include "protocol/scsi/extended_copy.h"
#include "protocol/scsi/inquiry.h"
#include "protocol/scsi/lba_status.h"
#include "protocol/scsi/log_page.h"
#include "protocol/scsi/lun.h"
#include "protocol/scsi/mode_page.h"
#include "protocol/scsi/persistent_reservation.h"
#include "protocol/scsi/report_luns.h"
#include "protocol/scsi/supported_opcodes.h"
#include "protocol/scsi/target_port_group.h"
#include "protocol/scsi/unmap.h"
#include "protocol/scsi/vpd.h"

namespace protocol::scsi {
namespace {

using Bytes = std::span<const std::byte>;

void check_refusal(const Sense& sense, std::size_t list_bytes) {
  CHECK(sense.key == SenseKey::illegal_request);
  CHECK(name_of(sense.code) != "unnamed additional sense");
  if (sense.field) {
    CHECK(sense.field->byte <
          (sense.field->in_cdb ? cdb_bytes : std::max<std::size_t>(list_bytes, 8)));
    CHECK(!sense.field->bit || *sense.field->bit < 8);
  }
  for (const auto format : {SenseFormat::fixed, SenseFormat::descriptor}) {
    const auto bytes = encode_sense(sense, format);
    CHECK(bytes.size >= 8 && bytes.size <= max_sense_bytes);
    CHECK(static_cast<std::size_t>(bytes.span()[7]) + 8 == bytes.size);
  }
}

// Puts the answer into an exact heap block, so that ASan sees the first byte behind it.
template <class Put>
void check_answer(std::uint32_t allocation_bytes, const Put& put) {
  const std::size_t room = std::min<std::size_t>(allocation_bytes, 4096);
  const std::unique_ptr<std::byte[]> space(new std::byte[room]);
  Answer answer({space.get(), room});
  put(answer);
  CHECK(answer.written().size() == std::min(answer.full_bytes(), room));
}

struct Check {
  Bytes data;
  UnitFeatures features;

  [[nodiscard]] Bytes list(std::uint32_t parameter_bytes) const {
    return data.first(std::min<std::size_t>(parameter_bytes, data.size()));
  }

  void operator()(const Read& read) const { CHECK(read.blocks.count.value <= 0xffff'ffffu); }
  void operator()(const Write& write) const { CHECK(write.blocks.count.value <= 0xffff'ffffu); }
  void operator()(const WriteAndVerify& write) const {
    CHECK(write.check == ByteCheck::none || write.check == ByteCheck::each_block);
  }
  void operator()(const Verify& verify) const {
    CHECK(verify.check == ByteCheck::none || verify.check == ByteCheck::each_block ||
          verify.check == ByteCheck::single_block);
  }
  void operator()(const WriteAtomic& write) const {
    CHECK(features.write_atomic && write.blocks.count.value <= 0xffffu);
  }
  void operator()(const CompareAndWrite& write) const { CHECK(write.blocks.count.value <= 0xffu); }
  void operator()(const OrWrite&) const {}
  void operator()(const Prefetch&) const {}
  void operator()(const SynchronizeCache&) const {}
  void operator()(const WriteSame& same) const { CHECK(!same.ten_byte_cdb || !same.no_data_out); }
  void operator()(const Unmap& unmap) const {
    CHECK(features.unmap && unmap.parameter_bytes <= 0xffffu);
    constexpr engine::BlockCount most{0x10'0000};
    const auto parsed = parse_unmap_list(list(unmap.parameter_bytes), most);
    if (!parsed) return check_refusal(parsed.error(), data.size());
    CHECK(parsed.value().count <= max_unmap_descriptors);
    std::uint64_t sum = 0;
    for (const auto& range : parsed.value().span()) sum += range.count.value;
    CHECK(sum <= most.value);
  }
  void operator()(const GetLbaStatus& get) const {
    const LbaStatus one{.blocks = {get.first, {1}}};
    check_answer(get.allocation_bytes, [&](Answer& answer) { put_lba_status(answer, {&one, 1}); });
  }
  void operator()(const ReadCapacity10&) const {}
  void operator()(const ReadCapacity16&) const {}
  void operator()(const ReadDefectData& read) const {
    CHECK(read.format < 6);
    check_answer(read.allocation_bytes,
                 [&](Answer& answer) { put_empty_defect_list(answer, read); });
  }
  void operator()(const TestUnitReady&) const {}
  void operator()(const RequestSense& request) const { CHECK(request.allocation_bytes <= 0xff); }
  void operator()(const Inquiry& inquiry) const {
    CHECK(inquiry.vital_product_data || inquiry.page == 0);
    check_answer(inquiry.allocation_bytes, [&](Answer& answer) {
      if (!inquiry.vital_product_data) return put_standard_inquiry(answer, {});
      const UnitPages unit{.features = features, .target_name = "iqn.2026-01.example:a"};
      const bool there = put_vpd_page(answer, inquiry.page, unit);
      CHECK(there == (answer.full_bytes() != 0));
      CHECK(answer.full_bytes() <= max_vpd_page_bytes);
    });
  }
  void operator()(const ReportLuns& report) const {
    const std::size_t count = std::min<std::size_t>(data.size() / 8, 64);
    std::vector<Lun> units;
    for (std::size_t i = 0; i < count; ++i) {
      Lun lun;
      std::memcpy(&lun.field, data.data() + 8 * i, 8);
      if (const auto number = lun.unit_number()) {
        CHECK(*number <= max_unit_number);
        units.push_back(Lun::of_unit(*number));
        CHECK(units.back().unit_number() == number);
      }
    }
    check_answer(report.allocation_bytes, [&](Answer& answer) {
      put_report_luns(answer, report.select, units);
      CHECK(answer.full_bytes() <= 8 + 8 * (units.size() + 1));
    });
  }
  void operator()(const ModeSense& mode) const {
    check_answer(mode.allocation_bytes, [&](Answer& answer) {
      const auto refused = put_mode_sense(answer, mode, {}, {.size = {77}, .block_size = {512}});
      CHECK(refused.has_value() == (answer.full_bytes() == 0));
      CHECK(answer.full_bytes() <= max_mode_sense_bytes);
    });
  }
  void operator()(const ModeSelect& mode) const {
    const ModeFacts facts{.size = {77}, .block_size = {512}};
    const auto parsed = parse_mode_select(mode, list(mode.parameter_bytes), {}, facts);
    if (!parsed) return check_refusal(parsed.error(), data.size());
    // What has been accepted is shown, and may be sent back.
    std::vector<std::byte> space(max_mode_sense_bytes);
    Answer answer(space);
    const ModeSense current{.ten_byte_cdb = mode.ten_byte_cdb, .page = 0x3f};
    CHECK(!put_mode_sense(answer, current, parsed.value(), facts));
    const auto shown = answer.written();
    const auto again =
        parse_mode_select({.ten_byte_cdb = mode.ten_byte_cdb,
                           .page_format = true,
                           .parameter_bytes = static_cast<std::uint32_t>(shown.size())},
                          shown, {}, facts);
    CHECK(again && again.value() == parsed.value());
  }
  void operator()(const StartStopUnit&) const {}
  void operator()(const PreventAllowMediumRemoval&) const {}
  void operator()(const ReportSupportedOpcodes& report) const {
    check_answer(report.allocation_bytes, [&](Answer& answer) {
      const auto refused = put_supported_opcodes(answer, report, features);
      CHECK(refused.has_value() == (answer.full_bytes() == 0));
      CHECK(answer.full_bytes() <= max_supported_opcodes_bytes);
    });
  }
  void operator()(const ReportSupportedTaskManagement& report) const {
    check_answer(report.allocation_bytes,
                 [&](Answer& answer) { put_supported_task_management(answer, report); });
  }
  void operator()(const LogSense& log) const {
    check_answer(log.allocation_bytes, [&](Answer& answer) {
      const auto refused = put_log_page(answer, log, {});
      CHECK(refused.has_value() == (answer.full_bytes() == 0));
      CHECK(answer.full_bytes() <= max_log_page_bytes);
    });
  }
  void operator()(const SendDiagnostic&) const {}
  void operator()(const ReadBuffer& read) const {
    const auto mode = static_cast<unsigned>(read.mode);
    CHECK(mode == 0x03 || mode == 0x0a || mode == 0x0b);
  }
  void operator()(const WriteBuffer& write) const {
    CHECK(write.parameter_bytes <= echo_buffer_bytes);
  }
  void operator()(const ReserveUnit&) const {}
  void operator()(const ReleaseUnit&) const {}
  void operator()(const PersistentReserveIn& in) const {
    CHECK(static_cast<unsigned>(in.action) <= 3);
  }
  void operator()(const PersistentReserveOut& out) const {
    CHECK(static_cast<unsigned>(out.action) <= 7);
    CHECK(out.type <= 8 && out.type != 2 && out.type != 4);
    const auto parsed = parse_reserve_out_parameters(out, list(out.parameter_bytes));
    if (!parsed) return check_refusal(parsed.error(), data.size());
    const auto& made = parsed.value();
    CHECK(made.move.has_value() == (out.action == PersistentReserveOut::Action::register_and_move));
    CHECK(made.specify_ports || made.port_count == 0);
    CHECK(!made.specify_ports || out.action == PersistentReserveOut::Action::register_key);
    for (const auto& port : made.port_span()) check_port(port);
    if (made.move) check_port(made.move->to);
  }
  static void check_port(const TransportId& port) {
    CHECK(!port.name.empty() && port.name.size() <= max_iscsi_name_bytes);
    std::vector<std::byte> space(512);
    Answer answer(space);
    put_transport_id(answer, port);
    const auto again = parse_transport_id(answer.written(), 0);
    CHECK(again && again.value().id.name == port.name && again.value().id.isid == port.isid);
    CHECK(again.value().bytes == answer.full_bytes());
  }
  void operator()(const ReportTargetPortGroups& report) const {
    const std::uint16_t port = 1;
    const TargetPortGroup group{.group = 1, .relative_target_ports = {&port, 1}};
    check_answer(report.allocation_bytes, [&](Answer& answer) {
      put_target_port_groups(answer, report, {&group, 1});
    });
  }
  void operator()(const SetTargetPortGroups& set) const {
    const auto parsed = parse_set_target_port_groups(list(set.parameter_bytes));
    if (!parsed) return check_refusal(parsed.error(), data.size());
    CHECK(parsed.value().count <= max_set_target_port_groups);
  }
  void operator()(const ExtendedCopy& copy) const {
    CHECK(features.copy);
    const auto parsed = parse_extended_copy(list(copy.parameter_bytes));
    if (!parsed) return check_refusal(parsed.error(), data.size());
    for (const auto& target : parsed.value().target_span()) {
      CHECK(target.designator_bytes <= target.designator.size());
      (void)names_volume(target, {});
    }
    for (const auto& segment : parsed.value().segment_span()) {
      CHECK(segment.count.value <= 0xffffu);
    }
  }
  void operator()(const ReceiveCopyResults& receive) const {
    CHECK(features.copy);
    check_answer(receive.allocation_bytes, [](Answer& answer) {
      put_copy_operating_parameters(answer, {});
      put_copy_status(answer, {});
      put_failed_segment(answer, sense::copy_target_not_reachable);
    });
  }
};

void run(Cdb cdb, const UnitFeatures& features, Bytes data) {
  const auto* row = find_command(cdb);
  const auto parsed = parse_command(cdb, features);
  if (!parsed) {
    check_refusal(parsed.error(), 0);
    const bool unknown = row == nullptr || !is_offered(*row, features);
    CHECK(unknown || parsed.error().is(sense::invalid_field_in_cdb));
    return;
  }
  CHECK(row != nullptr && is_offered(*row, features));
  // What has been accepted sets no bit that is not reported as usable.
  for (std::size_t i = 1; i < row->cdb_bytes; ++i) {
    const unsigned actions = i == 1 && row->has_service_action() ? 0x1f : 0;
    CHECK((static_cast<unsigned>(cdb[i]) & ~(row->usage[i] | actions)) == 0);
  }
  (void)reservation_rule(*row, parsed.value());
  std::visit(Check{data, features}, parsed.value());
}

}  // namespace
}  // namespace protocol::scsi

// A byte of features, the CDB, the data from the host.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using protocol::scsi::cdb_bytes;
  if (size < 1 + cdb_bytes) return 0;
  const protocol::scsi::UnitFeatures features{.unmap = (bytes[0] & 1) == 0,
                                              .write_atomic = (bytes[0] & 2) == 0,
                                              .copy = (bytes[0] & 4) == 0};
  std::array<std::byte, cdb_bytes> cdb;
  std::memcpy(cdb.data(), bytes + 1, cdb.size());
  // An exact heap block, so that ASan sees the first byte behind it.
  const std::size_t data_bytes = size - 1 - cdb_bytes;
  const std::unique_ptr<std::byte[]> data(new std::byte[data_bytes]);
  if (data_bytes != 0) std::memcpy(data.get(), bytes + 1 + cdb_bytes, data_bytes);
  protocol::scsi::run(cdb, features, {data.get(), data_bytes});
  return 0;
}
