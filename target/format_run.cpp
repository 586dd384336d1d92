#include "target/format_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace target {
namespace {

// A full cache has been written back a little by then.
constexpr engine::Duration wait_for_room = std::chrono::milliseconds(100);
constexpr const char* run_cancelled = "the daemon ends";

}  // namespace

FormatRun::FormatRun(block::BlockVolume& volume, Reactor& reactor, Ended ended,
                     engine::ByteCount piece)
    : volume_(volume),
      reactor_(reactor),
      ended_(std::move(ended)),
      blocks_(volume.volume().size().value),
      most_(piece.value / volume.volume().identity().block_size.bytes),
      requests_(*this, reactor),
      timer_([this] { go_on(); }) {
  request_.volume = &volume;
  request_.context = this;
  request_.io.formats = true;
  request_.io.kind = engine::VolumeIo::Kind::deallocate;
}

void FormatRun::start() {
  reactor_.post([self = shared_from_this()] {
    self->self_ = self;
    self->reactor_.add_resident();
    self->volume_.set_format_left(100);
    self->keep(true);
  });
}

void FormatRun::cancel() {
  reactor_.post([self = shared_from_this()] {
    if (self->self_ == nullptr || self->cancelled_) return;
    self->cancelled_ = true;
    self->requests_.end();
    // What else is under way sees it by itself.
    if (!self->timer_.armed()) return;
    self->timer_.disarm();
    self->go_on();
  });
}

void FormatRun::keep(bool formatting) {
  if (cancelled_) return end(run_cancelled);
  volume_.volume().keep_formatting(formatting, [self = shared_from_this(), formatting](
                                                   engine::Result<void, std::string> kept) {
    self->reactor_.post([self, formatting, error = kept ? std::string() : std::move(kept.error())] {
      self->kept(formatting, error);
    });
  });
}

void FormatRun::kept(bool formatting, const std::string& error) {
  if (!error.empty()) return end(error);
  if (!formatting) return end({});
  go_on();
}

void FormatRun::go_on() {
  for (;;) {
    if (cancelled_) return end(run_cancelled);
    volume_.set_format_left(
        static_cast<std::uint8_t>(100 - at_ * 100 / std::max(blocks_, at_ + 1)));
    if (at_ >= blocks_) return keep(false);
    submit();
    if (is_under_way_ || !account()) return;
  }
}

void FormatRun::submit() {
  request_.io.lba = {at_};
  request_.io.blocks = {std::min(most_, blocks_ - at_)};
  is_under_way_ = submitting_ = true;
  requests_.submit_ordered(request_,
                           [](block::VolumeRequest& ended, engine::IoStatus status) noexcept {
                             auto& self = *static_cast<FormatRun*>(ended.context);
                             self.is_under_way_ = false;
                             self.status_ = status;
                             if (!self.submitting_ && self.account()) self.go_on();
                           });
  submitting_ = false;
}

bool FormatRun::account() {
  switch (status_) {
    case engine::IoStatus::ok:
      at_ += request_.io.blocks.value;
      return true;
    case engine::IoStatus::no_room:
      reactor_.expire_after(timer_, wait_for_room);
      return false;
    case engine::IoStatus::cancelled:
      if (cancelled_) {
        end(run_cancelled);
        return false;
      }
      [[fallthrough]];
    default:
      end(fmt::format("block {} could not be made zeros: {}", at_, text(status_)));
      return false;
  }
}

// In a turn of its own: what calls this may be a member's.
void FormatRun::end(const std::string& why) {
  reactor_.post([self = std::move(self_), why] {
    self->reactor_.remove_resident();
    self->ended_(why);
  });
}

}  // namespace target
