#include "tests/crash/crash_disk.h"

#include <algorithm>
#include <utility>

#include "engine/pool/journal_file.h"

namespace engine::test {

CrashDisk::CrashDisk(Sector base, const BackingImage& image)
    : base_(base),
      image_(image),
      current_(image.sectors),
      stands_(image.mark.value_or(BackingMark{})) {}

CrashDisk::~CrashDisk() { CHECK(waiting_.empty()); }

void CrashDisk::submit(IoLane& lane, BackingIo& io) {
  if (io.kind != BackingIo::Kind::read && io.kind != BackingIo::Kind::sync) apply(io);
  if (io.kind == BackingIo::Kind::sync) {
    for (const auto& [at, versions] : versions_) covered_[at] = ended(versions);
  }
  waiting_.push_back({.lane = &lane, .io = &io});
  reach();
}

void CrashDisk::write(IoLane& lane, MarkerWrite& write) {
  waiting_.push_back({.lane = &lane, .mark = &write});
  reach();
}

void CrashDisk::submit(IoLane& lane, JournalIo& io) {
  if (io.kind == JournalIo::Kind::write) {
    encode_journal_head(io);
    unsynced_.push_back(
        {.offset = io.place.value, .bytes = {io.buffer.begin(), io.buffer.end()}, .io = &io});
  } else {
    for (Unsynced& write : unsynced_) write.is_covered = write.io == nullptr;
  }
  waiting_.push_back({.lane = &lane, .journal = &io});
  reach();
}

// Each sector of it, or not.
std::shared_ptr<const std::vector<std::byte>> CrashDisk::with(
    const std::shared_ptr<const std::vector<std::byte>>& journal, const Unsynced& write,
    FunctionRef<bool()> keeps) {
  auto bytes = journal ? std::make_shared<std::vector<std::byte>>(*journal)
                       : std::make_shared<std::vector<std::byte>>();
  bytes->resize(std::max<std::size_t>(bytes->size(), write.offset + write.bytes.size()));
  for (std::size_t at = 0; at < write.bytes.size(); at += sector_size) {
    if (!keeps()) continue;
    std::copy_n(write.bytes.begin() + static_cast<std::ptrdiff_t>(at), sector_size,
                bytes->begin() + static_cast<std::ptrdiff_t>(write.offset + at));
  }
  return bytes;
}

void CrashDisk::end_journal(const JournalIo& io, bool fails, SeededRandom& random) {
  if (io.kind == JournalIo::Kind::write) {
    for (Unsynced& write : unsynced_) {
      if (write.io == &io) write.io = nullptr;
    }
    return;
  }
  for (const Unsynced& write : std::exchange(unsynced_, {})) {
    if (!write.is_covered && (!fails || write.io != nullptr)) {
      unsynced_.push_back(write);
    } else if (!fails) {
      image_.journal = with(image_.journal, write, [] { return true; });
    } else {
      image_.journal = with(image_.journal, write, [&random] { return random.chance(1, 2); });
    }
  }
}

void CrashDisk::apply(const BackingIo& io) {
  const bool zeros = io.kind != BackingIo::Kind::write;
  const std::uint64_t first = io.offset.value / sector_size;
  const std::uint64_t count = (zeros ? io.length.value : io.buffer.size()) / sector_size;
  for (std::uint64_t sector = first; sector < first + count; ++sector) {
    const std::size_t at = sector - base_.value;
    if (sector < base_.value || at >= current_.size()) {
      misused_ = true;
      return;
    }
    current_[at] =
        zeros ? 0
              : writer_of(io.buffer.subspan((sector - first) * sector_size, sector_size), sector);
    misused_ = misused_ || current_[at] == torn;
    versions_[at].push_back({.writer = current_[at], .io = &io});
  }
}

bool CrashDisk::end_one(SeededRandom& random) {
  if (waiting_.empty()) return false;
  const auto choice = waiting_.begin() + static_cast<std::ptrdiff_t>(random.below(waiting_.size()));
  const Waiting waiting = *choice;
  waiting_.erase(choice);
  const bool syncs = (waiting.io != nullptr && waiting.io->kind == BackingIo::Kind::sync) ||
                     (waiting.journal != nullptr && waiting.journal->kind == JournalIo::Kind::sync);
  const bool fails = fails_ && random.chance(1, syncs ? 4 : 12);
  if (waiting.mark != nullptr) {
    if (!fails || random.chance(1, 2)) image_.mark = waiting.mark->mark;
    if (!fails) stands_ = waiting.mark->mark;
  } else if (waiting.journal != nullptr) {
    end_journal(*waiting.journal, fails, random);
  } else if (syncs) {
    sync(fails, random);
  } else {
    for (auto& [at, versions] : versions_) {
      for (Version& version : versions) {
        if (version.io == waiting.io) version.io = nullptr;
      }
    }
  }
  end(waiting, !fails ? IoStatus::ok : syncs ? IoStatus::sync_failed : IoStatus::media_error);
  reach();
  return true;
}

std::size_t CrashDisk::ended(const std::vector<Version>& versions) {
  const auto open =
      std::ranges::find_if(versions, [](const Version& v) { return v.io != nullptr; });
  return static_cast<std::size_t>(open - versions.begin());
}

void CrashDisk::sync(bool fails, SeededRandom& random) {
  for (auto& [at, versions] : versions_) {
    const auto count =
        static_cast<std::ptrdiff_t>(fails ? ended(versions) : std::exchange(covered_[at], 0));
    if (count == 0) continue;
    const auto end = versions.begin() + count;
    if (!fails || random.chance(1, 2)) image_.sectors[at] = std::prev(end)->writer;
    versions.erase(versions.begin(), end);
  }
  covered_.clear();
  std::erase_if(versions_, [](const auto& entry) { return entry.second.empty(); });
}

void CrashDisk::end(const Waiting& waiting, IoStatus status) {
  if (waiting.io != nullptr) {
    BackingIo& io = *waiting.io;
    io.generation = static_cast<std::uint32_t>(status);
    io.file.context = &io;
    io.file.done = [](FileOperation& operation, int) noexcept {
      auto& ended = *static_cast<BackingIo*>(operation.context);
      ended.done(ended, static_cast<IoStatus>(ended.generation));
    };
    waiting.lane->post(io.file);
    return;
  }
  if (waiting.journal != nullptr) {
    JournalIo& io = *waiting.journal;
    io.file.length = {static_cast<std::uint64_t>(status)};
    io.file.context = &io;
    io.file.done = [](FileOperation& operation, int) noexcept {
      auto& ended = *static_cast<JournalIo*>(operation.context);
      ended.done(ended, static_cast<IoStatus>(operation.length.value));
    };
    waiting.lane->post(io.file);
    return;
  }
  ended_mark_ = waiting.mark;
  mark_status_ = status;
  mark_operation_.context = this;
  mark_operation_.done = [](FileOperation& operation, int) noexcept {
    auto& self = *static_cast<CrashDisk*>(operation.context);
    self.ended_mark_->done(*self.ended_mark_, self.mark_status_);
  };
  waiting.lane->post(mark_operation_);
}

void CrashDisk::abandon() {
  hook_ = {};
  for (const Waiting& waiting : std::exchange(waiting_, {})) {
    // Begun, and on its way whatever becomes of the process.
    if (waiting.mark != nullptr) image_.mark = waiting.mark->mark;
    end(waiting, IoStatus::unavailable);
  }
  stands_ = image_.mark.value_or(BackingMark{});
  covered_.clear();
  for (auto& [at, versions] : versions_) {
    for (Version& version : versions) version.io = nullptr;
  }
  for (Unsynced& write : unsynced_)
    write = {.offset = write.offset, .bytes = std::move(write.bytes)};
}

BackingImage CrashDisk::crash(SeededRandom& random) const {
  return crash_with([&random](std::uint64_t count) { return random.below(count); });
}

BackingImage CrashDisk::crash(CrashChooser& choose) const {
  // Its first choice is what is there for sure, and that is the last here.
  return crash_with(
      [&choose](std::uint64_t count) { return (choose.pick(count) + count - 1) % count; });
}

BackingImage CrashDisk::crash_with(FunctionRef<std::uint64_t(std::uint64_t)> below) const {
  BackingImage image = image_;
  for (const auto& [at, versions] : versions_) {
    const std::uint64_t choice = below(versions.size() + 1);
    if (choice < versions.size()) image.sectors[at] = versions[choice].writer;
  }
  for (const Unsynced& write : unsynced_) {
    image.journal = with(image.journal, write, [&below] { return below(2) == 0; });
  }
  for (const Waiting& waiting : waiting_) {
    if (waiting.mark != nullptr && below(2) == 0) image.mark = waiting.mark->mark;
  }
  return image;
}

std::uint64_t CrashDisk::crashes() const {
  constexpr std::uint64_t many = 1U << 20;
  std::uint64_t count = 1;
  for (const auto& [at, versions] : versions_)
    count = std::min(many, count * (versions.size() + 1));
  for (const Unsynced& write : unsynced_) {
    for (std::size_t at = 0; at < write.bytes.size(); at += sector_size) {
      count = std::min(many, count * 2);
    }
  }
  for (const Waiting& waiting : waiting_) count *= waiting.mark != nullptr ? 2 : 1;
  return count;
}

}  // namespace engine::test
