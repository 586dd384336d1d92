#include "target/net/host_transfer.h"

#include <algorithm>

#include "engine/foundation/check.h"

namespace target {

void HostTransfer::begin(std::uint32_t total, std::uint32_t largest, std::size_t windows,
                         std::uint32_t from) {
  CHECK(from < total);
  window_count_ = std::clamp<std::size_t>(windows, 1, most_windows);
  std::fill_n(windows_.begin(), window_count_, Window{});
  largest_ = largest == 0 ? total : largest;
  total_ = total;
  requested_ = from;
  arrived_ = from;
  failed_ = false;
}

std::optional<HostTransfer::Request> HostTransfer::next_request() {
  if (failed_ || requested_ == total_) return std::nullopt;
  for (std::size_t i = 0; i < window_count_; ++i) {
    if (windows_[i].next != windows_[i].end) continue;
    const std::uint32_t length = std::min(largest_, total_ - requested_);
    const Request request{
        .window = static_cast<std::uint8_t>(i), .offset = requested_, .length = length};
    requested_ += length;
    windows_[i] = {.begin = request.offset, .next = request.offset, .end = requested_};
    return request;
  }
  return std::nullopt;
}

engine::Result<void, HostDataFault> HostTransfer::expect(std::size_t window, std::uint32_t offset,
                                                         std::uint32_t length, bool last) {
  if (window >= window_count_ || windows_[window].next == windows_[window].end) {
    return HostDataFault::unknown_transfer;
  }
  Window& range = windows_[window];
  if (offset < range.begin || offset >= range.end || length > range.end - offset) {
    return HostDataFault::out_of_range;
  }
  if (offset != range.next) return HostDataFault::out_of_order;
  if (last != (length == range.end - offset)) return HostDataFault::bad_last;
  range.next += length;
  return engine::success();
}

}  // namespace target
