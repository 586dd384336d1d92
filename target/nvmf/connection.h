// Connection: one NVMe/TCP connection, from its first byte to its last: handshake, capsules, data
// transfers, digests, limits and time-outs. It knows bytes; what commands mean is its executor's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "protocol/nvme_tcp/data_digest.h"
#include "protocol/nvme_tcp/pdu_decoder.h"
#include "protocol/nvme_tcp/pdu_encoder.h"
#include "target/net/byte_stream.h"
#include "target/nvmf/command.h"
#include "target/nvmf/command_slots.h"
#include "target/nvmf/connection_options.h"
#include "target/nvmf/output_queue.h"
#include "target/reactor/reactor.h"

namespace target::nvmf {

class ConnectionRegistry;

// A state machine over readiness: no call blocks, and nothing is allocated for a command. Made by
// ConnectionRegistry::open and owned by the registry; lives on one reactor for life. After the end
// it stays until every command that the executor holds has been answered (into nothing).
//
// Between receive_from_host() or lease_for_host() and data_ready() a command is the connection's:
// it may answer it itself (SGL refused, data digest error) or drop it (connection ended), and the
// executor does not hear of it again.
class Connection final : public CommandPort, private TurnTask, private Poller {
 public:
  Connection(ConnectionRegistry& registry, std::unique_ptr<ByteStream> stream,
             const ConnectionOptions& options);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Before anything else.
  void start(std::unique_ptr<CommandExecutor> executor);

  // CommandPort
  void receive_from_host(Command& command, std::uint32_t bytes) override;
  void lease_for_host(Command& command, std::uint32_t bytes) override;
  void respond(Command& command, protocol::nvme::Status status, std::uint64_t result) override;
  void respond_with_data(Command& command, std::uint32_t bytes, std::uint64_t result) override;
  [[nodiscard]] bool may_respond_in_place(const Command& command,
                                          std::uint32_t bytes) const override;
  void respond_in_place(Command& command, engine::PinnedRead read) override;
  [[nodiscard]] bool abort_waiting(std::uint16_t command_id) override;
  void bind(const QueueBinding& binding) override;
  void end(EndReason reason) override;
  [[nodiscard]] const LinkInfo& link() const override { return link_; }
  [[nodiscard]] Reactor& reactor() override { return reactor_; }

  // Bytes of transfer buffers that this connection holds.
  [[nodiscard]] std::size_t held_buffer_bytes() const {
    return held_bytes_ + output_.leased_bytes();
  }
  [[nodiscard]] std::size_t output_bytes() const { return output_.bytes(); }
  // Bytes of the cache that its replies keep there.
  [[nodiscard]] std::size_t pinned_bytes() const { return output_.pinned_bytes(); }
  [[nodiscard]] std::uint32_t outstanding_commands() const { return slots_.outstanding(); }

  // The list of the registry.
  Connection* previous = nullptr;
  Connection* next = nullptr;

 private:
  // Told when a transfer buffer has come free.
  struct BufferWait final : engine::BufferWaiter {
    explicit BufferWait(Connection& owner) : connection(owner) {}
    void buffer_available() override { connection.serve_waiting(); }
    void stop() {
      if (is_linked()) unlink();
    }
    Connection& connection;
  };

  // Whether a command gets a buffer now.
  enum class Grant : std::uint8_t {
    yes,
    volume_over_share,      // its volume holds too much
    connection_over_share,  // the connection does
    memory_short,           // little is free, and the connection has something
    no_buffer,              // the pool has none: others wait, or all is taken
  };

  // What this connection has going on one volume.
  struct VolumeUse {
    block::BlockVolume* volume = nullptr;  // nullptr: commands without one
    std::size_t bytes = 0;                 // of buffers that are with the volume
    CommandSlot* first = nullptr;          // of those that wait for a buffer
    CommandSlot* last = nullptr;
  };

  enum class Phase : std::uint8_t {
    initializing,  // ICReq has not come
    serving,
    draining,   // ending: what is queued is being sent, nothing is executed any more
    lingering,  // all is sent: what the host still sends is thrown away until it closes
    closed,
  };
  // What the next received byte belongs to.
  enum class Stage : std::uint8_t { header, data, digest };

  // connection_receive.cpp: from bytes to commands.
  [[nodiscard]] bool poll() override;
  void polling_ended() override;
  void arm_reading();
  [[nodiscard]] bool may_read() const;
  [[nodiscard]] bool receive();
  [[nodiscard]] std::size_t read_limit() const;
  void discard_input();
  void consume(std::span<const std::byte> bytes);
  void consume_held_input();
  [[nodiscard]] std::span<const std::byte> take_header(std::span<const std::byte> bytes);
  [[nodiscard]] std::span<const std::byte> take_data(std::span<const std::byte> bytes);
  [[nodiscard]] std::span<const std::byte> take_digest(std::span<const std::byte> bytes);
  void handle(const protocol::nvme_tcp::Pdu& pdu, std::span<const std::byte> bytes);
  void handle_initialize(const protocol::nvme_tcp::InitializeRequest& request,
                         std::span<const std::byte> bytes);
  void handle_capsule(const protocol::nvme_tcp::CommandCapsule& capsule,
                      std::span<const std::byte> bytes);
  void handle_host_data(const protocol::nvme_tcp::HostData& data, std::span<const std::byte> bytes);
  void data_received(std::size_t bytes);
  void finish_data(bool digest_matches);
  [[nodiscard]] bool lease_for_capsule();
  void begin_sums(CommandSlot& slot, std::uint32_t bytes);

  // connection_transfer.cpp: from commands to bytes.
  void execute(CommandSlot& slot);
  void answer(CommandSlot& slot, protocol::nvme::Status status, std::uint64_t result);
  // C2HData: its header in front of the data; behind it the digest, where there are digests, and
  // the completion, unless SUCCESS in the header stands for it.
  [[nodiscard]] bool begin_data_to_host(const CommandSlot& slot, std::uint32_t bytes,
                                        std::uint64_t result);
  void end_data_to_host(CommandSlot& slot, const protocol::nvme_tcp::DataDigest& digest,
                        bool elided, std::uint64_t result);
  void append_completion(std::uint16_t command_id, protocol::nvme::Status status,
                         std::uint64_t result);
  [[nodiscard]] std::uint16_t reported_sq_head();
  void wait_for_buffer(CommandSlot& slot, std::uint32_t bytes, bool to_host);
  void serve_waiting();
  void stop_needless_waits();
  void serve_capsule();
  void serve_transfers();
  [[nodiscard]] bool serve_volume(std::size_t at);
  [[nodiscard]] Grant lease(CommandSlot& slot, std::uint32_t bytes, bool use_reserve);
  [[nodiscard]] Grant may_hold(const CommandSlot& slot, std::uint32_t bytes) const;
  [[nodiscard]] bool memory_allows(std::uint64_t held, std::uint64_t bytes) const;
  // Of buffers, for as long as its host wants.
  [[nodiscard]] std::uint64_t held_by_host() const {
    return held_bytes_ - bytes_with_volumes_ + output_.leased_bytes();
  }
  void wait_after(Grant denied, std::uint32_t bytes, bool use_reserve);
  [[nodiscard]] VolumeUse& use_of(block::BlockVolume* volume);
  [[nodiscard]] std::size_t bytes_with(const block::BlockVolume* volume) const;
  void give_to_volume(CommandSlot& slot);
  void stop_counting(CommandSlot& slot);
  [[nodiscard]] bool is_admin() const { return !bound_ || binding_.qid == 0; }
  [[nodiscard]] bool waits_for_buffers() const { return waiting_ != 0 || blocked_slot_ != nullptr; }
  void begin_receiving(CommandSlot& slot);
  void request_data(CommandSlot& slot);
  void deliver(CommandSlot& slot);
  void release_buffer(CommandSlot& slot);
  void tell_reserve_waiters();
  void release(CommandSlot& slot);
  void drop_transfers();

  // connection.cpp: life.
  void end_of_turn() override;
  void flush();
  void after_flush();
  void fail(const protocol::nvme_tcp::PduError& error, std::span<const std::byte> bytes);
  void begin_end(EndReason reason, Phase phase);
  void lost(StreamError error);
  void close();
  void log_end();
  void time_passed();
  void watch_for_stall();
  void look_again(engine::Instant deadline);
  [[nodiscard]] bool let_go_of_pins(engine::Instant now);
  [[nodiscard]] bool host_owes() const;
  [[nodiscard]] bool ending() const { return phase_ >= Phase::draining; }
  [[nodiscard]] bool may_answer() const {
    return !ending() || (finishing_ && phase_ == Phase::draining);
  }
  void send_soon() { reactor_.at_turn_end(*this); }

  // Reads of one call of receive(): another connection's turn comes after it.
  static constexpr int most_reads = 4;
  // Data that is read straight into the command's buffer; less is copied there.
  static constexpr std::size_t direct_read_bytes = 1024;
  // Read beside bulk data, so that little of the next bulk must be copied.
  static constexpr std::size_t read_beside_bulk_bytes = 4096;
  static constexpr std::size_t most_iovecs = 256;
  // What one command may take of the registry's reserve.
  static constexpr std::uint32_t largest_reserve_bytes = 64U << 10;
  // What a connection may hold of buffers when memory is short.
  static constexpr std::uint32_t small_bytes = 64U << 10;
  // A reply keeps data in the cache no longer than this: then it is copied.
  static constexpr engine::Duration longest_pin = std::chrono::seconds(2);
  // A capsule that waits for its volume is looked at no more often.
  static constexpr engine::Duration shortest_look = std::chrono::milliseconds(10);

  ConnectionRegistry& registry_;
  Reactor& reactor_;
  const ConnectionOptions options_;
  std::unique_ptr<ByteStream> stream_;
  std::unique_ptr<CommandExecutor> executor_;
  LinkInfo link_;

  Phase phase_ = Phase::initializing;
  EndReason reason_ = EndReason::closed_by_host;
  bool bound_ = false;
  bool executor_told_ = false;
  bool retired_ = false;
  bool answering_connect_ = false;  // the next response is that of an accepted Connect
  bool finishing_ = false;  // ends in order: what the executor still holds is answered to the host
  QueueBinding binding_;
  std::uint64_t capsules_received_ = 0;

  // Receiving.
  protocol::nvme_tcp::PduDecoder decoder_;
  Stage stage_ = Stage::header;
  bool reading_armed_ = false;
  bool output_full_ = false;          // the host does not read: neither do we
  CommandSlot* data_slot_ = nullptr;  // whose data arrives; nullptr: thrown away
  std::uint32_t data_offset_ = 0;     // in the slot's buffer
  std::uint32_t data_left_ = 0;
  std::uint32_t data_pdu_bytes_ = 0;  // data of this PDU
  std::uint32_t data_digest_bytes_ = 0;
  engine::PieceSummer summer_;  // of what carries a digest and is received
  CommandSlot* blocked_slot_ =
      nullptr;  // a capsule whose data waits for a buffer: input stands still
  CommandSlot* refused_slot_ = nullptr;  // a capsule whose data is thrown away, then it is answered
  std::size_t stash_bytes_ = 0;
  std::array<std::byte, protocol::nvme_tcp::largest_pdu_header_bytes> stash_;
  std::vector<std::byte> held_input_;  // received while blocked

  // Commands.
  CommandSlots slots_;
  std::uint32_t executing_ = 0;
  std::uint32_t receiving_ = 0;  // slots with outstanding R2Ts
  std::uint64_t bulk_expected_ = 0;

  // Buffers.
  std::size_t held_bytes_ = 0;          // by commands; what is being sent is counted by the output
  std::size_t bytes_with_volumes_ = 0;  // of held_bytes_: they depend on a disk, not on the host
  std::vector<VolumeUse> uses_;         // those that are not in use are used again
  std::size_t first_served_ = 0;        // of uses_: each is the first in turn
  std::uint32_t waiting_ = 0;           // commands that wait for a buffer
  bool serving_waiting_ = false;
  bool serve_again_ = false;
  BufferWait pool_wait_;     // for any buffer at all
  BufferWait memory_wait_;   // until more is free
  BufferWait reserve_wait_;  // for the reserve

  // Sending.
  OutputQueue output_;
  bool write_blocked_ = false;

  // Time.
  Timer timer_;
  engine::Instant opened_;
  engine::Instant last_received_;
  engine::Instant last_sent_;
  engine::Instant end_deadline_;
};

}  // namespace target::nvmf
