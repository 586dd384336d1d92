#include "protocol/nvme_tcp/pdu_error.h"

namespace protocol::nvme_tcp {

const char* describe(PduFault fault) {
  switch (fault) {
    case PduFault::unknown_type:
      return "unknown PDU type";
    case PduFault::kickstart_unsupported:
      return "kickstart discovery is not supported";
    case PduFault::bad_flags:
      return "reserved or wrong digest bits in FLAGS";
    case PduFault::bad_hlen:
      return "HLEN is not the length of this PDU's header";
    case PduFault::bad_pdo:
      return "PDO is misplaced or not aligned";
    case PduFault::bad_plen:
      return "PLEN does not fit header, digests and data";
    case PduFault::no_data:
      return "H2CData without data";
    case PduFault::ic_req_missing:
      return "PDU before ICReq";
    case PduFault::ic_req_repeated:
      return "second ICReq";
    case PduFault::wrong_direction:
      return "PDU type that only controllers send";
    case PduFault::header_digest_mismatch:
      return "header digest mismatch";
    case PduFault::in_capsule_limit:
      return "more in-capsule data than the queue accepts";
    case PduFault::h2c_data_limit:
      return "DATAL above MAXH2CDATA";
    case PduFault::unsupported_pfv:
      return "unsupported PDU format version";
    case PduFault::unsupported_hpda:
      return "HPDA above 31";
    case PduFault::unsupported_dgst:
      return "unsupported digest";
    case PduFault::malformed_term_req:
      return "malformed H2CTermReq";
    case PduFault::unknown_transfer_tag:
      return "TTAG without an outstanding R2T";
    case PduFault::command_mismatch:
      return "CCCID is not the command of this TTAG";
    case PduFault::bad_last_pdu:
      return "LAST_PDU is not on the last byte of the R2T";
    case PduFault::queue_overrun:
      return "more commands than the queue has entries";
    case PduFault::out_of_range_data:
      return "data outside the range of the R2T";
    case PduFault::out_of_order_data:
      return "data out of order";
  }
  return "unknown fault";
}

}  // namespace protocol::nvme_tcp
