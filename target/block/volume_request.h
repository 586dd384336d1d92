// VolumeRequest: what a command asks of a volume, with its turn by the volume's limits, its place
// among overlapping writes and the buffers that it needs beside its own. Who serves a protocol's
// queue or nexus has one VolumeRequests for all of its commands.
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/foundation/clock.h"
#include "engine/media/buffer_pool.h"
#include "engine/volume/volume.h"
#include "target/block/block_volume.h"
#include "target/block/extent.h"
#include "target/block/write_order.h"
#include "target/reactor/reactor.h"

namespace target::block {

class VolumeRequests;

// Embedded in a command's slot and used for one command after the other: nothing is allocated for
// it. From a call of VolumeRequests until `done` (or `in_place`) it is not its owner's to touch.
struct VolumeRequest {
  VolumeRequest() : admission(*this), stall(*this) {}
  VolumeRequest(const VolumeRequest&) = delete;
  VolumeRequest& operator=(const VolumeRequest&) = delete;

  using Done = void (*)(VolumeRequest& request, engine::IoStatus outcome) noexcept;
  using InPlace = void (*)(VolumeRequest& request) noexcept;

  // The owner's. `io`: what is to be done, but for `io.done`, which is VolumeRequests' own.
  BlockVolume* volume = nullptr;
  engine::VolumeIo io;
  // The owner's pointer back to itself.
  void* context = nullptr;
  // While `volume` is not null: when the command began, as its run says (CommandRun); of one whose
  // stages are timed, timed_mark later, so that it is not taken for one of the others.
  engine::Instant started;
  static constexpr engine::Duration timed_mark{std::int64_t{1} << 62};
  // Only of a command whose stages are timed (io.is_timed): when the first was asked of the volume,
  // and when the last was done, by the reactor's turns and the commits in them; and how long it was
  // held back by the volume's limits.
  engine::Instant began;
  engine::Instant ended;
  engine::Duration held{};
  bool is_timed_for_reactor = false;
  // A second buffer, for what is read from the volume beside the command's data: see
  // VolumeRequests::lease_second().
  engine::BufferLease second;

  // The rest is VolumeRequests' own.
  enum class Stage : std::uint8_t {
    idle,       // the owner's, without a place in the order
    held_back,  // by its volume's limits
    waiting,    // for its place
    held,       // the owner's, and in its place
    running,    // the volume's
  };
  // Another thread has given it its place: its reactor is told.
  struct Admission final : Posted {
    explicit Admission(VolumeRequest& owner) : request(owner) {}
    void run() override;
    VolumeRequest& request;
  };
  // Its volume's disk does not answer, and is not asked.
  struct Stall final : engine::TakeBack {
    explicit Stall(VolumeRequest& owner) : request(owner) {}
    void take_back() override;
    VolumeRequest& request;
    engine::Instant since;  // Instant{}: it is not stalled
    bool is_taken_back = false;
  };
  // Of a place in the order.
  enum class Place : std::uint8_t {
    none,
    until_done,
    until_leave,
  };
  // What is to be done when the volume has done it, beside answering; most need nothing of it.
  static constexpr std::uint8_t gives_back_verify_bytes = 1;
  static constexpr std::uint8_t has_waited_for_room = 2;
  static constexpr std::uint8_t tells_its_times = 4;
  static constexpr std::uint8_t has_stalled = 8;
  std::uint8_t duties = 0;
  Stage stage = Stage::idle;
  Place place = Place::none;
  std::size_t next_piece = 0;
  std::uint64_t verify_bytes = 0;  // that the engine needs of the volume's share
  Done done = nullptr;
  InPlace in_place = nullptr;
  OrderedWrite order;
  VolumeRequests* requests = nullptr;
  Admission admission;
  boost::intrusive::list_member_hook<> waiting_hook;
  Toll toll;
  boost::intrusive::set_member_hook<> held_back_hook;
  // While the volume has it and has no room for it, or its disk does not answer.
  engine::TakeBack* take_back = nullptr;
  engine::Instant held_since;  // what it asked for last, and had to wait with
  boost::intrusive::list_member_hook<> without_room_hook;
  Stall stall;
  boost::intrusive::list_member_hook<> stalled_hook;
};

// One for each queue or nexus; reactor thread only, but for what a WriteOrder tells it, which it
// posts. Lives until every request has ended.
//
// What is ordered waits for every write that overlaps it and came before, whichever protocol, host
// or path that came by (P4); reads are not ordered, as no protocol here asks for it.
//
// `done` is called once for each request, on the reactor's thread, maybe from inside the call that
// began it; the request may be used again from there. Outcome `cancelled`: not everything of it was
// done, because the owner may not start anything any more (Owner::may_start). `formatting`: also of
// what would have to wait for its place, without a wait. Only what was asked
// for in pieces may have been done in part.
//
// Invariants: a request in an order is in `waiting_` until it is admitted or cancelled; what waits
// is not started once the owner says that it may not. A request in `held_back_` has no place in any
// order; while there is one, the timer is armed for the first of them.
class VolumeRequests {
 public:
  class Owner {
   public:
    // Whether what has waited may start: asked when a place comes free, and between pieces. False
    // for good after end().
    [[nodiscard]] virtual bool may_start() const = 0;

   protected:
    ~Owner() = default;
  };
  using Done = VolumeRequest::Done;
  using InPlace = VolumeRequest::InPlace;

  // Both outlive it.
  VolumeRequests(Owner& owner, Reactor& reactor)
      : owner_(owner),
        reactor_(reactor),
        turn_timer_([this] { let_go_of_due(); }),
        stall_timer_([this] { look_at_stalled(); }) {}
  VolumeRequests(const VolumeRequests&) = delete;
  VolumeRequests& operator=(const VolumeRequests&) = delete;
  ~VolumeRequests();

  // Pays what the limits of request.volume ask for `traffic`. Before everything else: who is held
  // back by them should have no buffer that he could do without. True: go on, nobody is called.
  // False: it is held back; `let_go` is called when it is its turn, or `refused` with outcome
  // `cancelled`. What it has paid is paid, whatever becomes of it then.
  [[nodiscard]] bool within_limits(VolumeRequest& request, const Traffic& traffic, InPlace let_go,
                                   Done refused);
  // Calls `refused` of all that are held back, and holds nobody back from now on: the owner comes
  // to its end, and what it still has must too.
  void refuse_held_back();

  // request.io, at once. Also within a place that hold() got: the place stays until leave().
  void submit(VolumeRequest& request, Done done);
  // request.io of kind verify. False: its volume holds too much of the buffers now, and nothing
  // was begun.
  [[nodiscard]] bool submit_verify(VolumeRequest& request, Done done);
  // request.io when it is in its place in the volume's write order, which it leaves before `done`.
  void submit_ordered(VolumeRequest& request, Done done);
  // request.io for each piece in turn, with one place for all: nobody's write comes between the
  // first and the last. `pieces` are not empty, and as of join(); they stay where they are until
  // `done`. The first outcome that is not ok ends it.
  void submit_pieces(VolumeRequest& request, std::span<const Extent> pieces, Done done);

  // Takes a place in the order for those blocks (not none) and keeps it, for what is done in
  // several steps that no other write may come between: `in_place` is called once it has it, maybe
  // from inside. Then any number of submit(), one after the other, and leave().
  //
  // Outcome `cancelled` is told by `refused` instead: no place is held then.
  void hold(VolumeRequest& request, const Extent& blocks, InPlace in_place, Done refused);
  // Not while a submit() is under way.
  void leave(VolumeRequest& request);

  // Takes a request back that is held back, or waits for its place: true, and it is the owner's
  // again; none of `let_go`, `done`, `in_place` and `refused` will be called. False: it does not
  // wait (any more).
  [[nodiscard]] bool cancel(VolumeRequest& request);
  // The first of those that wait, or are held back, for which `which(request)` holds, each in their
  // order; nullptr.
  template <class F>
  [[nodiscard]] VolumeRequest* find_waiting(F&& which) {
    for (VolumeRequest& request : waiting_) {
      if (which(request)) return &request;
    }
    for (VolumeRequest& request : held_back_) {
      if (which(request)) return &request;
    }
    return nullptr;
  }
  // Has a request end soon, with `cancelled`, that the volume holds because it has no room for it;
  // false: it does not (any more).
  [[nodiscard]] static bool take_back(VolumeRequest& request) {
    if (request.take_back == nullptr) return false;
    request.take_back->take_back();
    return true;
  }
  // As find_waiting(), among those.
  template <class F>
  [[nodiscard]] VolumeRequest* find_without_room(F&& which) {
    for (VolumeRequest& request : without_room_) {
      if (which(request)) return &request;
    }
    return nullptr;
  }
  // Ends all that wait, with `cancelled`. From now on the owner's may_start() is false.
  void end();

  // Leases request.second, with room for `bytes`, and counts it towards what the volume holds.
  // False: there is none now, and the command is to be tried again later. It is not waited for: who
  // holds one buffer and waits for another may wait for ever.
  [[nodiscard]] bool lease_second(VolumeRequest& request, std::uint64_t bytes);
  // Not while a request is under way; nothing if it has none. Before the command is answered.
  void release_second(VolumeRequest& request);

 private:
  friend struct VolumeRequest::Admission;
  friend struct VolumeRequest::Stall;
  using Waiting = boost::intrusive::list<
      VolumeRequest,
      boost::intrusive::member_hook<VolumeRequest, boost::intrusive::list_member_hook<>,
                                    &VolumeRequest::waiting_hook>,
      boost::intrusive::constant_time_size<false>>;
  using WithoutRoom = boost::intrusive::list<
      VolumeRequest,
      boost::intrusive::member_hook<VolumeRequest, boost::intrusive::list_member_hook<>,
                                    &VolumeRequest::without_room_hook>,
      boost::intrusive::constant_time_size<false>>;
  using Stalled = boost::intrusive::list<
      VolumeRequest,
      boost::intrusive::member_hook<VolumeRequest, boost::intrusive::list_member_hook<>,
                                    &VolumeRequest::stalled_hook>,
      boost::intrusive::constant_time_size<false>>;
  struct ByTurn {
    using type = engine::Instant;
    engine::Instant operator()(const VolumeRequest& request) const { return request.toll.turn; }
  };
  using HeldBack = boost::intrusive::multiset<
      VolumeRequest,
      boost::intrusive::member_hook<VolumeRequest, boost::intrusive::set_member_hook<>,
                                    &VolumeRequest::held_back_hook>,
      boost::intrusive::key_of_value<ByTurn>, boost::intrusive::constant_time_size<false>>;

  void note_beginning(VolumeRequest& request) {
    if (request.io.is_timed) [[unlikely]]
      note_timed_beginning(request);
  }
  [[gnu::cold]] void note_timed_beginning(VolumeRequest& request);

  void hold_back(VolumeRequest& request);
  // It is the owner's again.
  void end_hold(VolumeRequest& request);
  void watch_turns();
  void let_go_of_due();
  void follow_changed_limits(engine::Instant now);
  void start(VolumeRequest& request);
  void enter(VolumeRequest& request, const Extent& hull, std::span<const Extent> pieces);
  void refuse_if_formatting(VolumeRequest& request);
  void in_order(VolumeRequest& request);
  void admitted(VolumeRequest& request);
  void start_next_piece(VolumeRequest& request);
  static void begin_wait(engine::VolumeIo& io, engine::TakeBack& take_back) noexcept;
  void end_wait(VolumeRequest& request);
  // Until its disk answers, somebody takes it back, or it has been held for long enough.
  void stall(VolumeRequest& request);
  void look_at_stalled();
  // True: it has ended, or is the volume's.
  [[nodiscard]] bool end_stall(VolumeRequest& request);
  static void completed(engine::VolumeIo& io, engine::IoStatus outcome) noexcept;
  void complete(VolumeRequest& request, engine::IoStatus outcome);
  void do_duties(VolumeRequest& request);

  Owner& owner_;
  Reactor& reactor_;
  Waiting waiting_;
  WithoutRoom without_room_;
  HeldBack held_back_;  // by whose turn it is first
  bool holds_back_ = true;
  Timer turn_timer_;
  Stalled stalled_;  // in the order they came; all of them in without_room_ too
  Timer stall_timer_;
};

// The commands that begin from now on in this turn are for that volume.
[[gnu::noinline]] void begin_run(BlockVolume& volume, Reactor& reactor);
// The command of `request` is for that volume from now on, until it has been answered or dropped.
[[gnu::cold]] void move_command(VolumeRequest& request, BlockVolume& volume, Reactor& reactor);
[[gnu::cold]] void begin_timed_command(VolumeRequest& request, const Reactor& reactor);
[[gnu::always_inline]] inline void begin_command(VolumeRequest& request, BlockVolume& volume,
                                                 Reactor& reactor) {
  // Each step of a command asks for it again.
  if (request.volume == &volume) return;
  if (request.volume != nullptr) [[unlikely]]
    return move_command(request, volume, reactor);
  request.volume = &volume;
  const CommandRun& run = reactor.command_run();
  if (run.whose != &volume) [[unlikely]]
    begin_run(volume, reactor);
  request.started = run.began;
  if (run.counter->add()) [[unlikely]]
    begin_timed_command(request, reactor);
}
// When it began; while its volume is not null.
[[nodiscard]] inline engine::Instant began(const VolumeRequest& request) {
  const engine::Duration started = request.started.since_start;
  const bool is_marked = started >= VolumeRequest::timed_mark;
  return {is_marked ? started - VolumeRequest::timed_mark : started};
}
// Its times have been told, or go untold.
void forget_times(VolumeRequest& request);

}  // namespace target::block
