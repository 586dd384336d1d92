#include "tests/engine/pool/sim_members.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "engine/foundation/check.h"

namespace engine {
namespace {

class SimMember final : public PoolMember {
 public:
  SimMember(SimDisks& disks, SimDisks::Disk& disk)
      : disks_(disks),
        disk_(disk),
        info_{.path = disk.path,
              .device = disk.path,
              .serial = disk.serial,
              .size = {disk.bytes.size()}} {}
  ~SimMember() override {
    if (holds_) disk_.held = false;
  }

  FileResult<std::size_t> read(MediaOffset offset, std::span<std::byte> bytes) override {
    TRY(disks_.step());
    if (is_bad(offset, bytes.size(), false)) return FileError{EIO};
    if (offset.value >= disk_.bytes.size()) return std::size_t{0};
    const auto there = std::span(disk_.bytes).subspan(offset.value);
    const std::size_t count = std::min(there.size(), bytes.size());
    std::ranges::copy(there.first(count), bytes.begin());
    return count;
  }
  FileResult<void> write(MediaOffset offset, std::span<const std::byte> bytes) override {
    CHECK(offset.value % sector_bytes == 0 && bytes.size() % sector_bytes == 0);
    CHECK(offset.value <= disk_.bytes.size() && bytes.size() <= disk_.bytes.size() - offset.value);
    if (is_bad(offset, bytes.size(), true)) return FileError{EIO};
    std::erase_if(disk_.bad, [&](const auto& bad) { return touches(bad, offset, bytes.size()); });
    const auto place = std::span(disk_.bytes).subspan(offset.value, bytes.size());
    disk_.unsynced.push_back({.offset = offset.value, .bytes = {place.begin(), place.end()}});
    std::ranges::copy(bytes, place.begin());
    return disks_.step();
  }
  FileResult<void> zero(MediaOffset offset, ByteCount length) override {
    disk_.zeroed += length.value;
    return write(offset, std::vector<std::byte>(static_cast<std::size_t>(length.value)));
  }
  FileResult<void> sync() override {
    TRY(disks_.step());
    disk_.unsynced.clear();
    return success();
  }

  const MemberInfo& info() const override { return info_; }
  FileResult<HoldAnswer> hold(const PoolMember* predecessor) override {
    const auto* earlier = dynamic_cast<const SimMember*>(predecessor);
    if (earlier != nullptr && earlier->holds_ && &earlier->disk_ == &disk_) {
      return HoldAnswer{.held = true, .inherited = true};
    }
    if (disk_.held) return HoldAnswer{.held = false};
    disk_.held = true;
    holds_ = true;
    return HoldAnswer{.held = true};
  }
  FileResult<bool> lock(MediaOffset, ByteCount) override { return !disk_.hung; }
  FileResult<void> unlock(MediaOffset, ByteCount) override { return success(); }

 private:
  static bool touches(const SimDisks::Disk::BadPlace& bad, MediaOffset offset, std::size_t length) {
    return offset.value < bad.offset + bad.length && bad.offset < offset.value + length;
  }
  [[nodiscard]] bool is_bad(MediaOffset offset, std::size_t length, bool is_written) const {
    return std::ranges::any_of(disk_.bad, [&](const auto& bad) {
      return touches(bad, offset, length) && (bad.stays || !is_written);
    });
  }

  SimDisks& disks_;
  SimDisks::Disk& disk_;
  const MemberInfo info_;
  bool holds_ = false;
};

}  // namespace

SimDisks::Disk& SimDisks::add(ByteCount size) {
  auto disk = std::make_unique<Disk>();
  const std::string number = std::to_string(disks.size());
  disk->path = "/dev/disk/by-id/sim" + number;
  disk->serial = "SERIAL" + number;
  disk->bytes.assign(size.value, std::byte{0xa5});
  disks.push_back(std::move(disk));
  return *disks.back();
}

void SimDisks::crash(SeededRandom& random) {
  for (const auto& disk : disks) {
    // Mostly some sectors, now and then none or all: what a torn image needs least luck for.
    const std::uint64_t kept = random.below(5);
    std::set<std::uint64_t> settled;
    for (auto newest = disk->unsynced.rbegin(); newest != disk->unsynced.rend(); ++newest) {
      const auto& write = *newest;
      for (std::size_t at = 0; at < write.bytes.size(); at += sector_bytes) {
        const std::uint64_t sector = write.offset + at;
        if (settled.contains(sector)) continue;
        if (random.below(4) < kept) {
          settled.insert(sector);
          continue;
        }
        std::ranges::copy(std::span(write.bytes).subspan(at, sector_bytes),
                          disk->bytes.begin() + static_cast<std::ptrdiff_t>(sector));
      }
    }
    disk->unsynced.clear();
    disk->held = false;
  }
}

MemberCandidate SimDisks::candidate(std::size_t number) {
  Disk& disk = *disks.at(number);
  std::unique_ptr<PoolMember> member = std::make_unique<SimMember>(*this, disk);
  return {.path = disk.path, .opened = std::move(member)};
}

std::vector<MemberCandidate> SimDisks::candidates() {
  std::vector<MemberCandidate> all;
  for (std::size_t number = 0; number < disks.size(); ++number) all.push_back(candidate(number));
  return all;
}

std::vector<MemberCandidate> SimDisks::candidates(const std::vector<std::size_t>& chosen) {
  std::vector<MemberCandidate> all;
  for (const std::size_t number : chosen) all.push_back(candidate(number));
  return all;
}

FileResult<void> SimDisks::step() {
  if (++steps != fault.step) return success();
  if (fault.error == 0) throw SimCrash{};
  return FileError{fault.error};
}

}  // namespace engine
