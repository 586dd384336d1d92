// Log pages of one controller, as its host sees them, whole; the discovery log is the Admin
// queue's.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/foundation/clock.h"
#include "protocol/nvme/admin_command.h"
#include "protocol/nvme/log_pages.h"
#include "protocol/nvme/smart_log.h"
#include "target/nvmf/controller.h"

namespace target::nvmf {

// The LIDs that this controller answers.
[[nodiscard]] std::span<const protocol::nvme::LogPage> log_pages_of(const Controller& controller);

// `begins`: the command has just come; else it has its buffer, and is here again.
// `clears`: the read is without Retain Asynchronous Event, and what the page lists is listed no
// more. (Its event is cleared by Controller::log_page_read().)
// Refusals: invalid_log_page, invalid_field (a namespace's own page of a log that has none, an
// unknown command set), invalid_namespace, command_sequence_error (0Dh, by its contexts).
[[nodiscard]] protocol::nvme::Parsed<std::vector<std::byte>> log_page(
    Controller& controller, const protocol::nvme::GetLogPage& command, bool begins, bool clears,
    engine::Instant now);

// SMART, as it is now.
[[nodiscard]] protocol::nvme::SmartLogPage smart_log(const Controller& controller,
                                                     engine::Instant now);

}  // namespace target::nvmf
