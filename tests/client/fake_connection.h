// One connection of the fake target.
#pragma once

#include <map>
#include <memory>

#include "tests/client/command.h"
#include "tests/client/fake_target.h"

namespace client {

class FakeConnection {
 public:
  FakeConnection(FakeTarget& target, int socket) : target_(target), connection_(socket) {}
  // Returns when the peer or an error ends the connection.
  void serve();

 private:
  // A write whose data comes by R2T.
  struct Waiting {
    std::uint64_t lba = 0;
    Bytes data;
    std::uint32_t requested = 0;
    std::uint32_t received = 0;
  };

  [[nodiscard]] bool negotiate();
  void take_command(const ReceivedPdu& pdu);
  void take_data(const ReceivedPdu& pdu);
  void fabrics(const ReceivedPdu& pdu, std::span<const std::byte> entry);
  void admin(std::span<const std::byte> entry);
  void io(const ReceivedPdu& pdu, std::span<const std::byte> entry);
  void read(std::span<const std::byte> entry);
  void write(const ReceivedPdu& pdu, std::span<const std::byte> entry);
  void ask(std::uint16_t cid, Waiting& waiting);
  void store(std::uint64_t lba, std::span<const std::byte> data);
  [[nodiscard]] Bytes controller_page() const;
  [[nodiscard]] Bytes namespace_page() const;
  [[nodiscard]] Bytes discovery_page() const;

  // Sends `data` as C2HData, then the response unless the SUCCESS flag says it.
  void reply_data(std::uint16_t cid, const Bytes& data);
  void send_data(std::uint16_t cid, std::uint32_t offset, Bytes data, std::uint8_t flags);
  void respond(std::uint16_t cid, std::uint16_t status = 0, std::uint64_t result = 0);
  void send(const Pdu& pdu) { alive_ = alive_ && connection_.send(pdu).has_value(); }
  [[nodiscard]] bool fails(Fault fault) const {
    return connected_ && queue_id_ != 0 && target_.options().fault == fault;
  }

  FakeTarget& target_;
  RawConnection connection_;
  bool alive_ = true;
  bool connected_ = false;  // Connect was answered; only then faults begin
  bool flow_control_ = true;
  std::uint16_t queue_id_ = 0;
  std::uint16_t entries_ = 1;
  std::uint16_t sq_head_ = 0;
  std::uint32_t cc_ = 0;
  std::map<std::uint16_t, Waiting> waiting_;
};

}  // namespace client
