// VolumeCopy: copies blocks of one volume to another, or to others of its own, without a host
// seeing them: what NVMe's Copy and SCSI's EXTENDED COPY share.
#pragma once

#include <cstdint>

#include "engine/foundation/units.h"
#include "target/block/block_volume.h"
#include "target/block/volume_request.h"

namespace target::block {

// Piece by piece through one buffer that is held for one piece only, each in a later turn: neither
// the stack nor a turn gets longer by long copies. Each piece waits for what the limits of both
// volumes ask of it, and for its place in the destination's write order, which it has from before
// it is read until it is written. Nothing is ordered between pieces. Reactor thread only; stays
// until it has ended.
class VolumeCopy {
 public:
  enum class End : std::uint8_t {
    done,
    read_failed,
    write_failed,
    no_room,    // there is no buffer for it now: it may be tried again later
    cancelled,  // its owner may not go on, or its requests have come to their end
  };
  class Owner {
   public:
    // Asked before each step. False: it ends, cancelled.
    [[nodiscard]] virtual bool may_go_on(const VolumeCopy& copy) const = 0;
    // So much more is durable.
    virtual void copied(VolumeCopy& /*copy*/, std::uint64_t /*bytes*/) {}
    // Once for each start(), maybe from inside of it; another may be started from here, or `copy`
    // destroyed. `outcome`: of the read or write that failed.
    virtual void copy_ended(VolumeCopy& copy, End end, engine::IoStatus outcome) noexcept = 0;

   protected:
    ~Owner() = default;
  };
  struct Blocks {
    BlockVolume* from = nullptr;
    BlockVolume* to = nullptr;
    engine::Lba from_first;
    engine::Lba to_first;
    std::uint64_t bytes = 0;  // whole blocks of both; not 0
  };

  // All outlive it.
  VolumeCopy(Owner& owner, VolumeRequests& requests, Reactor& reactor)
      : owner_(owner), requests_(requests), reactor_(reactor), turn_(*this) {}
  VolumeCopy(const VolumeCopy&) = delete;
  VolumeCopy& operator=(const VolumeCopy&) = delete;

  // They exist, and stay until it has ended. Not while it copies.
  void start(const Blocks& blocks);
  // True: it waited, for its place in the order or by the limits of a volume, and does no more; the
  // owner does not hear of it.
  [[nodiscard]] bool take_back();

 private:
  struct Turn final : Posted {
    explicit Turn(VolumeCopy& whose) : copy(whose) {}
    void run() override { copy.pay_for_reading(); }
    VolumeCopy& copy;
  };

  [[nodiscard]] std::uint64_t piece_bytes() const;
  void next_piece() { reactor_.post(turn_); }
  void pay_for_reading();
  void pay_for_writing();
  void take_place();
  static void may_read(VolumeRequest& request) noexcept;
  static void may_write(VolumeRequest& request) noexcept;
  static void in_place(VolumeRequest& request) noexcept;
  static void read_done(VolumeRequest& request, engine::IoStatus outcome) noexcept;
  static void written(VolumeRequest& request, engine::IoStatus outcome) noexcept;
  static void refused(VolumeRequest& request, engine::IoStatus outcome) noexcept;
  void end(End how, engine::IoStatus outcome = engine::IoStatus::ok);

  Owner& owner_;
  VolumeRequests& requests_;
  Reactor& reactor_;
  Turn turn_;
  Blocks left_;
  engine::HoldCount::Hold of_source_;
  engine::HoldCount::Hold of_destination_;
  // `destination_` holds the place in the order, and writes; `source_` reads, into the buffer of
  // the other.
  VolumeRequest source_;
  VolumeRequest destination_;
};

}  // namespace target::block
