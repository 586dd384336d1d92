#include "protocol/scsi/report_luns.h"

#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

struct ReportLunsHeader {
  wire::be32 list_bytes;
  wire::be32 reserved4;
};
static_assert(wire::is_wire_struct<ReportLunsHeader, 8>);

}  // namespace

void put_report_luns(Answer& answer, ReportLuns::Select select, std::span<const Lun> units) {
  bool with_units = false;
  bool with_well_known = false;
  switch (select) {
    case ReportLuns::Select::addressable:
      with_units = true;
      break;
    case ReportLuns::Select::well_known:
      with_well_known = true;
      break;
    case ReportLuns::Select::all:
      with_units = true;
      with_well_known = true;
      break;
    case ReportLuns::Select::administrative:
    case ReportLuns::Select::administrative_all:
    case ReportLuns::Select::subsidiary:
      break;  // there are no administrative logical units
  }
  const std::size_t start = answer.full_bytes();
  answer.put(ReportLunsHeader{});
  if (with_units) {
    for (const Lun unit : units) answer.put(wire::be64{unit.field});
  }
  if (with_well_known) answer.put(wire::be64{report_luns_unit.field});
  const auto list_bytes = answer.full_bytes() - start - sizeof(ReportLunsHeader);
  answer.put_at(start, wire::be32{static_cast<std::uint32_t>(list_bytes)});
}

}  // namespace protocol::scsi
