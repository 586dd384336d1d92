// Connection: one NVMe/TCP connection: handshake, capsules, data transfers and digests. Its life as
// a stream of PDUs is PduConnection's, what commands mean is its executor's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "protocol/nvme_tcp/data_digest.h"
#include "protocol/nvme_tcp/pdu_decoder.h"
#include "protocol/nvme_tcp/pdu_encoder.h"
#include "target/net/pdu_connection.h"
#include "target/nvmf/command.h"
#include "target/nvmf/command_slots.h"
#include "target/nvmf/connection_options.h"

namespace target::nvmf {

// After the end it stays until every command that the executor holds has been answered (into
// nothing).
//
// Between receive_from_host() or lease_for_host() and data_ready() a command is the connection's:
// it may answer it itself (SGL refused, data digest error) or drop it (connection ended), and the
// executor does not hear of it again.
class Connection final : public PduConnection, public CommandPort {
 public:
  using ExecutorFactory = std::function<std::unique_ptr<CommandExecutor>(CommandPort&)>;

  // Serves `stream` until it ends. The factory is called now; the executor dies with the
  // connection.
  static void open(ConnectionRegistry& registry, std::unique_ptr<ByteStream> stream,
                   const ConnectionOptions& options, const ExecutorFactory& make_executor);

  // CommandPort
  void receive_from_host(Command& command, std::uint32_t bytes) override;
  void lease_for_host(Command& command, std::uint32_t bytes) override;
  void respond(Command& command, protocol::nvme::Status status, std::uint64_t result) override;
  void respond_with_data(Command& command, std::uint32_t bytes, std::uint64_t result) override;
  [[nodiscard]] bool may_respond_in_place(const Command& command,
                                          std::uint32_t bytes) const override;
  void respond_in_place(Command& command, engine::PinnedRead read) override;
  [[nodiscard]] bool abort_waiting(std::uint16_t command_id) override;
  [[nodiscard]] Command* take_waiting(const block::BlockVolume& volume) override;
  void bind(const QueueBinding& binding) override;
  void end(EndReason reason) override { PduConnection::end(reason); }
  [[nodiscard]] const LinkInfo& link() const override { return PduConnection::link(); }
  [[nodiscard]] Reactor& reactor() override { return PduConnection::reactor(); }

  [[nodiscard]] std::uint32_t outstanding_commands() const { return slots_.outstanding(); }

 private:
  Connection(ConnectionRegistry& registry, std::unique_ptr<ByteStream> stream,
             const ConnectionOptions& options);

  // PduConnection
  [[nodiscard]] std::size_t take_header(std::span<const std::byte> bytes) override;
  void data_complete(bool digest_matches) override;
  void ended(EndReason reason) override;
  [[nodiscard]] std::optional<TimeLimit> time_limit() const override;
  [[nodiscard]] bool fail_unfinished(std::span<const std::byte> front) override;
  void buffer_granted(BufferHolder& holder) override;
  void stream_granted(BufferHolder& holder) override;
  void stream_refused(BufferHolder& holder) override;
  // Small commands of Admin queues.
  [[nodiscard]] bool uses_reserve() const override { return !is_settled() || binding_.qid == 0; }

  // connection_receive.cpp: from PDUs to commands.
  void handle(const protocol::nvme_tcp::Pdu& pdu, std::span<const std::byte> bytes);
  void handle_initialize(const protocol::nvme_tcp::InitializeRequest& request,
                         std::span<const std::byte> bytes);
  void handle_capsule(const protocol::nvme_tcp::CommandCapsule& capsule,
                      std::span<const std::byte> bytes);
  void handle_host_data(const protocol::nvme_tcp::HostData& data, std::span<const std::byte> bytes);
  void handle_termination(const protocol::nvme_tcp::HostTermination& termination);
  void fail(const protocol::nvme_tcp::PduError& error, std::span<const std::byte> bytes);
  void begin_sums(CommandSlot& slot, std::uint32_t bytes);

  // connection_transfer.cpp: from commands to bytes.
  void execute(CommandSlot& slot);
  void answer(CommandSlot& slot, protocol::nvme::Status status, std::uint64_t result);
  // What its executor waits for does not come.
  void answer_instead(CommandSlot& slot, protocol::nvme::Status status);
  // C2HData: its header in front of the data; behind it the digest, where there are digests, and
  // the completion, unless SUCCESS in the header stands for it.
  [[nodiscard]] bool begin_data_to_host(const CommandSlot& slot, std::uint32_t bytes,
                                        std::uint64_t result);
  void end_data_to_host(CommandSlot& slot, std::uint32_t bytes,
                        const protocol::nvme_tcp::DataDigest& digest, bool elided,
                        std::uint64_t result);
  void append_completion(std::uint16_t command_id, protocol::nvme::Status status,
                         std::uint64_t result);
  [[nodiscard]] std::uint16_t reported_sq_head();
  void wait_for_buffer(CommandSlot& slot, std::uint32_t bytes, bool to_host);
  void begin_receiving(CommandSlot& slot);
  void request_data(CommandSlot& slot);
  void deliver(CommandSlot& slot);
  // Without an answer.
  void drop(CommandSlot& slot);
  void count(CommandSlot& slot, protocol::nvme::Status status, std::uint64_t bytes);
  [[gnu::cold]] void count_failure(CommandSlot& slot, protocol::nvme::Status status);
  void release(CommandSlot& slot);

  const ConnectionOptions options_;
  std::unique_ptr<CommandExecutor> executor_;
  engine::Instant opened_;  // or established: the host has so long for its next step
  bool is_established_ = false;
  bool answering_connect_ = false;  // the next response is that of an accepted Connect
  QueueBinding binding_;
  std::uint64_t capsules_received_ = 0;
  protocol::nvme_tcp::PduDecoder decoder_;
  CommandSlot* data_slot_ = nullptr;     // whose data arrives; nullptr: thrown away
  CommandSlot* refused_slot_ = nullptr;  // a capsule whose data is thrown away, then it is answered
  CommandSlots slots_;
};

}  // namespace target::nvmf
