// FormatRun: makes every block of a volume zeros, piece by piece, so that a crash at any moment
// leaves either all that was there, or a volume that its pool knows to be zeros.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "target/block/block_volume.h"
#include "target/block/volume_request.h"
#include "target/reactor/reactor.h"

namespace target {

// Of a volume that is_formatting() already: nobody else's requests are begun. Kept by the pool
// first (from there on all of it counts as zeros), then zeroed in the volume's write order (what
// was under way when the formatting began comes before), then kept no more. Works on one reactor
// beside its connections, as one more of them.
class FormatRun final : public std::enable_shared_from_this<FormatRun>,
                        private block::VolumeRequests::Owner {
 public:
  // On the reactor's thread. `why`: empty if all is done; else a sentence, and the formatting is to
  // be run again.
  using Ended = std::function<void(const std::string& why)>;
  // Holds the volume; the reactor outlives it. `piece`: what one request covers; it costs a cache
  // as much memory.
  FormatRun(block::BlockVolume& volume, Reactor& reactor, Ended ended,
            engine::ByteCount piece = block::largest_zeroing);

  // Any thread. Once.
  void start();
  // Any thread. It ends soon, unless it has.
  void cancel();

 private:
  [[nodiscard]] bool may_start() const override { return !cancelled_; }
  void keep(bool formatting);
  void kept(bool formatting, const std::string& error);
  void go_on();
  void submit();
  // False: that has ended it, or it waits.
  [[nodiscard]] bool account();
  void end(const std::string& why);

  block::BlockVolume& volume_;
  const engine::HoldCount::Hold hold_{volume_.holds().take()};
  Reactor& reactor_;
  const Ended ended_;
  const std::uint64_t blocks_;
  const std::uint64_t most_;  // blocks of a piece

  // The reactor's thread.
  std::shared_ptr<FormatRun> self_;  // while it runs
  block::VolumeRequests requests_;
  block::VolumeRequest request_;
  Timer timer_;
  engine::IoStatus status_ = engine::IoStatus::ok;
  bool cancelled_ = false;
  bool submitting_ = false;
  bool is_under_way_ = false;
  std::uint64_t at_ = 0;  // block
};

}  // namespace target
