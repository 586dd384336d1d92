#include "tests/sim/crash_memory.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "engine/foundation/check.h"

namespace engine {

template <std::size_t U, std::size_t W>
CrashMemory<U, W>::Arena::Arena(std::uint64_t bytes)
    : owner(std::make_unique<std::byte[]>(bytes + 4096)), size(bytes), stamps(bytes / U) {
  const auto address = reinterpret_cast<std::uintptr_t>(owner.get());
  memory = owner.get() + (4096 - address % 4096) % 4096;
}

template <std::size_t U, std::size_t W>
CrashMemory<U, W>::CrashMemory(ByteCount bytes)
    : own_arena_(std::make_unique<Arena>(bytes.value)), arena_(*own_arena_), world_(0) {
  CHECK(bytes.value % U == 0);
}

template <std::size_t U, std::size_t W>
CrashMemory<U, W>::CrashMemory(CrashMemory& parent, CrashChooser& choose, Tearing tearing)
    : arena_(parent.arena_), parent_(&parent), world_(++arena_.worlds) {
  CHECK(!parent.lent_);
  parent.lent_ = true;
  std::vector<std::uint64_t> numbers;
  numbers.reserve(parent.units_.size());
  for (const auto& [number, unit] : parent.units_) numbers.push_back(number);
  std::sort(numbers.begin(), numbers.end());
  saved_.reserve(numbers.size());
  std::vector<Bytes> versions;
  for (const std::uint64_t number : numbers) {
    choose_unit(number, parent.units_.at(number), choose, tearing, versions);
  }
}

template <std::size_t U, std::size_t W>
CrashMemory<U, W>::~CrashMemory() {
  CHECK(!lent_);
  if (parent_ == nullptr) return;
  for (const Saved& saved : saved_) {
    std::memcpy(place_of(saved.unit), saved.bytes.data(), U);
    arena_.stamps[saved.unit] = saved.stamp;
  }
  parent_->lent_ = false;
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::save(std::uint64_t unit) {
  std::uint32_t& stamp = arena_.stamps[unit];
  if (stamp == world_ || parent_ == nullptr) return;
  Saved& saved = saved_.emplace_back();
  saved.unit = unit;
  saved.stamp = stamp;
  std::memcpy(saved.bytes.data(), place_of(unit), U);
  stamp = world_;
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::apply(Bytes& to, const Store& store) {
  std::memcpy(to.data() + store.begin, store.bytes.data() + store.begin, store.end - store.begin);
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::list_versions(const Unit& unit, std::vector<Bytes>& versions) {
  versions.assign(1, unit.base);
  for (const Store& store : unit.stores) {
    Bytes next = versions.back();
    apply(next, store);
    if (next != versions.back()) versions.push_back(next);
  }
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::choose_unit(std::uint64_t number, const Unit& unit, CrashChooser& choose,
                                    Tearing tearing, std::vector<Bytes>& versions) {
  list_versions(unit, versions);
  const bool old_is_unreadable = unit.unreadable_base;
  if (versions.size() == 1) {
    if (old_is_unreadable && choose.pick(2) == 0) unreadable_.push_back(number);
    return;
  }
  if (tearing == Tearing::destroys && choose.pick(destroying_ways) == destroying_choice) {
    save(number);
    std::memset(place_of(number), 0xa5, U);
    return;
  }
  const bool torn = choose.tear();
  const std::size_t whole = torn ? 0 : choose.pick(versions.size());
  if (old_is_unreadable && whole == 0) unreadable_.push_back(number);
  Bytes after = versions[whole];
  for (std::size_t word = 0; torn && word < U; word += W) {
    // Only words that differ are a choice, and only between what they really were.
    std::vector<const std::byte*> contents{versions.front().data() + word};
    for (const Bytes& version : versions) {
      const std::byte* const content = version.data() + word;
      if (std::memcmp(content, contents.back(), W) != 0) contents.push_back(content);
    }
    if (contents.size() == 1) continue;
    std::memcpy(after.data() + word, contents[choose.pick(contents.size())], W);
  }
  if (after == versions.back()) return;
  save(number);
  std::memcpy(place_of(number), after.data(), U);
}

template <std::size_t U, std::size_t W>
template <class Use>
void CrashMemory<U, W>::for_each_unit(std::uint64_t offset, std::uint64_t length, const Use& use) {
  for (std::uint64_t done = 0; done < length;) {
    const std::uint64_t inside = (offset + done) % U;
    const std::uint64_t count = std::min(length - done, U - inside);
    use((offset + done) / U, static_cast<std::uint32_t>(inside),
        static_cast<std::uint32_t>(inside + count), done);
    done += count;
  }
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::load(std::span<const std::byte> image) {
  CHECK(parent_ == nullptr && arena_.worlds == 0 && units_.empty());
  CHECK(image.size() == arena_.size);
  std::memcpy(arena_.memory, image.data(), image.size());
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::store(Actor actor, std::uint64_t offset, std::span<const std::byte> bytes) {
  CHECK(!lent_);
  CHECK(offset <= arena_.size && bytes.size() <= arena_.size - offset);
  std::vector<std::uint64_t>& pending = pending_[actor];
  for_each_unit(offset, bytes.size(), [&](auto number, auto begin, auto end, auto done) {
    save(number);
    Unit& unit = units_[number];
    if (unit.stores.empty()) std::memcpy(unit.base.data(), place_of(number), U);
    unit.forgotten = false;
    Store& store = unit.stores.emplace_back();
    store.actor = actor;
    store.begin = begin;
    store.end = end;
    std::memcpy(store.bytes.data() + begin, bytes.data() + done, end - begin);
    std::memcpy(place_of(number) + begin, bytes.data() + done, end - begin);
    pending.push_back(number);
  });
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::adopt(Actor actor, std::uint64_t offset, std::uint64_t length) {
  CHECK(!lent_);
  for_each_unit(offset, length, [&](auto number, auto, auto, auto) {
    const auto unit = units_.find(number);
    if (unit == units_.end()) return;
    for (Store& store : unit->second.stores) {
      if (store.actor == nobody) store.actor = actor;
    }
    pending_[actor].push_back(number);
  });
}

template <std::size_t U, std::size_t W>
template <class Predicate>
void CrashMemory<U, W>::settle_unit(std::uint64_t number, const Predicate& settles) {
  const auto at = units_.find(number);
  if (at == units_.end() || at->second.forgotten) return;
  Unit& unit = at->second;
  const auto settled_by_this = [&](const Store& store) { return settles(store.actor); };
  if (std::all_of(unit.stores.begin(), unit.stores.end(), settled_by_this)) {
    units_.erase(at);
    return;
  }
  if (std::none_of(unit.stores.begin(), unit.stores.end(), settled_by_this)) return;
  for (std::size_t late = 0; late < unit.stores.size(); ++late) {
    const Store& settled = unit.stores[late];
    if (!settles(settled.actor)) continue;
    apply(unit.base, settled);
    // An earlier store of somebody else can no longer come out on top of it.
    for (std::size_t early = 0; early < late; ++early) {
      Store& other = unit.stores[early];
      const std::uint32_t begin = std::max(other.begin, settled.begin);
      const std::uint32_t end = std::min(other.end, settled.end);
      if (begin < end) {
        std::memcpy(other.bytes.data() + begin, settled.bytes.data() + begin, end - begin);
      }
    }
  }
  unit.unreadable_base = false;
  std::erase_if(unit.stores, settled_by_this);
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::settle(Actor actor) {
  CHECK(!lent_);
  const auto pending = pending_.find(actor);
  if (pending == pending_.end()) return;
  for (const std::uint64_t number : pending->second) {
    settle_unit(number, [actor](Actor who) { return who == actor; });
  }
  pending->second.clear();
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::settle_everyone() {
  CHECK(!lent_);
  std::erase_if(units_, [](const auto& entry) { return !entry.second.forgotten; });
  pending_.clear();
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::orphan(Actor actor) {
  for (auto& [number, unit] : units_) {
    for (Store& store : unit.stores) {
      if (store.actor == actor) store.actor = nobody;
    }
  }
  pending_.erase(actor);
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::orphan_everyone() {
  for (auto& [number, unit] : units_) {
    for (Store& store : unit.stores) store.actor = nobody;
  }
  pending_.clear();
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::forget() {
  for (auto& [number, unit] : units_) unit.forgotten = true;
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::was_unreadable_before(std::uint64_t offset, std::uint64_t length) {
  for_each_unit(offset, length,
                [&](auto number, auto, auto, auto) { units_.at(number).unreadable_base = true; });
}

template <std::size_t U, std::size_t W>
std::uint64_t CrashMemory<U, W>::crashes() const {
  std::uint64_t product = 1;
  std::vector<Bytes> versions;
  for (const auto& [number, unit] : units_) {
    list_versions(unit, versions);
    if (product > std::numeric_limits<std::uint64_t>::max() / versions.size()) {
      return std::numeric_limits<std::uint64_t>::max();
    }
    product *= versions.size();
  }
  return product;
}

template <std::size_t U, std::size_t W>
void CrashMemory<U, W>::check_invariants() const {
  for (const auto& [number, unit] : units_) {
    CHECK(!unit.stores.empty());
    Bytes now = unit.base;
    for (const Store& store : unit.stores) apply(now, store);
    CHECK(std::memcmp(now.data(), place_of(number), U) == 0);
  }
}

template class CrashMemory<64, 8>;
template class CrashMemory<4096, 512>;

}  // namespace engine
