// HostTransfer: the R2Ts of one command. Which ranges to ask for, and whether what comes answers
// one of them (NVMe/TCP 1.1, sections "R2T" and "H2CData"; RFC 7143, 11.7 and 11.8).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/foundation/result.h"

namespace target {

// Why data is not what was asked for.
enum class HostDataFault : std::uint8_t {
  unknown_transfer,  // no such window
  out_of_range,
  out_of_order,
  bad_last,  // said to be the last of its window when it is not, or the other way round
};

// Invariants: arrived <= requested <= total; the windows in use never overlap and lie in what was
// requested; each window's data comes in order.
class HostTransfer {
 public:
  // More R2Ts for one command are never outstanding.
  static constexpr std::size_t most_windows = 8;

  struct Request {
    std::uint8_t window = 0;  // part of the transfer tag
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
  };

  // total: bytes of the command's data. largest: of one request, 0 for no limit.
  // windows: 1..most_windows may be outstanding.
  // from: so many bytes, less than total, are there already.
  void begin(std::uint32_t total, std::uint32_t largest, std::size_t windows,
             std::uint32_t from = 0);

  // The next range to ask the host for; nullopt while enough is outstanding, or nothing is missing.
  [[nodiscard]] std::optional<Request> next_request();

  // The header of data: `length` bytes are expected to follow.
  [[nodiscard]] engine::Result<void, HostDataFault> expect(std::size_t window, std::uint32_t offset,
                                                           std::uint32_t length, bool last);
  // `length` bytes that were expected have arrived.
  void arrived(std::uint32_t length) { arrived_ += length; }

  // A digest was wrong: nothing more is asked for, but what was asked for still comes.
  void fail() { failed_ = true; }
  [[nodiscard]] bool failed() const { return failed_; }
  // Nothing is missing, or after fail(): nothing is under way.
  [[nodiscard]] bool complete() const { return arrived_ == (failed_ ? requested_ : total_); }

 private:
  struct Window {
    std::uint32_t begin = 0;
    std::uint32_t next = 0;
    std::uint32_t end = 0;  // next == end: not in use
  };

  std::array<Window, most_windows> windows_{};
  std::size_t window_count_ = 0;
  std::uint32_t largest_ = 0;
  std::uint32_t total_ = 0;
  std::uint32_t requested_ = 0;
  std::uint32_t arrived_ = 0;
  bool failed_ = false;
};

}  // namespace target
