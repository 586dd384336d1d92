#include "protocol/nvme/identify_namespace.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <iterator>

#include "protocol/nvme/reservation.h"

namespace protocol::nvme {

namespace {

constexpr std::uint8_t identifiers_never_reused = 1 << 3;
constexpr std::uint8_t optimal_hints_defined = 1 << 4;      // OPTPERF, CNS 00h
constexpr std::uint8_t no_write_cache = 1 << 5;             // VWCNP, CNS 08h
constexpr std::uint8_t attachable_to_many = 1 << 0;         // NMIC
constexpr std::uint8_t currently_write_protected = 1 << 0;  // NSATTR
constexpr std::uint8_t reads_zero_after_deallocate = 1 << 0;
constexpr std::uint8_t write_zeroes_may_deallocate = 1 << 3;
constexpr std::uint8_t namespace_ready = 1 << 0;
constexpr std::uint8_t format_progress_known = 1 << 7;  // FPI

// 0's based 16-bit field from an honest count.
std::uint16_t zeroes_based_blocks(std::uint32_t blocks) {
  return static_cast<std::uint16_t>(std::clamp<std::uint32_t>(blocks, 1, 0x1'0000) - 1);
}

// The larger the blocks, the less is to be said of each byte: best, better, and so on.
void set_formats(IdentifyNamespacePage& page, const NamespaceIdentity& identity) {
  const auto log2_of = [](engine::BlockSize size) {
    return static_cast<std::uint8_t>(std::bit_width(size.bytes) - 1);
  };
  const std::size_t count = std::min(identity.formats.size(), std::size(page.lbaf));
  if (count == 0) {
    page.lbaf[0].data_log2 = log2_of(identity.block_size);
    return;
  }
  page.nlbaf = static_cast<std::uint8_t>(count - 1);
  for (std::size_t at = 0; at < count; ++at) {
    const engine::BlockSize size = identity.formats[at];
    page.lbaf[at].data_log2 = log2_of(size);
    const auto larger = std::ranges::count_if(
        identity.formats, [size](engine::BlockSize other) { return other.bytes > size.bytes; });
    page.lbaf[at].relative_performance =
        static_cast<std::uint8_t>(std::min(larger, std::ptrdiff_t{3}));
    if (size == identity.block_size) page.flbas = static_cast<std::uint8_t>(at);
  }
}

}  // namespace

IdentifyNamespacePage build_identify_namespace(const NamespaceIdentity& identity) {
  IdentifyNamespacePage page{};
  page.nsze = identity.size.value;
  page.ncap = identity.size.value;
  page.nuse = std::min(identity.used, identity.size).value;
  page.nsfeat = identifiers_never_reused | optimal_hints_defined;
  page.nmic = identity.shared ? attachable_to_many : std::uint8_t{0};
  page.rescap = every_reservation;
  page.fpi = static_cast<std::uint8_t>(format_progress_known | identity.format_left_percent);
  page.dlfeat = static_cast<std::uint8_t>(
      (identity.deallocated_reads_zero ? reads_zero_after_deallocate : 0) |
      (identity.write_zeroes_deallocates ? write_zeroes_may_deallocate : 0));
  page.nvmcap.low = (identity.size * identity.block_size).value;
  page.npwg = zeroes_based_blocks(identity.hints.preferred_write_granularity);
  page.npwa = zeroes_based_blocks(identity.hints.preferred_write_alignment);
  page.npdg = zeroes_based_blocks(identity.hints.preferred_deallocate_granularity);
  page.npda = zeroes_based_blocks(identity.hints.preferred_deallocate_alignment);
  page.nows = zeroes_based_blocks(identity.hints.optimal_write_size);
  page.mssrl =
      static_cast<std::uint16_t>(std::min<std::uint32_t>(identity.copy_range_blocks, 0xffff));
  page.mcl = identity.copy_blocks;
  page.msrc =
      static_cast<std::uint8_t>(std::clamp<std::uint32_t>(identity.copy_ranges, 1, 256) - 1);
  page.anagrpid = identity.ana_group;
  page.nsattr = identity.write_protected ? currently_write_protected : std::uint8_t{0};
  std::memcpy(page.nguid, identity.nguid.data(), sizeof(page.nguid));
  set_formats(page, identity);
  return page;
}

IdentifyIndependentNamespacePage build_identify_independent_namespace(
    const NamespaceIdentity& identity) {
  IdentifyIndependentNamespacePage page{};
  page.nsfeat = identifiers_never_reused | no_write_cache;
  page.nmic = identity.shared ? attachable_to_many : std::uint8_t{0};
  page.rescap = every_reservation;
  page.fpi = static_cast<std::uint8_t>(format_progress_known | identity.format_left_percent);
  page.anagrpid = identity.ana_group;
  page.nsattr = identity.write_protected ? currently_write_protected : std::uint8_t{0};
  page.nstat = identity.ready ? namespace_ready : std::uint8_t{0};
  return page;
}

}  // namespace protocol::nvme
