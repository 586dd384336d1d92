#include "protocol/scsi/defect_list.h"

#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

// SBC-3, "READ DEFECT DATA (10)" and "(12)".
struct DefectHeader10 {
  std::uint8_t reserved0;
  std::uint8_t lists;  // PLISTV 4, GLISTV 3, DEFECT LIST FORMAT 2:0
  wire::be16 list_bytes;
};
static_assert(wire::is_wire_struct<DefectHeader10, 4>);

struct DefectHeader12 {
  std::uint8_t reserved0;
  std::uint8_t lists;
  wire::be16 generation;
  wire::be32 list_bytes;
};
static_assert(wire::is_wire_struct<DefectHeader12, 8>);

}  // namespace

void put_empty_defect_list(Answer& answer, const ReadDefectData& command) {
  const auto lists = static_cast<std::uint8_t>((command.primary_list ? 0x10 : 0) |
                                               (command.grown_list ? 0x08 : 0) | command.format);
  if (command.twelve_byte_cdb) {
    DefectHeader12 head{};
    head.lists = lists;
    answer.put(head);
  } else {
    DefectHeader10 head{};
    head.lists = lists;
    answer.put(head);
  }
}

}  // namespace protocol::scsi
