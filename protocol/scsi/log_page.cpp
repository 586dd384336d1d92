#include "protocol/scsi/log_page.h"

#include <array>

#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

// SPC-4, "Log page format".
struct LogHeader {
  std::uint8_t page;  // DS 7, SPF 6, PAGE CODE 5:0
  std::uint8_t subpage;
  wire::be16 length;
};
static_assert(wire::is_wire_struct<LogHeader, 4>);

// SPC-4, "Informational Exceptions General log parameter".
struct ExceptionParameter {
  wire::be16 code;
  std::uint8_t control;  // FORMAT AND LINKING 1:0, 11b: a binary list
  std::uint8_t length;
  std::uint8_t asc;
  std::uint8_t ascq;
  std::uint8_t temperature;       // FFh: not known
  std::uint8_t trip_temperature;  // the vendor's byte, which tools read as this; FFh likewise
};
static_assert(wire::is_wire_struct<ExceptionParameter, 8>);

constexpr std::uint8_t supported_pages_code = 0x00;
constexpr std::uint8_t exceptions_log_code = 0x2f;
constexpr std::uint8_t every_subpage = 0xff;
constexpr std::uint8_t subpage_format = 0x40;
constexpr std::uint8_t binary_list = 0x03;

}  // namespace

std::optional<Sense> put_log_page(Answer& answer, const LogSense& command, const LogFacts& facts) {
  if (command.page != supported_pages_code && command.page != exceptions_log_code) {
    return sense::invalid_cdb(2, 5);
  }
  const bool with_subpages =
      command.page == supported_pages_code && command.subpage == every_subpage;
  if (command.subpage != 0 && !with_subpages) return sense::invalid_cdb(3);
  if (command.first_parameter != 0) return sense::invalid_cdb(5);

  LogHeader head{};
  head.page = command.page;
  if (command.page == exceptions_log_code) {
    ExceptionParameter parameter{};
    parameter.control = binary_list;
    parameter.length = 4;
    parameter.asc = facts.exception.asc;
    parameter.ascq = facts.exception.ascq;
    parameter.temperature = 0xff;
    parameter.trip_temperature = 0xff;
    head.length = sizeof(parameter);
    answer.put(head);
    answer.put(parameter);
  } else if (with_subpages) {
    constexpr std::array<std::uint8_t, 6> pairs{
        supported_pages_code, 0, supported_pages_code, every_subpage, exceptions_log_code, 0};
    head.page |= subpage_format;
    head.subpage = every_subpage;
    head.length = sizeof(pairs);
    answer.put(head);
    answer.put(pairs);
  } else {
    constexpr std::array<std::uint8_t, 2> codes{supported_pages_code, exceptions_log_code};
    head.length = sizeof(codes);
    answer.put(head);
    answer.put(codes);
  }
  return std::nullopt;
}

}  // namespace protocol::scsi
