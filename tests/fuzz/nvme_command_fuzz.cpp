// Feeds arbitrary submission entries and their data to every parser of protocol/nvme: none may read
// behind its bytes, and what is accepted must keep the promises of the headers.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <variant>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "protocol/nvme/admin_command.h"
#include "protocol/nvme/copy.h"
#include "protocol/nvme/dataset_management.h"
#include "protocol/nvme/fabrics_command.h"
#include "protocol/nvme/features.h"
#include "protocol/nvme/io_command.h"
#include "protocol/nvme/log_pages.h"
#include "protocol/nvme/nqn.h"
#include "protocol/nvme/properties.h"
#include "protocol/nvme/sgl.h"

namespace protocol::nvme {
namespace {

using Bytes = std::span<const std::byte>;

void check_refusal(const Refusal& refusal) {
  CHECK(!refusal.status.is_success());
  CHECK(!name_of(refusal.status).empty());
  CHECK(refusal.location == ParameterLocation{} ||
        (refusal.location.value & 0xffu) < sizeof(SubmissionEntry));
  CHECK(Status::from_field(refusal.status.field()) == refusal.status);
}

// The data of an accepted command as its executor would see it; empty if it is not in the capsule.
Bytes data_of(const DataPointer& data, Bytes capsule) {
  const auto* inside = std::get_if<InCapsuleData>(&data);
  if (inside == nullptr) return {};
  const auto view = in_capsule_bytes(*inside, capsule);
  if (!view) {
    check_refusal(view.error());
    return {};
  }
  CHECK(view.value().size() == inside->length);
  CHECK(inside->length == 0 || view.value().data() >= capsule.data());
  return view.value();
}

void check_blocks(BlockRange blocks) {
  CHECK(blocks.count.value >= 1 && blocks.count.value <= 65536);
}

struct CheckIo {
  Bytes capsule;
  void operator()(const Read& read) const {
    check_blocks(read.blocks);
    CHECK(std::holds_alternative<TransportData>(read.data));
  }
  void operator()(const Write& write) const {
    check_blocks(write.blocks);
    data_of(write.data, capsule);
  }
  void operator()(const Compare& compare) const { check_blocks(compare.blocks); }
  void operator()(const WriteUncorrectable& lose) const { check_blocks(lose.blocks); }
  void operator()(const Verify& verify) const { check_blocks(verify.blocks); }
  void operator()(const Copy& copy) const {
    CHECK(copy.range_count >= 1 && copy.range_count <= 256);
    const std::uint64_t bytes = std::uint64_t{copy.range_count} * copy_range_bytes;
    CHECK(length_of(copy.data).value >= bytes);
    const auto data = data_of(copy.data, capsule);
    if (data.size() < bytes) return;
    for (std::uint32_t i = 0; i < copy.range_count; ++i)
      check_blocks(copy_source(data, copy, i).blocks);
  }
  void operator()(const WriteZeroes& zeroes) const { check_blocks(zeroes.blocks); }
  void operator()(const Flush&) const {}
  void operator()(const ReservationRegister& command) const {
    keys_of(command.data, two_keys_bytes);
    CHECK(command.action <= RegisterAction::replace);
  }
  void operator()(const ReservationAcquire& command) const {
    keys_of(command.data, two_keys_bytes);
    CHECK(command.type >= 1 && command.type <= 6);
  }
  void operator()(const ReservationRelease& command) const {
    keys_of(command.data, one_key_bytes);
    CHECK(command.action == ReleaseAction::clear || (command.type >= 1 && command.type <= 6));
  }
  void operator()(const ReservationReport& command) const {
    CHECK(command.length >= 4 && command.length % 4 == 0);
    CHECK(length_of(command.data).value >= command.length);
  }
  void keys_of(const DataPointer& pointer, std::uint32_t bytes) const {
    CHECK(length_of(pointer).value >= bytes);
    const auto data = data_of(pointer, capsule);
    if (data.size() >= bytes) (void)reservation_key(data, bytes / 8 - 1);
  }
  void operator()(const DatasetManagement& dsm) const {
    CHECK(dsm.range_count >= 1 && dsm.range_count <= max_dataset_ranges);
    CHECK(length_of(dsm.data).value >= std::uint64_t{dsm.range_count} * dataset_range_bytes);
    const auto data = data_of(dsm.data, capsule);
    const auto ranges = parse_dataset_ranges(data, dsm.range_count);
    CHECK(ranges.has_value() == (data.size() >= dsm.range_count * dataset_range_bytes));
    if (ranges) CHECK(ranges.value().span().size() == dsm.range_count);
  }
};

struct CheckAdmin {
  Bytes capsule;
  void operator()(const GetLogPage& log) const {
    CHECK(log.length.value >= 4 && log.length.value % 4 == 0);
    CHECK(log.offset_is_index || log.offset % 4 == 0);
    CHECK(length_of(log.data) >= log.length);
    CHECK(log_page_part(capsule, log.offset, log.length.value).size() <= log.length.value);
  }
  void operator()(const Identify& identify) const {
    CHECK(length_of(identify.data).value >= identify_page_bytes);
  }
  void operator()(const Abort&) const {}
  void operator()(const SetFeatures& set) const {
    const auto needed = feature_data_bytes(set.feature_id, set.dword11);
    CHECK(set.data.has_value() == (needed.value != 0));
    if (set.data) {
      CHECK(length_of(*set.data) >= needed);
      engine::ByteReader reader(data_of(*set.data, capsule));
      if (const auto time = reader.read<TimestampData>()) {
        const auto again = encode_timestamp(decode_timestamp(*time), TimestampOrigin::set_by_host);
        CHECK(decode_timestamp(again) == decode_timestamp(*time));
      }
      if (const auto behavior = reader.read<HostBehaviorData>())
        (void)check_host_behavior(*behavior);
    }
    if (const auto queues = QueueCounts::from_dword(set.dword11))
      CHECK(queues.value().dword() == set.dword11);
    if (const auto threshold = TemperatureThreshold::from_dword(set.dword11)) {
      CHECK(threshold.value().dword() == (set.dword11 & 0x1f'ffffu));
    }
  }
  void operator()(const GetFeatures& get) const { CHECK(static_cast<unsigned>(get.select) <= 3); }
  void operator()(const AsyncEventRequest&) const {}
  void operator()(const KeepAlive&) const {}
  void operator()(const GetLbaStatus& get) const {
    CHECK(get.length.value != 0 && get.length.value % 4 == 0 && get.blocks.value <= 0xffff);
  }
  void operator()(const FormatNvm& format) const {
    CHECK(format.lba_format <= 63 && format.protection <= 7);
    CHECK(format.erase <= SecureErase::cryptographic);
  }
};

struct CheckFabrics {
  Bytes capsule;
  void operator()(const Connect& connect) const {
    CHECK(connect.queue_entries >= 2 && connect.queue_entries <= 65536);
    CHECK(length_of(connect.data).value >= connect_data_bytes);
    const auto data = data_of(connect.data, capsule);
    const auto parsed = parse_connect_data(data);
    if (!parsed) return check_refusal(parsed.error());
    CHECK(parsed.value().host_id != HostId{});
    CHECK(!check_nqn(parsed.value().host_nqn));
    CHECK(parsed.value().subsystem_nqn.size() <= max_nqn_bytes);
  }
  void operator()(const PropertyGet& get) const {
    CHECK(get.size_bytes == 4 || get.size_bytes == 8);
  }
  void operator()(const PropertySet& set) const {
    CHECK(set.size_bytes == 8 || set.value <= 0xffff'ffffu);
    const auto cc = static_cast<std::uint32_t>(set.value);
    const auto decoded = ControllerConfiguration::decode(cc);
    CHECK(ControllerConfiguration::decode(decoded.encode()) == decoded);
    CHECK(ControllerCapabilities::decode(ControllerCapabilities::decode(set.value).encode()) ==
          ControllerCapabilities::decode(set.value));
  }
  void operator()(const Disconnect&) const {}
  void operator()(const AuthenticationSend& send) const { data_of(send.data, capsule); }
  void operator()(const AuthenticationReceive& receive) const {
    CHECK(length_of(receive.data).value >= receive.allocation_bytes);
  }
};

template <class Command, class Check>
void check_command(const Parsed<Command>& parsed, const Check& check) {
  if (!parsed) return check_refusal(parsed.error());
  std::visit(check, parsed.value());
}

void run(const SubmissionEntry& entry, Bytes capsule) {
  check_command(parse_io_command(entry), CheckIo{capsule});
  check_command(parse_admin_command(entry), CheckAdmin{capsule});
  check_command(parse_fabrics_command(entry), CheckFabrics{capsule});
}

}  // namespace
}  // namespace protocol::nvme

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using protocol::nvme::SubmissionEntry;
  SubmissionEntry entry;
  if (size < sizeof(entry)) return 0;
  std::memcpy(&entry, bytes, sizeof(entry));
  // An exact heap block, so that ASan sees the first byte behind it.
  const std::size_t data_bytes = size - sizeof(entry);
  const std::unique_ptr<std::byte[]> data(new std::byte[data_bytes]);
  if (data_bytes != 0) std::memcpy(data.get(), bytes + sizeof(entry), data_bytes);
  protocol::nvme::run(entry, {data.get(), data_bytes});
  return 0;
}
