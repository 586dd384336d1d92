#include "tests/sim/sim_disk.h"

#include <algorithm>
#include <cstring>

#include "engine/foundation/check.h"

namespace engine {

SimDisk::SimDisk(ByteCount size, std::uint64_t seed)
    : current_(size.value), durable_(size.value), random_(seed) {}

SimDisk::SimDisk(std::span<const std::byte> content, std::uint64_t seed)
    : SimDisk(ByteCount{content.size()}, seed) {
  std::ranges::copy(content, current_.bytes().begin());
  std::ranges::copy(content, durable_.bytes().begin());
}

std::span<std::byte> SimDisk::sector_of(ZeroedImage& image, std::uint64_t sector) {
  const std::uint64_t begin = sector * sector_bytes;
  return image.bytes().subspan(begin, std::min(sector_bytes, image.size() - begin));
}

bool SimDisk::read(MediaOffset offset, std::span<std::byte> bytes) const {
  CHECK(offset.value + bytes.size() <= current_.size());
  if (bytes.empty()) return true;
  const auto broken = broken_.lower_bound(offset.value / sector_bytes);
  if (broken != broken_.end() && *broken * sector_bytes < offset.value + bytes.size()) return false;
  std::memcpy(bytes.data(), current_.bytes().data() + offset.value, bytes.size());
  return true;
}

void SimDisk::write(MediaOffset offset, std::span<const std::byte> bytes) {
  CHECK(offset.value + bytes.size() <= current_.size());
  if (bytes.empty()) return;
  std::memcpy(current_.bytes().data() + offset.value, bytes.data(), bytes.size());
  const std::uint64_t last = (offset.value + bytes.size() - 1) / sector_bytes;
  for (std::uint64_t sector = offset.value / sector_bytes; sector <= last; ++sector) {
    const auto now = sector_of(current_, sector);
    versions_[sector].emplace_back(now.begin(), now.end());
    broken_.erase(sector);
  }
}

void SimDisk::persist(std::uint64_t sector) {
  const auto now = sector_of(current_, sector);
  std::copy(now.begin(), now.end(), sector_of(durable_, sector).begin());
}

void SimDisk::sync_range(MediaOffset offset, ByteCount length) {
  if (lying_ || length.value == 0) return;
  const std::uint64_t last = (offset.value + length.value - 1) / sector_bytes;
  for (std::uint64_t sector = offset.value / sector_bytes; sector <= last; ++sector) {
    if (versions_.erase(sector) != 0) persist(sector);
  }
}

void SimDisk::sync() {
  if (lying_) return;
  for (const auto& [sector, versions] : versions_) persist(sector);
  versions_.clear();
}

void SimDisk::crash() {
  for (const auto& [sector, versions] : versions_) {
    const std::uint64_t choice = random_.below(versions.size() + 1);
    const bool lost = choice == versions.size();
    if (!lost) std::ranges::copy(versions[choice], sector_of(durable_, sector).begin());
    std::ranges::copy(sector_of(durable_, sector), sector_of(current_, sector).begin());
  }
  versions_.clear();
}

std::vector<std::byte> SimDisk::after_crash(MediaOffset offset, ByteCount length,
                                            SeededRandom& random) const {
  const auto image = durable_.bytes().subspan(offset.value, length.value);
  std::vector<std::byte> left(image.begin(), image.end());
  for (std::uint64_t at = 0; at < length.value; at += sector_bytes) {
    const auto unsynced = versions_.find((offset.value + at) / sector_bytes);
    if (unsynced == versions_.end()) continue;
    const auto& versions = unsynced->second;
    const std::uint64_t choice = random.below(versions.size() + 1);
    if (choice == versions.size()) continue;  // lost
    std::ranges::copy(versions[choice], left.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return left;
}

void SimDisk::grow(ByteCount size) {
  CHECK(size.value >= current_.size());
  current_.grow(size.value);
  durable_.grow(size.value);
}

}  // namespace engine
