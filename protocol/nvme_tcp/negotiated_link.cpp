#include "protocol/nvme_tcp/negotiated_link.h"

#include "engine/foundation/check.h"

namespace protocol::nvme_tcp {
namespace {

PduError unsupported(std::size_t offset, PduFault fault) {
  return {FatalErrorStatus::unsupported_parameter, static_cast<std::uint32_t>(offset), fault};
}

}  // namespace

engine::Result<NegotiatedLink, PduError> negotiate(const InitializeRequest& request,
                                                   const LinkLimits& limits) {
  CHECK(limits.cpda <= largest_pda);
  CHECK(limits.maxh2cdata >= smallest_maxh2cdata && limits.maxh2cdata % 4 == 0);
  if (request.pfv != pfv_1_0) {
    return unsupported(offsetof(IcReq, pfv), PduFault::unsupported_pfv);
  }
  if (request.hpda > largest_pda) {
    return unsupported(offsetof(IcReq, hpda), PduFault::unsupported_hpda);
  }
  if ((request.dgst & ~(dgst_header | dgst_data)) != 0) {
    return unsupported(offsetof(IcReq, dgst), PduFault::unsupported_dgst);
  }
  return NegotiatedLink{
      .hdgst = limits.allow_hdgst && (request.dgst & dgst_header) != 0,
      .ddgst = limits.allow_ddgst && (request.dgst & dgst_data) != 0,
      .hpda = request.hpda,
      .cpda = limits.cpda,
      .outstanding_r2t = std::uint64_t{request.maxr2t} + 1,
      .maxh2cdata = limits.maxh2cdata,
  };
}

}  // namespace protocol::nvme_tcp
