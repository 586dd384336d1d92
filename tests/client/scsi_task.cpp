#include "tests/client/scsi_task.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/foundation/check.h"

namespace client::scsi {
namespace {

// A CDB written field by field.
class Cdb {
 public:
  Cdb(std::uint8_t opcode, std::size_t bytes) : bytes_(bytes) {
    bytes_[0] = static_cast<std::byte>(opcode);
  }
  Cdb& field(std::size_t offset, std::uint64_t value, std::size_t bytes = 1) {
    put_big(bytes_, offset, value, bytes);
    return *this;
  }
  [[nodiscard]] Task reading(std::uint32_t bytes) const {
    return Task{.cdb = bytes_, .read_bytes = bytes};
  }
  [[nodiscard]] Task writing(Bytes data) const {
    return Task{.cdb = bytes_, .data_out = std::move(data)};
  }

 private:
  Bytes bytes_;
};

std::uint64_t blocks_of(const Bytes& data, std::uint32_t block_bytes) {
  CHECK(data.size() % block_bytes == 0);
  return data.size() / block_bytes;
}

}  // namespace

Task test_unit_ready() { return Cdb(0x00, 6).reading(0); }

Task inquiry(std::uint16_t bytes) { return Cdb(0x12, 6).field(3, bytes, 2).reading(bytes); }

Task vital_product_data(std::uint8_t page, std::uint16_t bytes) {
  return Cdb(0x12, 6).field(1, 1).field(2, page).field(3, bytes, 2).reading(bytes);
}

Task report_luns(std::uint32_t bytes) { return Cdb(0xa0, 12).field(6, bytes, 4).reading(bytes); }

Task read_capacity_16() { return Cdb(0x9e, 16).field(1, 0x10).field(10, 32, 4).reading(32); }

Task request_sense() { return Cdb(0x03, 6).field(4, 252).reading(252); }

Task mode_sense_10(std::uint8_t page, std::uint8_t subpage) {
  return Cdb(0x5a, 10).field(2, page).field(3, subpage).field(7, 1024, 2).reading(1024);
}

Task synchronize_cache() { return Cdb(0x91, 16).reading(0); }

Task read(std::uint64_t lba, std::uint32_t blocks, std::uint32_t block_bytes) {
  return Cdb(0x88, 16).field(2, lba, 8).field(10, blocks, 4).reading(blocks * block_bytes);
}

Task write(std::uint64_t lba, Bytes data, std::uint32_t block_bytes) {
  return Cdb(0x8a, 16)
      .field(2, lba, 8)
      .field(10, blocks_of(data, block_bytes), 4)
      .writing(std::move(data));
}

Task compare_and_write(std::uint64_t lba, Bytes data, std::uint32_t block_bytes) {
  return Cdb(0x89, 16)
      .field(2, lba, 8)
      .field(13, blocks_of(data, block_bytes) / 2)
      .writing(std::move(data));
}

Task unmap(std::uint64_t lba, std::uint32_t blocks) {
  Bytes list(24);
  put_big(list, 0, list.size() - 2, 2);
  put_big(list, 2, 16, 2);
  put_big(list, 8, lba, 8);
  put_big(list, 16, blocks, 4);
  return Cdb(0x42, 10).field(7, list.size(), 2).writing(std::move(list));
}

Task write_same(std::uint64_t lba, std::uint32_t blocks, Bytes block, bool unmap) {
  return Cdb(0x93, 16)
      .field(1, unmap ? 0x08 : 0)
      .field(2, lba, 8)
      .field(10, blocks, 4)
      .writing(std::move(block));
}

Task reservation_report(std::uint8_t action, std::uint16_t bytes) {
  return Cdb(0x5e, 10).field(1, action).field(7, bytes, 2).reading(bytes);
}

Task reserve(std::uint8_t action, std::uint8_t type, std::uint64_t key, std::uint64_t action_key,
             bool through_power_loss) {
  Bytes list(24);
  put_big(list, 0, key, 8);
  put_big(list, 8, action_key, 8);
  put_big(list, 20, through_power_loss ? 1 : 0, 1);
  return Cdb(0x5f, 10)
      .field(1, action)
      .field(2, type)
      .field(5, list.size(), 4)
      .writing(std::move(list));
}

Task register_for(std::uint64_t new_key, const std::vector<NamedInitiator>& others,
                  bool all_target_ports, bool through_power_loss) {
  Bytes list(28);
  put_big(list, 8, new_key, 8);
  put_big(list, 20, 0x08U | (all_target_ports ? 4U : 0U) | (through_power_loss ? 1U : 0U), 1);
  for (const NamedInitiator& other : others) {
    std::string text = other.name;
    if (other.isid) {
      text += ",i,0x";
      for (const unsigned byte : *other.isid) text += fmt::format("{:02x}", byte);
    }
    // NUL-terminated, in fours, and never less than 20 bytes (SPC-4, TransportID of iSCSI).
    text.push_back('\0');
    while (text.size() % 4 != 0 || text.size() < 20) text.push_back('\0');
    const std::size_t at = list.size();
    list.resize(at + 4);
    put_big(list, at, other.isid ? 0x45 : 0x05, 1);
    put_big(list, at + 2, text.size(), 2);
    for (const char c : text) list.push_back(static_cast<std::byte>(c));
  }
  put_big(list, 24, list.size() - 28, 4);
  return Cdb(0x5f, 10).field(5, list.size(), 4).writing(std::move(list));
}

Task copy_results(std::uint8_t action, std::uint8_t list_id, std::uint32_t bytes) {
  return Cdb(0x84, 16).field(1, action).field(2, list_id).field(10, bytes, 4).reading(bytes);
}

Task extended_copy(const CopyUnit& from, const CopyUnit& to, std::uint16_t blocks,
                   bool counts_destination) {
  constexpr std::size_t header = 16;
  constexpr std::size_t target = 32;
  constexpr std::size_t segment = header + 2 * target;
  Bytes list(segment + 28);
  put_big(list, 0, 1, 1);             // LIST IDENTIFIER
  put_big(list, 1, 2U << 3 | 1U, 1);  // discard what is left of it; priority 1
  put_big(list, 2, 2 * target, 2);
  put_big(list, 8, 28, 4);
  std::size_t at = header;
  for (const CopyUnit* const unit : {&from, &to}) {
    CHECK(unit->designator.size() <= 24);
    put_big(list, at, 0xe4, 1);
    std::copy(unit->designator.begin(), unit->designator.end(),
              list.begin() + static_cast<std::ptrdiff_t>(at + 4));
    put_big(list, at + 29, unit->block_bytes, 3);
    at += target;
  }
  put_big(list, segment, 0x02, 1);
  put_big(list, segment + 1, counts_destination ? 2 : 0, 1);
  put_big(list, segment + 2, 24, 2);
  put_big(list, segment + 6, 1, 2);  // from the first of the two to the second
  put_big(list, segment + 10, blocks, 2);
  put_big(list, segment + 12, from.first, 8);
  put_big(list, segment + 20, to.first, 8);
  return Cdb(0x83, 16).field(10, list.size(), 4).writing(std::move(list));
}

}  // namespace client::scsi
