#include "engine/pool/extent_backing.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

// A zeroing looks at no more chunks of a stripe before it begins: the reactor has others to serve.
constexpr std::size_t most_chunks_at_once = 1024;
// Of requests that have ended; more at once than a thread usually has under way are not kept.
constexpr std::size_t most_spare_requests = 256;

bool has_data(const BackingIo& io) {
  return io.kind == BackingIo::Kind::read || io.kind == BackingIo::Kind::write;
}

ByteCount length_of(const BackingIo& io) {
  return has_data(io) ? ByteCount{io.buffer.size()} : io.length;
}

}  // namespace

// One operation, from submit() to its answer: on its lane's thread alone. Kept for the thread's
// next one, so that nothing is allocated once enough have been under way.
class ExtentBacking::Request {
 public:
  static void start(ExtentBacking& backing, IoLane& lane, BackingIo& io) {
    std::unique_ptr<Request> request;
    if (spares().empty()) {
      request = std::make_unique<Request>();
    } else {
      request = std::move(spares().back());
      spares().pop_back();
    }
    request.release()->begin(backing, lane, io);  // comes back in answer()
  }

 private:
  struct Piece {
    BackingIo io;
    Request* request = nullptr;
    Member* member = nullptr;
    std::uint64_t changes = 0;  // of a sync: what it has if it succeeds
  };

  void begin(ExtentBacking& backing, IoLane& lane, BackingIo& io);
  void find_syncs();
  void find_pieces();
  void add(Member& member, const ExtentPiece& place, std::span<std::byte> buffer);
  [[nodiscard]] bool merged(Member& member, const ExtentPiece& place);
  void go_on();
  void find_next();
  void ended(Piece& piece, IoStatus status);
  void answer();

  [[nodiscard]] bool is_sync() const { return io_->kind == BackingIo::Kind::sync; }

  // This thread's.
  static std::vector<std::unique_ptr<Request>>& spares() {
    thread_local std::vector<std::unique_ptr<Request>> kept;
    return kept;
  }

  ExtentBacking* backing_ = nullptr;
  const Layout* layout_ = nullptr;  // as it was at the beginning
  IoLane* lane_ = nullptr;
  BackingIo* io_ = nullptr;
  MediaOffset at_{};  // everything before it has been cut into pieces
  MediaOffset end_{};
  std::vector<Piece> pieces_;  // under way together; not resized meanwhile
  std::size_t in_flight_ = 0;
  std::size_t first_failed_ = 0;  // piece, as long as status_ is an error
  IoStatus status_ = IoStatus::ok;
};

void ExtentBacking::Request::begin(ExtentBacking& backing, IoLane& lane, BackingIo& io) {
  backing_ = &backing;
  layout_ = &backing.layout();
  lane_ = &lane;
  io_ = &io;
  status_ = IoStatus::ok;
  at_ = io.offset;
  end_ = is_sync() ? at_ : at_ + length_of(io);
  if (is_sync()) {
    find_syncs();
  } else {
    find_pieces();
  }
  go_on();
}

// Whoever asks has seen his writes end: they are counted before that.
void ExtentBacking::Request::find_syncs() {
  for (const auto& place : backing_->members_) {
    Member* const member = place.load(std::memory_order_acquire);
    if (member == nullptr) continue;
    const std::uint64_t changes = member->changes.load(std::memory_order_acquire);
    if (member->synced.load(std::memory_order_acquire) >= changes) continue;
    add(*member, {}, {});
    pieces_.back().changes = changes;
  }
}

// The next pieces in address order, as many as may be under way together.
void ExtentBacking::Request::find_pieces() {
  const ExtentMap& map = layout_->map;
  for (std::size_t looks = 0; at_ < end_ && looks < most_chunks_at_once; ++looks) {
    const ExtentPiece place = map.find(at_, end_ - at_);
    Member& member = backing_->member(place.member);
    if (has_data(*io_)) {
      if (pieces_.size() == most_pieces) return;
      const auto begin = static_cast<std::size_t>((at_ - io_->offset).value);
      add(member, place, io_->buffer.subspan(begin, place.length.value));
    } else if (!merged(member, place)) {
      if (pieces_.size() == most_pieces) return;
      add(member, place, {});
    }
    at_ = at_ + place.length;
  }
}

void ExtentBacking::Request::add(Member& member, const ExtentPiece& place,
                                 std::span<std::byte> buffer) {
  Piece& piece = pieces_.emplace_back();
  piece.request = this;
  piece.member = &member;
  piece.io.kind = io_->kind;
  piece.io.durable = io_->durable;
  piece.io.offset = place.offset;
  piece.io.buffer = buffer;
  piece.io.length = place.length;
  piece.io.done = [](BackingIo& io, IoStatus status) noexcept {
    Piece& self = *static_cast<Piece*>(io.context);
    self.request->ended(self, status);
  };
}

// Chunks of a stripe that follow each other on a member are zeroed as one.
bool ExtentBacking::Request::merged(Member& member, const ExtentPiece& place) {
  const std::size_t members = layout_->map.shape().member_slices.size();
  const std::size_t oldest = pieces_.size() - std::min(pieces_.size(), members);
  for (std::size_t at = pieces_.size(); at != oldest; --at) {
    Piece& piece = pieces_[at - 1];
    if (piece.member != &member) continue;
    if (piece.io.offset + piece.io.length != place.offset) return false;
    piece.io.length = piece.io.length + place.length;
    return true;
  }
  return false;
}

// As long as there are pieces, and their disks answer inside submit(); else ended() goes on.
void ExtentBacking::Request::go_on() {
  while (!pieces_.empty()) {
    in_flight_ = pieces_.size() + 1;  // one more until all are submitted
    for (Piece& piece : pieces_) {
      piece.io.context = &piece;  // where it is now
      piece.member->disk->submit(*lane_, piece.io);
    }
    if (--in_flight_ != 0) return;
    find_next();
  }
  answer();
}

// Behind pieces that have all ended.
void ExtentBacking::Request::find_next() {
  pieces_.clear();
  if (status_ == IoStatus::ok && !is_sync()) find_pieces();
}

void ExtentBacking::Request::ended(Piece& piece, IoStatus status) {
  Member& member = *piece.member;
  if (is_sync() && status == IoStatus::ok) {
    const std::uint64_t has = GUARD("a sync has what ended before it")
                                  ? piece.changes
                                  : member.changes.load(std::memory_order_acquire);
    std::uint64_t synced = member.synced.load(std::memory_order_relaxed);
    while (synced < has &&
           !member.synced.compare_exchange_weak(synced, has, std::memory_order_acq_rel)) {
    }
  } else if (!is_sync() && io_->kind != BackingIo::Kind::read && !io_->durable &&
             GUARD("members that were written are synced")) {
    // Also one that failed: it may have changed something.
    member.changes.fetch_add(1, std::memory_order_acq_rel);
  }
  const auto index = static_cast<std::size_t>(&piece - pieces_.data());
  if (status != IoStatus::ok && (status_ == IoStatus::ok || index < first_failed_)) {
    status_ = status;
    first_failed_ = index;
  }
  if (--in_flight_ != 0) return;
  find_next();
  go_on();
}

void ExtentBacking::Request::answer() {
  // Of a member that was not asked, too: no sync succeeds before it is reopened.
  const bool is_poisoned = is_sync() && backing_->needs_reopen();
  const IoStatus status = is_poisoned ? IoStatus::sync_failed : status_;
  BackingIo& io = *io_;
  std::unique_ptr<Request> self(this);
  if (spares().size() < most_spare_requests) spares().push_back(std::move(self));
  io.done(io, status);
}

ExtentBacking::ExtentBacking(ExtentMap map, ByteCount size, std::vector<MemberDisk> disks) {
  add(std::move(disks));
  use({.map = std::move(map), .size = size});
}

ExtentBacking::~ExtentBacking() = default;

ByteCount ExtentBacking::size() const { return layout().size; }

bool ExtentBacking::needs_reopen() const {
  return std::any_of(members_.begin(), members_.end(), [](const std::atomic<Member*>& place) {
    const Member* const member = place.load(std::memory_order_acquire);
    return member != nullptr && member->disk->needs_reopen();
  });
}

std::uint64_t ExtentBacking::errors() const {
  std::uint64_t sum = 0;
  for (const auto& place : members_) {
    const Member* const member = place.load(std::memory_order_acquire);
    if (member != nullptr) sum += member->disk->errors();
  }
  return sum;
}

std::optional<Instant> ExtentBacking::silent_since(Instant now) {
  std::optional<Instant> longest;
  for (const auto& place : members_) {
    const Member* const member = place.load(std::memory_order_acquire);
    if (member == nullptr) continue;
    const auto since = member->disk->silent_since(now);
    if (since && (!longest || *since < *longest)) longest = since;
  }
  return longest;
}

BackingDevice* ExtentBacking::disk(std::uint32_t member) const {
  if (member >= members_.size()) return nullptr;
  const Member* const found = members_[member].load(std::memory_order_acquire);
  return found == nullptr ? nullptr : found->disk.get();
}

ExtentBacking::Member& ExtentBacking::member(std::uint32_t index) const {
  return *members_[index].load(std::memory_order_acquire);
}

void ExtentBacking::add(std::vector<MemberDisk> disks) {
  for (MemberDisk& each : disks) {
    CHECK(each.member < members_.size() && each.disk != nullptr);
    CHECK(disk(each.member) == nullptr);
    owned_.push_back(std::make_unique<Member>());
    owned_.back()->disk = std::move(each.disk);
    members_[each.member].store(owned_.back().get(), std::memory_order_release);
  }
}

void ExtentBacking::use(Layout layout) {
  CHECK(layout.size.value <= layout.map.size().value);
  for (const std::uint32_t index : layout.map.members()) CHECK(disk(index) != nullptr);
  layouts_.push_back(std::make_unique<const Layout>(std::move(layout)));
  layout_.store(layouts_.back().get(), std::memory_order_release);
}

void ExtentBacking::grow(ExtentMap map, ByteCount size, std::vector<MemberDisk> added) {
  CHECK(size.value >= layout().size.value);
  add(std::move(added));
  use({.map = std::move(map), .size = size});
}

void ExtentBacking::submit(IoLane& lane, BackingIo& io) {
  if (io.kind != BackingIo::Kind::sync) {
    const std::uint64_t size_now = size().value;
    const std::uint64_t length = length_of(io).value;
    if (io.offset.value > size_now || length > size_now - io.offset.value) {
      return io.done(io, IoStatus::out_of_range);
    }
    // As a disk answers it.
    if (length == 0 && io.kind != BackingIo::Kind::read && needs_reopen()) {
      return io.done(io, IoStatus::unavailable);
    }
  }
  Request::start(*this, lane, io);
}

std::uint32_t atomic_write_bytes(const PoolShape& shape, std::span<const std::uint32_t> disks) {
  std::uint64_t least = std::numeric_limits<std::uint32_t>::max();
  for (const std::uint32_t bytes : disks) least = std::min<std::uint64_t>(least, bytes);
  if (disks.empty() || least == 0) return 0;
  // All powers of two: the least divides the others.
  least = std::min(least, shape.slice.value);
  if (shape.is_stripe()) least = std::min(least, shape.chunk.value);
  const std::uint64_t begin = shape.data_offset.value;
  if (begin != 0) least = std::min(least, begin & (~begin + 1));
  return static_cast<std::uint32_t>(least);
}

}  // namespace engine
