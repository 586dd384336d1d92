#include "protocol/nvme/firmware_log.h"

#include "protocol/nvme/ascii_field.h"

namespace protocol::nvme {

FirmwareSlotPage build_firmware_log(std::string_view revision) {
  FirmwareSlotPage page{};
  page.active = 1;
  put_ascii(page.slot[0], revision);
  return page;
}

}  // namespace protocol::nvme
