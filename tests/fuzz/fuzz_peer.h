// One host's end of one simulated NVMe/TCP connection: frames what a fuzzer gives it, and checks
// the form of whatever comes back.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/foundation/check.h"
#include "target/nvmf/connection.h"
#include "target/nvmf/target.h"
#include "tests/protocol/nvme_tcp/host_pdus.h"
#include "tests/sim/sim_stream.h"

namespace fuzz {

using protocol::nvme_tcp::Bytes;
using protocol::nvme_tcp::NegotiatedLink;
namespace host = protocol::nvme_tcp;  // the PDU builders of host_pdus.h

class Peer {
 public:
  Peer(target::ConnectionRegistry& registry, target::nvmf::NvmfTarget& target,
       const NegotiatedLink& link)
      : link_(link) {
    target::nvmf::ConnectionOptions options;
    options.listener = "io";
    options.r2t_bytes = 8192;
    target::nvmf::Connection::open(
        registry, std::make_unique<target::SimStream>(wire), options,
        [&target](target::nvmf::CommandPort& port) { return target.make_session(port); });
    const unsigned digests = (link.hdgst ? 1U : 0U) | (link.ddgst ? 2U : 0U);
    send(host::ic_req(0, link.hpda, static_cast<std::uint8_t>(digests), 1));
  }

  void send(std::span<const std::byte> bytes) {
    wire->to_target.insert(wire->to_target.end(), bytes.begin(), bytes.end());
  }

  // A command capsule with this entry and the data behind it, lengths and digests as they must be.
  void send_command(std::span<const std::byte> entry, std::span<const std::byte> data) {
    Bytes header(72);
    host::put(header, 0, 0x04, 1);
    host::put(header, 2, 72, 1);
    std::copy(entry.begin(), entry.end(), header.begin() + 8);
    send(host::with_data(header, link_, data));
  }

  // Data for the R2T that came last; nothing if none is open.
  void send_data(std::span<const std::byte> data) {
    if (!asked_) return;
    const std::size_t size = std::min<std::size_t>(data.size(), asked_->left);
    if (size == 0) return;
    asked_->left -= static_cast<std::uint32_t>(size);
    const host::H2cFields fields{.cccid = asked_->cccid,
                                 .ttag = asked_->ttag,
                                 .offset = asked_->offset,
                                 .last = asked_->left == 0};
    asked_->offset += static_cast<std::uint32_t>(size);
    send(host::h2c_data(link_, fields, data.first(size)));
    if (fields.last) asked_.reset();
  }

  // Takes what has arrived. Every PDU is of a kind and length that a controller may send.
  void receive() {
    Bytes& bytes = wire->to_host;
    std::size_t at = 0;
    while (bytes.size() - at >= 8) {
      const auto pdu = std::span(bytes).subspan(at);
      const auto type = static_cast<unsigned>(pdu[0]);
      const auto hlen = get<std::uint8_t>(pdu, 2);
      const auto plen = get<std::uint32_t>(pdu, 4);
      CHECK(type == 1 || type == 3 || type == 5 || type == 7 || type == 9);
      CHECK(hlen == (type == 1 ? 128 : 24));
      CHECK(plen >= hlen && plen <= (2U << 20));
      if (pdu.size() < plen) break;
      if (type == 5) result = get<std::uint32_t>(pdu, 8);
      if (type == 9)
        asked_ = Asked{.cccid = get<std::uint16_t>(pdu, 8),
                       .ttag = get<std::uint16_t>(pdu, 10),
                       .offset = get<std::uint32_t>(pdu, 12),
                       .left = get<std::uint32_t>(pdu, 16)};
      at += plen;
    }
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
  }

  std::shared_ptr<target::SimWire> wire = std::make_shared<target::SimWire>();
  std::uint32_t result = 0;  // DW0 of the last completion

 private:
  struct Asked {
    std::uint16_t cccid = 0;
    std::uint16_t ttag = 0;
    std::uint32_t offset = 0;
    std::uint32_t left = 0;
  };

  template <class T>
  static T get(std::span<const std::byte> bytes, std::size_t offset) {
    T value{};
    std::memcpy(&value, bytes.data() + offset, sizeof(value));
    return value;
  }

  const NegotiatedLink link_;
  std::optional<Asked> asked_;
};

}  // namespace fuzz
