// NVMe commands as 64-byte entries, built field by field and freely spoiled, and completions as
// they return. NVM Express Base 2.0, section 3.3.3 (entries), 6 (fabrics); NVM Command Set 1.0,
// section 3.2.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/client/bytes.h"

namespace client {

namespace opcode {
// Admin.
constexpr std::uint8_t get_log_page = 0x02;
constexpr std::uint8_t identify = 0x06;
constexpr std::uint8_t abort = 0x08;
constexpr std::uint8_t set_features = 0x09;
constexpr std::uint8_t get_features = 0x0a;
constexpr std::uint8_t async_event_request = 0x0c;
constexpr std::uint8_t keep_alive = 0x18;
constexpr std::uint8_t format_nvm = 0x80;
constexpr std::uint8_t get_lba_status = 0x86;
// I/O.
constexpr std::uint8_t flush = 0x00;
constexpr std::uint8_t write = 0x01;
constexpr std::uint8_t read = 0x02;
constexpr std::uint8_t compare = 0x05;
constexpr std::uint8_t write_zeroes = 0x08;
constexpr std::uint8_t dataset_management = 0x09;
constexpr std::uint8_t write_uncorrectable = 0x04;
constexpr std::uint8_t verify = 0x0c;
constexpr std::uint8_t reservation_register = 0x0d;
constexpr std::uint8_t reservation_report = 0x0e;
constexpr std::uint8_t reservation_acquire = 0x11;
constexpr std::uint8_t reservation_release = 0x15;
constexpr std::uint8_t copy = 0x19;
// Both.
constexpr std::uint8_t fabrics = 0x7f;
}  // namespace opcode

namespace fabrics_type {
constexpr std::uint8_t property_set = 0x00;
constexpr std::uint8_t connect = 0x01;
constexpr std::uint8_t property_get = 0x04;
constexpr std::uint8_t disconnect = 0x08;
}  // namespace fabrics_type

// A submission queue entry. Setters return *this, so that a test reads as one expression:
// `io::read(1, 0, 8).cdw(12, 0xffff)`. The CID is chosen by Queue::submit unless set here.
class Entry {
 public:
  Entry() = default;
  explicit Entry(std::uint8_t opcode) { byte(0, opcode); }

  Entry& byte(std::size_t offset, std::uint8_t value);
  Entry& word(std::size_t offset, std::uint16_t value);
  Entry& dword(std::size_t offset, std::uint32_t value);
  Entry& qword(std::size_t offset, std::uint64_t value);
  Entry& cdw(std::size_t index, std::uint32_t value) { return dword(index * 4, value); }
  Entry& nsid(std::uint32_t value) { return dword(4, value); }
  Entry& cid(std::uint16_t value);
  // SGL descriptor 1, with PSDT 01b. Types: 0x01 in the capsule (address = offset), 0x5a by the
  // transport.
  Entry& sgl(std::uint8_t type, std::uint64_t address, std::uint32_t length);

  [[nodiscard]] std::optional<std::uint16_t> chosen_cid() const { return cid_; }
  [[nodiscard]] bool has_sgl() const { return has_sgl_; }
  [[nodiscard]] std::span<const std::byte, 64> bytes() const { return bytes_; }

 private:
  std::array<std::byte, 64> bytes_{};
  std::optional<std::uint16_t> cid_;
  bool has_sgl_ = false;
};

constexpr std::uint8_t sgl_in_capsule = 0x01;
constexpr std::uint8_t sgl_transport = 0x5a;

// How a command's data travels.
enum class Transfer {
  automatic,   // out: in the capsule when it fits the queue's limit, else by R2T; in: C2HData
  in_capsule,  // even if it is too much
  by_r2t,      // even if it would fit
};

// An entry with its data. `data_in_bytes` is what the host's buffer takes (C2HData may not exceed
// it).
struct Command {
  Entry entry;
  Bytes data_out = {};
  std::uint32_t data_in_bytes = 0;
  Transfer transfer = Transfer::automatic;
  // R2Ts are kept for the test to answer (Queue::await_r2t, Queue::send_data) instead of answered
  // at once.
  bool hold_data = false;
  // Size of the H2CData PDUs; 0 takes what MAXH2CDATA allows.
  std::uint32_t h2c_piece_bytes = 0;
};

// A response, with data that came for it. By the SUCCESS flag there is no response capsule: all
// zero then.
struct Completion {
  std::uint64_t result = 0;  // dwords 0 and 1
  std::uint16_t sq_head = 0;
  std::uint16_t cid = 0;
  std::uint16_t status = 0;  // 15 bits: SC, SCT, CRD, M, DNR; 0 is success
  bool by_success_flag = false;
  Bytes data = {};

  [[nodiscard]] bool ok() const { return status == 0; }
  [[nodiscard]] std::uint8_t code() const { return static_cast<std::uint8_t>(status & 0xff); }
  [[nodiscard]] std::uint8_t code_type() const {
    return static_cast<std::uint8_t>((status >> 8) & 7);
  }
  // SCT and SC in one number, as `nvme` prints it: 0x281 is SCT 2, SC 81h.
  [[nodiscard]] std::uint16_t kind() const { return static_cast<std::uint16_t>(status & 0x7ff); }
  [[nodiscard]] bool more() const { return (status & 0x2000) != 0; }
  [[nodiscard]] bool do_not_retry() const { return (status & 0x4000) != 0; }
  [[nodiscard]] std::uint32_t dw0() const { return static_cast<std::uint32_t>(result); }
  [[nodiscard]] std::string describe() const;
};

// Fabrics Connect, Base 2.0 section 6.3. Every field can be wrong on purpose.
struct ConnectFields {
  std::uint16_t record_format = 0;
  std::uint16_t queue_id = 0;
  std::uint16_t queue_entries_minus_1 = 31;  // SQSIZE, 0's based
  std::uint8_t attributes = 0;               // CATTR; bit 2 disables SQ flow control
  std::uint32_t keep_alive_ms = 0;
  std::array<std::byte, 16> host_id{};
  std::uint16_t controller_id = 0xffff;
  std::string subsystem_nqn = {};
  std::string host_nqn = {};
  std::uint32_t data_bytes = 1024;  // length of the data, and of the SGL
};
constexpr std::uint8_t disable_sq_flow_control = 0x04;
[[nodiscard]] Command connect_command(const ConnectFields& fields);

[[nodiscard]] Command disconnect_command();
// `size_code` 0: 4 bytes, 1: 8 bytes.
[[nodiscard]] Command property_get_command(std::uint32_t offset, std::uint8_t size_code);
[[nodiscard]] Command property_set_command(std::uint32_t offset, std::uint64_t value,
                                           std::uint8_t size_code);

namespace property {
constexpr std::uint32_t cap = 0x00;   // 8 bytes
constexpr std::uint32_t vs = 0x08;    // 4 bytes
constexpr std::uint32_t cc = 0x14;    // 4 bytes
constexpr std::uint32_t csts = 0x1c;  // 4 bytes
constexpr std::uint32_t nssr = 0x20;  // 4 bytes
}  // namespace property

namespace admin {
struct IdentifyFields {
  std::uint8_t cns = 0;
  std::uint32_t nsid = 0;
  std::uint16_t cntid = 0;
  std::uint8_t csi = 0;
  std::uint16_t cns_specific = 0;
  std::uint32_t bytes = 4096;
};
[[nodiscard]] Command identify(const IdentifyFields& fields);

struct LogFields {
  std::uint8_t lid = 0;
  std::uint32_t bytes = 0;  // a multiple of 4
  std::uint64_t offset = 0;
  std::uint32_t nsid = 0xffffffff;
  std::uint8_t lsp = 0;  // log specific, 7 bits in CDW10[14:8]
  std::uint16_t lsi = 0;
  bool retain_event = false;
};
[[nodiscard]] Command get_log(const LogFields& fields);

[[nodiscard]] Command get_feature(std::uint8_t fid, std::uint8_t select = 0,
                                  std::uint32_t cdw11 = 0, std::uint32_t data_in_bytes = 0,
                                  std::uint32_t nsid = 0);
[[nodiscard]] Command set_feature(std::uint8_t fid, std::uint32_t cdw11, bool save = false,
                                  Bytes data = {}, std::uint32_t nsid = 0);
// `blocks` 0: up to the namespace's end.
[[nodiscard]] Command get_lba_status(std::uint32_t nsid, std::uint8_t action, std::uint64_t lba,
                                     std::uint16_t blocks, std::uint32_t bytes);
// `fields`: dword 10.
[[nodiscard]] Command format_nvm(std::uint32_t nsid, std::uint32_t fields = 0);
[[nodiscard]] Command async_event_request();
[[nodiscard]] Command abort(std::uint16_t sqid, std::uint16_t cid);
[[nodiscard]] Command keep_alive();
}  // namespace admin

// I/O commands; `blocks` is an honest count (1 means one block).
namespace io {
[[nodiscard]] Command read(std::uint32_t nsid, std::uint64_t lba, std::uint32_t blocks,
                           std::uint32_t block_bytes);
// `data` is `blocks` blocks; the count on the wire is data.size() / block_bytes.
[[nodiscard]] Command write(std::uint32_t nsid, std::uint64_t lba, Bytes data,
                            std::uint32_t block_bytes, bool force_unit_access = false);
[[nodiscard]] Command compare(std::uint32_t nsid, std::uint64_t lba, Bytes data,
                              std::uint32_t block_bytes);
// The halves of a fused operation (FUSE 1 and 2), to be submitted one behind the other.
struct FusedPair {
  Command compare;
  Command write;
};
[[nodiscard]] FusedPair compare_and_write(std::uint32_t nsid, std::uint64_t lba, Bytes expected,
                                          Bytes next, std::uint32_t block_bytes);
[[nodiscard]] Command flush(std::uint32_t nsid);
[[nodiscard]] Command write_zeroes(std::uint32_t nsid, std::uint64_t lba, std::uint32_t blocks,
                                   bool deallocate = false);
[[nodiscard]] Command write_uncorrectable(std::uint32_t nsid, std::uint64_t lba,
                                          std::uint32_t blocks);
[[nodiscard]] Command verify(std::uint32_t nsid, std::uint64_t lba, std::uint32_t blocks);

struct Range {
  std::uint64_t lba = 0;
  std::uint32_t blocks = 0;
  std::uint32_t attributes = 0;
};
// `attributes` bit 2 (AD) deallocates.
[[nodiscard]] Command dataset_management(std::uint32_t nsid, const std::vector<Range>& ranges,
                                         std::uint32_t attributes = 0x4);

// A source range of Copy; `nsid` 0: the destination's own (format 0h), else format 2h.
struct CopyRange {
  std::uint64_t lba = 0;
  std::uint32_t blocks = 0;
  std::uint32_t nsid = 0;
};
[[nodiscard]] Command copy(std::uint32_t nsid, std::uint64_t to,
                           const std::vector<CopyRange>& from);

// Reservations. CPTPL 3: through a power loss.
enum class Persistence : std::uint8_t { unchanged = 0, off = 2, on = 3 };
[[nodiscard]] Command reservation_register(std::uint32_t nsid, std::uint8_t action,
                                           std::uint64_t key, std::uint64_t new_key,
                                           Persistence persistence = Persistence::unchanged);
[[nodiscard]] Command reservation_acquire(std::uint32_t nsid, std::uint8_t action,
                                          std::uint8_t type, std::uint64_t key,
                                          std::uint64_t victim = 0);
[[nodiscard]] Command reservation_release(std::uint32_t nsid, std::uint8_t action,
                                          std::uint8_t type, std::uint64_t key);
[[nodiscard]] Command reservation_report(std::uint32_t nsid, std::uint32_t bytes = 4096);
}  // namespace io

}  // namespace client
