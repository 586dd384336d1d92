#include "target/scsi/unit_attentions.h"

#include <algorithm>

namespace target::scsi {

using protocol::scsi::SenseCode;

namespace {

constexpr std::uint8_t reset_asc = 0x29;

bool is_reset(SenseCode code) { return code.asc == reset_asc; }

// Power on before the resets, those before the loss of a nexus (SAM-5, "Unit attention condition
// precedence level"). Lower is graver.
int rank(SenseCode reset) { return reset.ascq; }

}  // namespace

void UnitAttentions::establish(SenseCode code) {
  const std::lock_guard lock(mutex_);
  const auto end = codes_.begin() + count_;
  if (is_reset(code)) {
    if (count_ != 0 && is_reset(codes_[0])) {
      if (rank(code) < rank(codes_[0])) codes_[0] = code;
      return;
    }
    if (count_ == capacity) --count_;
    std::copy_backward(codes_.begin(), codes_.begin() + count_, codes_.begin() + count_ + 1);
    codes_[0] = code;
  } else {
    if (std::find(codes_.begin(), end, code) != end) return;
    if (count_ == capacity) return;
    codes_[count_] = code;
  }
  ++count_;
  any_.store(true, std::memory_order_release);
}

void UnitAttentions::remove_at(std::size_t index) {
  std::copy(codes_.begin() + index + 1, codes_.begin() + count_, codes_.begin() + index);
  --count_;
  if (count_ == 0) any_.store(false, std::memory_order_release);
}

std::optional<SenseCode> UnitAttentions::take() {
  const std::lock_guard lock(mutex_);
  if (count_ == 0) return std::nullopt;
  const SenseCode code = codes_[0];
  remove_at(0);
  return code;
}

std::optional<SenseCode> UnitAttentions::peek() const {
  const std::lock_guard lock(mutex_);
  if (count_ == 0) return std::nullopt;
  return codes_[0];
}

void UnitAttentions::clear(SenseCode code) {
  const std::lock_guard lock(mutex_);
  const auto end = codes_.begin() + count_;
  const auto found = std::find(codes_.begin(), end, code);
  if (found != end) remove_at(static_cast<std::size_t>(found - codes_.begin()));
}

}  // namespace target::scsi
