// Identify: the pages of the Identify command, as one controller's host sees them.
#pragma once

#include <array>
#include <cstddef>

#include "protocol/nvme/admin_command.h"
#include "protocol/nvme/identify_controller.h"
#include "target/nvmf/controller.h"

namespace target::nvmf {

using IdentifyPageBytes = std::array<std::byte, protocol::nvme::identify_page_bytes>;

// Refusals: invalid_field (CNS or command set that does not exist here), invalid_namespace,
// command_set_not_supported, invalid_controller_identifier; ana_inaccessible for a namespace whose
// volume is not known yet.
[[nodiscard]] protocol::nvme::Parsed<IdentifyPageBytes> identify(
    const Controller& controller, const protocol::nvme::Identify& command);

// CNS 01h.
[[nodiscard]] protocol::nvme::IdentifyControllerPage identify_controller(
    const Controller& controller);

}  // namespace target::nvmf
