// PduConnection: the life of a connection that is a stream of PDUs (header, data, digests), from
// its first byte to its last: reading, buffers, sending, limits and time-outs. What PDUs mean is
// the derived class's, one for each protocol.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/foundation/piece_sums.h"
#include "target/block/volume_request.h"
#include "target/net/byte_stream.h"
#include "target/net/command_tally.h"
#include "target/net/connection_registry.h"
#include "target/net/end_reason.h"
#include "target/net/link_info.h"
#include "target/net/output_queue.h"
#include "target/net/transfer_buffers.h"
#include "target/reactor/reactor.h"

namespace target {

// What a listener prescribes to its connections, whatever their protocol.
struct PduConnectionLimits {
  // Replies waiting for the host to read them; beyond it the host's commands are not read either.
  std::size_t output_bound_bytes = 4U << 20;
  // Transfer buffers that a host which does not read its replies, or does not send its data, can
  // tie up, together with what its replies keep pinned in the cache, and as much again with each
  // volume; less when memory is short. One command beside nothing else may have more.
  std::size_t buffer_ceiling_bytes = 4U << 20;
  // No byte arrives although the host owes some (the rest of a PDU, data that it was asked for), or
  // none leaves although replies wait. Who owes nothing may be silent for ever. 0: no limit.
  engine::Duration stall_timeout = std::chrono::seconds(30);
  // After the last reply the host has so long to close first.
  engine::Duration linger = std::chrono::seconds(2);
};

// A state machine over readiness: no call blocks, and nothing is allocated for a command. Added to
// a ConnectionRegistry, which owns it from then on; lives on one reactor for life. After the end it
// stays until every command that is being executed has ended (into nothing).
//
// A derived class gets one call for each header (take_header), in which it says what data follows
// (expect_data) and where that goes (receive_into, or buffers().wait_in_stream), and one when the
// data and its digest are there (data_complete). It appends what it has to say to output() and
// calls send_soon(). It keeps count of the commands that somebody else holds (command_began,
// command_ended), and of those whose data it has asked the host for (data_asked_for..).
class PduConnection : private TurnTask, private Poller, protected TransferBuffers::Owner {
 public:
  PduConnection(const PduConnection&) = delete;
  PduConnection& operator=(const PduConnection&) = delete;
  virtual ~PduConnection();

  // Sends what is queued, then closes. For EndReason::stopping, what is still being executed is
  // answered first.
  void end(EndReason reason) { begin_end(reason, Phase::draining); }
  // Its host has been asked to leave, and has been promised time for it: it ends then.
  [[nodiscard]] virtual bool ends_by_itself() const { return false; }

  [[nodiscard]] const LinkInfo& link() const { return link_; }
  [[nodiscard]] Reactor& reactor() { return reactor_; }

  // Bytes of transfer buffers that this connection holds.
  [[nodiscard]] std::size_t held_buffer_bytes() const {
    return buffers_.held_bytes() + output_.leased_bytes();
  }
  [[nodiscard]] std::size_t output_bytes() const { return output_.bytes(); }
  // Bytes of the cache that its replies keep there.
  [[nodiscard]] std::size_t pinned_bytes() const { return output_.pinned_bytes(); }

 protected:
  enum class Phase : std::uint8_t {
    serving,
    draining,   // ending: what is queued is being sent, nothing is executed any more
    lingering,  // all is sent: what the host still sends is thrown away until it closes
    closed,
  };
  struct Protocol {
    // Largest header with all that belongs to it (header digest, additional segments).
    std::size_t largest_header_bytes = 0;
    // By what a host shows who it is, for the log: "Connect".
    const char* introduction = "";
    WireProtocol counted_as = WireProtocol::nvme_tcp;
  };
  struct TimeLimit {
    engine::Instant at;
    EndReason reason = EndReason::idle_timeout;
  };
  // What follows a header.
  struct PduData {
    std::uint32_t bytes = 0;
    std::uint32_t padding = 0;  // behind them, at most 3; under the digest
    bool has_digest = false;    // CRC-32C behind that, if there are bytes at all
  };

  // `registry` outlives it. `listener`: its name in the configuration.
  PduConnection(ConnectionRegistry& registry, std::unique_ptr<ByteStream> stream,
                const std::string& listener, const PduConnectionLimits& limits,
                const Protocol& protocol);

  // What a protocol adds.

  // Takes one header from the front of `bytes`, which is all there is so far: handles it and
  // returns how long it was. 0: more is needed; it is called again with what it has seen, and more.
  // If the header is none: ends the connection, and returns whatever it likes.
  [[nodiscard]] virtual std::size_t take_header(std::span<const std::byte> bytes) = 0;
  // All data that expect_data() announced has come, with padding and digest. `digest_matches` is
  // true also where there was no digest, and says nothing of data that was thrown away.
  virtual void data_complete(bool digest_matches) = 0;
  // Called once, at the end of the turn in which the connection ended: nothing is executed from
  // here on, nobody waits for a buffer. What is being executed still has to end.
  virtual void ended(EndReason reason) = 0;
  // Until when the host must have done what; nullopt: no limit now.
  [[nodiscard]] virtual std::optional<TimeLimit> time_limit() const { return std::nullopt; }
  // The host has stalled, and only the rest of the header `front` was waited for: true if something
  // is wrong with what has come, which has ended the connection.
  [[nodiscard]] virtual bool fail_unfinished(std::span<const std::byte> /*front*/) { return false; }

  // For derived classes.

  // Before anything else, when the connection is fit to serve.
  void start();
  // The host has shown who it is: its place is not taken away for another's, and it may be silent.
  void settle();
  [[nodiscard]] bool is_settled() const { return is_settled_; }

  // From within take_header(). All data is thrown away, until one says where it goes.
  void expect_data(const PduData& data);
  // From within take_header(), or when a buffer was granted to the stream: to `place`, which has
  // room for it. `summer`: of data with a digest, where it lies in what its sums are of.
  void receive_into(std::byte* place, const engine::PieceSummer& summer = {}) {
    data_place_ = place;
    summer_ = summer;
  }
  // What is left of this PDU's data has lost its place.
  void throw_data_away() { data_place_ = nullptr; }
  [[nodiscard]] std::uint32_t pdu_data_bytes() const { return pdu_data_bytes_; }

  // A command has been given to whoever executes it; it has ended, or is the connection's again.
  void command_began() { ++executing_; }
  void command_ended() { --executing_; }
  // The host owes data of one more command; it owes none of it any more.
  void data_asked_for() {
    if (owing_++ == 0) last_received_ = reactor_.now();
  }
  void data_arrived() { --owing_; }
  // So many bytes of data are going to come, by what was asked for; so many of them have.
  void expect_bulk(std::uint64_t bytes) { bulk_expected_ += bytes; }
  void bulk_arrived(std::uint64_t bytes) { bulk_expected_ -= bytes; }

  // At the end of this turn.
  void send_soon() { reactor_.at_turn_end(*this); }
  // Called whenever one side begins to owe something; costs nothing while the timer runs. (It may
  // still run for a time-out that lies further ahead.)
  void watch_for_stall();
  // Time-outs are looked at no later.
  void look_again(engine::Instant deadline) final;
  // What time_limit() says has changed.
  void watch_time_limit() {
    if (const auto limit = time_limit()) look_again(limit->at);
  }

  // From here on nothing is executed. `phase` is draining, or closed when nothing can be sent.
  void begin_end(EndReason reason, Phase phase);
  [[nodiscard]] bool ending() const { return phase_ >= Phase::draining; }
  // Answers still reach the host.
  [[nodiscard]] bool may_answer() const {
    return !ending() || (finishing_ && phase_ == Phase::draining);
  }

  [[nodiscard]] OutputQueue& output() { return output_; }
  [[nodiscard]] const OutputQueue& output() const { return output_; }
  [[nodiscard]] TransferBuffers& buffers() { return buffers_; }
  [[nodiscard]] const TransferBuffers& buffers() const { return buffers_; }
  [[nodiscard]] ConnectionCounters& counters() final { return counters_; }
  [[nodiscard]] LogLimit& log_limit() { return registry_.log_limit(); }
  // A command has been answered, or goes without an answer; before its request is used again.
  // Nothing where no volume is known.
  void count_answered(block::VolumeRequest& request, const block::AnsweredCommand& command);
  // The same of one that ended well and has a volume, as every read and write that ends well has;
  // few instructions where `kind` is known.
  [[gnu::always_inline]] void count_success(block::VolumeRequest& request, block::CommandKind kind,
                                            std::uint64_t bytes) {
    if (!tally_.add_alike(kind, request.started, bytes)) [[unlikely]]
      count_unlike(request, kind, bytes);
  }
  void count_dropped(block::VolumeRequest& request);
  // Where what is answered well is counted from now on, too; they live as long as what executes its
  // commands.
  void count_for_host(HostCounters& host) { tally_.count_for(host); }
  // To write down what was settled.
  [[nodiscard]] LinkInfo& wire_link() { return link_; }

  // TransferBuffers::Owner; the rest of it is the derived class's.
  void stream_goes_on() final;
  [[nodiscard]] bool stream_uses_reserve() const final { return owing_ != 0 || uses_reserve(); }
  [[nodiscard]] bool is_ending() const final { return ending(); }

 private:
  friend class ConnectionRegistry;

  // What the next received byte belongs to.
  enum class Stage : std::uint8_t { header, data, trailer };

  // pdu_connection_receive.cpp: from bytes to PDUs.
  [[nodiscard]] bool poll() override;
  void polling_ended() override;
  void arm_reading();
  [[nodiscard]] bool may_read() const;
  [[nodiscard]] bool receive();
  void take_security();
  [[nodiscard]] std::size_t read_limit() const;
  void discard_input();
  void consume(std::span<const std::byte> bytes);
  void consume_held_input();
  [[nodiscard]] std::span<const std::byte> take_from_header(std::span<const std::byte> bytes);
  [[nodiscard]] std::span<const std::byte> take_data(std::span<const std::byte> bytes);
  [[nodiscard]] std::span<const std::byte> take_trailer(std::span<const std::byte> bytes);
  void data_received(std::size_t bytes);
  void finish_data(bool digest_matches);

  // pdu_connection.cpp: life.
  void end_of_turn() override;
  void flush();
  void after_flush();
  void lost(StreamError error);
  void close();
  void log_end();
  void time_passed();
  [[nodiscard]] bool let_go_of_pins(engine::Instant now);
  [[nodiscard]] bool host_owes() const;
  // One that ended well, but may be the first of its kind, be timed, or be of no volume.
  [[gnu::noinline]] void count_unlike(block::VolumeRequest& request, block::CommandKind kind,
                                      std::uint64_t bytes);
  // One that did not end well, or whose stages are timed.
  void count_for_itself(block::VolumeRequest& request, const block::AnsweredCommand& command);
  void count_stages(block::StageCounters& stages, const block::VolumeRequest& request,
                    engine::Instant began);

  static constexpr std::size_t digest_bytes = 4;
  static constexpr std::size_t most_trailer_bytes = 3 + digest_bytes;
  // Reads of one call of receive(): another connection's turn comes after it.
  static constexpr int most_reads = 4;
  // Data that is read straight to its place; less is copied there.
  static constexpr std::size_t direct_read_bytes = 1024;
  // Read beside bulk data, so that little of the next bulk must be copied.
  static constexpr std::size_t read_beside_bulk_bytes = 4096;
  static constexpr std::size_t most_iovecs = 256;
  // A reply keeps data in the cache no longer than this: then it is copied.
  static constexpr engine::Duration longest_pin = std::chrono::seconds(2);

  ConnectionRegistry& registry_;
  Reactor& reactor_;
  const PduConnectionLimits limits_;
  const char* const introduction_;
  ConnectionCounters& counters_;
  std::unique_ptr<ByteStream> stream_;
  LinkInfo link_;
  // The list of the registry.
  PduConnection* previous_ = nullptr;
  PduConnection* next_ = nullptr;

  Phase phase_ = Phase::serving;
  EndReason reason_ = EndReason::closed_by_host;
  bool is_settled_ = false;
  bool told_ended_ = false;
  bool retired_ = false;
  bool finishing_ = false;  // ends in order: what is being executed is answered to the host

  // Receiving.
  Stage stage_ = Stage::header;
  bool reading_armed_ = false;
  bool nothing_received_ = true;
  bool output_full_ = false;  // the host does not read: neither do we
  bool has_digest_ = false;
  std::uint32_t padding_ = 0;
  std::uint32_t pdu_data_bytes_ = 0;  // data of this PDU
  std::uint32_t data_left_ = 0;
  std::byte* data_place_ = nullptr;  // of the next byte of data; nullptr: thrown away
  engine::PieceSummer summer_;       // of what carries a digest and is received
  std::size_t stash_bytes_ = 0;
  std::vector<std::byte> stash_;       // the front of a header, or of a trailer
  std::vector<std::byte> held_input_;  // received while the stream waits for a buffer

  // Commands.
  std::uint32_t executing_ = 0;
  std::uint32_t owing_ = 0;  // commands of which the host owes data
  std::uint64_t bulk_expected_ = 0;

  CommandTally tally_;

  // Sending.
  OutputQueue output_;
  bool write_blocked_ = false;

  TransferBuffers buffers_;

  // Time.
  Timer timer_;
  engine::Instant last_received_;
  engine::Instant last_sent_;
  engine::Instant end_deadline_;
};

}  // namespace target
