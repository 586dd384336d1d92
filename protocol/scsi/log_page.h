// LOG SENSE pages (SPC-4): 00h, and 2Fh informational exceptions. No other is there: nothing here
// measures a temperature (0Dh), scans a medium (15h) or has threshold sets (0Ch).
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/scsi/answer.h"
#include "protocol/scsi/command.h"
#include "protocol/scsi/sense.h"

namespace protocol::scsi {

struct LogFacts {
  // ADDITIONAL SENSE of the informational exception that stands; {} for none.
  SenseCode exception{};
};

inline constexpr std::uint32_t max_log_page_bytes = 128;

// Errors: invalid_cdb at byte 2 (page) or 3 (subpage), at byte 5 for a first parameter beyond the
// page's last. Nothing is put then.
[[nodiscard]] std::optional<Sense> put_log_page(Answer& answer, const LogSense& command,
                                                const LogFacts& facts);

}  // namespace protocol::scsi
