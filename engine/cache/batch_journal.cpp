#include "engine/cache/batch_journal.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

constexpr std::uint64_t block_bytes = 4096;

std::uint64_t whole_blocks(std::uint64_t bytes) {
  return (bytes + block_bytes - 1) / block_bytes * block_bytes;
}

std::string why(IoStatus status) {
  return status == IoStatus::capacity_exceeded ? "no space on its pool" : text(status);
}

}  // namespace

BatchJournal::BatchJournal(BackingJournal& journal, const PmemRegion& region, IoLane& lane,
                           std::function<void()> told, ByteCount frame)
    : journal_(journal), region_(region), lane_(lane), told_(std::move(told)), frame_(frame) {
  CHECK(frame.value % block_bytes == 0 && frame > JournalFrame::head);
  for (Slot& slot : slots_) slot.owner = this;
  sync_.owner = this;
}

BatchJournal::~BatchJournal() { CHECK(in_flight_ == 0); }

void BatchJournal::begin(const WriteBackBatch& batch, const BackingMark& mark,
                         const JournalPlace& keep) {
  CHECK(in_flight_ == 0);
  batch_ = &batch;
  position_ = {};
  number_ = 0;
  count_ = 0;
  is_synced_ = false;
  error_.clear();
  ByteCount bytes;
  // A batch without pieces has a frame, too: it says whose it is.
  for (Position at; at.piece < batch.pieces().size() || count_ == 0; ++count_) {
    bytes = bytes + frame_bytes(next_frame(at));
  }
  const bool is_free = keep.bytes.value == 0 || bytes.value <= keep.offset.value ||
                       !GUARD("journal beside the one that counts");
  mark_ = mark;
  mark_.state = BackingMark::State::journalled;
  mark_.journal.offset = is_free ? MediaOffset{} : keep.end();
  mark_.journal.bytes = bytes;
  place_ = mark_.journal.offset;
}

BatchJournal::State BatchJournal::go_on() {
  for (Slot& slot : slots_) {
    if (!error_.empty() || number_ == count_) break;
    if (!slot.in_use && has_space() && fill(slot)) submit(slot);
  }
  if (in_flight_ > 0) return State::writing;
  if (!error_.empty()) return State::failed;
  if (is_synced_) return State::written;
  is_synced_ = true;
  if (GUARD("journal synced before the marker")) sync();
  return in_flight_ > 0 ? State::writing : State::written;
}

// Data of whole pieces or parts of them, as much as fits; zeros have none.
std::vector<BatchJournal::Part> BatchJournal::next_frame(Position& position) const {
  const std::vector<DirtyPiece>& pieces = batch_->pieces();
  std::vector<Part> parts;
  std::uint64_t room = (frame_ - JournalFrame::head).value / sector_bytes;
  while (position.piece < pieces.size() && parts.size() < JournalFrame::most_pieces) {
    const DirtyPiece& piece = pieces[position.piece];
    const bool is_data = batch_->keys()[piece.key].kind == DirtyKey::Kind::data;
    const std::uint64_t rest = (piece.range.count - position.done).value;
    const std::uint64_t taken = is_data ? std::min(rest, room) : rest;
    if (taken == 0) break;
    parts.push_back({.key = piece.key, .range = {piece.range.begin + position.done, {taken}}});
    if (is_data) room -= taken;
    position.done = position.done + SectorCount{taken};
    if (taken == rest) position = {.piece = position.piece + 1, .done = {}};
  }
  return parts;
}

ByteCount BatchJournal::frame_bytes(const std::vector<Part>& parts) const {
  std::uint64_t data = 0;
  for (const Part& part : parts) {
    const bool is_data = batch_->keys()[part.key].kind == DirtyKey::Kind::data;
    if (is_data) data += part.range.count.value * sector_bytes;
  }
  return {JournalFrame::head.value + whole_blocks(data)};
}

bool BatchJournal::has_space() {
  for (Slot& slot : slots_) {
    if (!slot.space.bytes().empty()) continue;
    auto space = lane_.buffers().lease(frame_);
    if (!space) {
      error_ = "there is no memory for it now";
      return false;
    }
    slot.space = std::move(*space);
  }
  return true;
}

// Copied under guard: bad memory ends the batch, and nothing else.
bool BatchJournal::fill(Slot& slot) {
  const std::vector<Part> parts = next_frame(position_);
  const std::span<std::byte> frame =
      slot.space.bytes().first(static_cast<std::size_t>(frame_bytes(parts).value));
  std::span<std::byte> data = frame.subspan(static_cast<std::size_t>(JournalFrame::head.value));
  slot.pieces.clear();
  for (const Part& part : parts) {
    const DirtyKey& key = batch_->keys()[part.key];
    const bool is_data = key.kind == DirtyKey::Kind::data;
    const std::size_t bytes = part.range.count.value * sector_bytes;
    slot.pieces.push_back({.kind = is_data ? JournalPiece::Kind::data : JournalPiece::Kind::zeros,
                           .offset = {part.range.begin.value * sector_bytes},
                           .length = {bytes}});
    if (!is_data) continue;
    const Place place = key.place + (part.range.begin - key.range.begin);
    if (!region_.read({place.value * sector_bytes}, data.first(bytes))) {
      error_ = "data in the cache has become unreadable";
      return false;
    }
    data = data.subspan(bytes);
  }
  std::ranges::fill(data, std::byte{});
  slot.io = {.kind = JournalIo::Kind::write,
             .frame = {.mark = mark_, .number = number_, .count = count_},
             .place = place_,
             .pieces = slot.pieces,
             .buffer = frame};
  ++number_;
  place_ = place_ + ByteCount{frame.size()};
  return true;
}

void BatchJournal::sync() {
  sync_.io = {.kind = JournalIo::Kind::sync};
  submit(sync_);
}

void BatchJournal::submit(Slot& slot) {
  slot.in_use = true;
  slot.io.context = &slot;
  slot.io.done = [](JournalIo& io, IoStatus status) noexcept {
    auto& ended = *static_cast<Slot*>(io.context);
    BatchJournal& self = *ended.owner;
    ended.in_use = false;
    --self.in_flight_;
    if (status != IoStatus::ok && self.error_.empty()) self.error_ = why(status);
    self.told_();
  };
  ++in_flight_;
  journal_.submit(lane_, slot.io);
}

}  // namespace engine
