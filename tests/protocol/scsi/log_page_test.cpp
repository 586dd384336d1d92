#include "protocol/scsi/log_page.h"

#include <gtest/gtest.h>

#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

std::string log_hex(std::uint8_t page, std::uint8_t subpage = 0, SenseCode exception = {}) {
  return shown([&](Answer& answer) {
    EXPECT_FALSE(
        put_log_page(answer, {.page = page, .subpage = subpage}, {.exception = exception}));
  });
}
std::optional<Sense> log_refusal(const LogSense& command) {
  std::optional<Sense> sense;
  EXPECT_EQ(shown([&](Answer& answer) { sense = put_log_page(answer, command, {}); }), "");
  return sense;
}

TEST(LogPage, Golden) {
  EXPECT_EQ(log_hex(0x00), "00 00 00 02 00 2f");
  EXPECT_EQ(log_hex(0x00, 0xff), "40 ff 00 06 00 00 00 ff 2f 00");
  EXPECT_EQ(log_hex(0x2f), "2f 00 00 08 00 00 03 04 00 00 ff ff");
  EXPECT_EQ(log_hex(0x2f, 0, {0x38, 0x07}), "2f 00 00 08 00 00 03 04 38 07 ff ff");
}

// Otherwise a host that follows the list meets an error.
TEST(LogPage, ExactlyWhatIsListedIsThere) {
  for (unsigned page = 0; page < 0x40; ++page) {
    for (unsigned subpage = 0; subpage < 256; ++subpage) {
      const LogSense command{.page = static_cast<std::uint8_t>(page),
                             .subpage = static_cast<std::uint8_t>(subpage)};
      const bool is_there =
          (page == 0 && (subpage == 0 || subpage == 0xff)) || (page == 0x2f && subpage == 0);
      if (is_there) continue;
      EXPECT_EQ(log_refusal(command),
                page == 0 || page == 0x2f ? sense::invalid_cdb(3) : sense::invalid_cdb(2, 5));
    }
  }
}

TEST(LogPage, ThereIsOneParameterToStartFrom) {
  EXPECT_EQ(log_refusal({.page = 0x2f, .first_parameter = 1}), sense::invalid_cdb(5));
}

}  // namespace
}  // namespace protocol::scsi
