#include "engine/media/buffer_pool.h"

#include <algorithm>

#include "engine/foundation/check.h"

namespace engine {
namespace {

constexpr std::uint64_t most_kept_bytes = std::uint64_t{32} << 20;

}  // namespace

bool MemoryBudget::try_take(ByteCount bytes) {
  const std::uint64_t limit = buffers_limit();
  std::uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (bytes.value > limit || used > limit - bytes.value) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes.value, std::memory_order_relaxed));
  return true;
}

void MemoryBudget::give_back(ByteCount bytes) {
  const auto before = used_.fetch_sub(bytes.value, std::memory_order_relaxed);
  CHECK(before >= bytes.value);
  tell_of_release();
}

void MemoryBudget::tell_of_release() {
  // Sequentially consistent against begin_waiting(): either it sees this release or we see it
  // waiting.
  releases_.fetch_add(1);
  if (waiting_pools_.load() != 0) {
    wake_all();
  } else if (watching_pools_.load() != 0) {
    wake_watching();
  }
}

bool MemoryBudget::try_reserve(ByteCount bytes, bool beside_used) {
  const std::uint64_t used = beside_used ? used_.load(std::memory_order_relaxed) : 0;
  const std::uint64_t others = std::max(used, kept_);
  std::uint64_t reserved = reserved_.load(std::memory_order_relaxed);
  do {
    if (others > limit_ || reserved > limit_ - others) return false;
    if (bytes.value > limit_ - others - reserved) return false;
  } while (!reserved_.compare_exchange_weak(reserved, reserved + bytes.value,
                                            std::memory_order_relaxed));
  return true;
}

void MemoryBudget::unreserve(ByteCount bytes) {
  const auto before = reserved_.fetch_sub(bytes.value, std::memory_order_relaxed);
  CHECK(before >= bytes.value);
  tell_of_release();
}

bool MemoryBudget::has_free(ByteCount bytes) const {
  const std::uint64_t limit = buffers_limit();
  if (bytes.value > limit) return false;
  if (used_.load(std::memory_order_relaxed) <= limit - bytes.value) return true;
  const std::lock_guard lock(mutex_);
  std::uint64_t kept = 0;
  for (const BufferPool* pool : pools_) kept += pool->kept_bytes_.load(std::memory_order_relaxed);
  // A pool may be on the way between keeping and giving back.
  const std::uint64_t used = used_.load(std::memory_order_relaxed);
  return used <= limit - bytes.value + std::min(kept, used);
}

void MemoryBudget::add(BufferPool& pool) {
  const std::lock_guard lock(mutex_);
  pools_.push_back(&pool);
}

void MemoryBudget::remove(BufferPool& pool) {
  const std::lock_guard lock(mutex_);
  std::erase(pools_, &pool);
}

void MemoryBudget::begin_waiting(BufferPool& pool) {
  waiting_pools_.fetch_add(1);
  const std::lock_guard lock(mutex_);
  for (BufferPool* other : pools_) {
    if (other != &pool) other->wake_from_any_thread();
  }
}

void MemoryBudget::end_waiting() { waiting_pools_.fetch_sub(1); }

// What came free just before has told nobody: every other pool is asked to tell once.
void MemoryBudget::begin_watching(BufferPool& pool) {
  watching_pools_.fetch_add(1);
  const std::lock_guard lock(mutex_);
  for (BufferPool* other : pools_) {
    if (other == &pool) continue;
    other->asked_to_tell_.store(true);
    other->wake_from_any_thread();
  }
}

void MemoryBudget::end_watching() { watching_pools_.fetch_sub(1); }

void MemoryBudget::tell_watching() {
  releases_.fetch_add(1);
  wake_watching();
}

void MemoryBudget::wake_watching() {
  const std::lock_guard lock(mutex_);
  for (BufferPool* pool : pools_) {
    if (pool->watching_.load(std::memory_order_relaxed)) pool->wake_from_any_thread();
  }
}

void MemoryBudget::wake_all() {
  const std::lock_guard lock(mutex_);
  for (BufferPool* pool : pools_) pool->wake_from_any_thread();
}

BufferPool::BufferPool(MemoryBudget& budget, std::function<void()> wake)
    : budget_(budget),
      wake_(std::move(wake)),
      keep_limit_bytes_(std::min(most_kept_bytes, budget.limit().value / 8)) {
  budget_.add(*this);
}

BufferPool::~BufferPool() {
  CHECK(outstanding_ == 0);
  waiters_.clear();
  watchers_.clear();
  reserve_waiters_.clear();
  stop_waiting_if_empty();
  budget_.remove(*this);
  give_up_kept();
  if (reserve_ != nullptr) budget_.arena_.release(reserve_, reserve_class);
}

std::optional<BufferLease> BufferPool::lease_new(std::size_t size_class) {
  CHECK(size_class < class_count);
  const std::size_t length = BufferArena::page_bytes << size_class;
  seen_releases_ = budget_.releases_.load();
  if (!budget_.try_take({length})) {
    if (kept_bytes_.load(std::memory_order_relaxed) == 0) return std::nullopt;
    give_up_kept();
    if (!budget_.try_take({length})) return std::nullopt;
  }
  std::byte* memory = budget_.arena_.allocate(size_class);
  if (memory == nullptr) {
    budget_.give_back({length});
    return std::nullopt;
  }
  ++outstanding_;
  served_ = true;
  return BufferLease(*this, {memory, length});
}

void BufferPool::take_back(std::span<std::byte> bytes) noexcept {
  CHECK(outstanding_ > 0);
  --outstanding_;
  if (bytes.data() == reserve_) {
    reserve_out_ = false;
    if (!reserve_waiters_.empty()) wake_from_any_thread();
    return;
  }
  freed_ = true;
  const auto size_class = static_cast<std::size_t>(std::bit_width((bytes.size() - 1) >> 12));
  const std::uint64_t kept = kept_bytes_.load(std::memory_order_relaxed);
  if (!budget_.someone_waits() && kept + bytes.size() <= keep_limit_bytes_) {
    free_[size_class].push_back(bytes.data());
    kept_bytes_.store(kept + bytes.size(), std::memory_order_relaxed);
    if (budget_.someone_watches()) budget_.tell_watching();
    return;
  }
  budget_.arena_.release(bytes.data(), size_class);
  budget_.give_back({bytes.size()});
}

// The largest go first.
void BufferPool::give_up_kept(std::uint64_t remaining_bytes) noexcept {
  const std::uint64_t before = kept_bytes_.load(std::memory_order_relaxed);
  std::uint64_t kept = before;
  for (std::size_t size_class = class_count; size_class-- > 0;) {
    auto& memories = free_[size_class];
    while (!memories.empty() && kept > remaining_bytes) {
      budget_.arena_.release(memories.back(), size_class);
      memories.pop_back();
      kept -= BufferArena::page_bytes << size_class;
    }
  }
  kept_bytes_.store(kept, std::memory_order_relaxed);
  if (kept != before) budget_.give_back({before - kept});
}

void BufferPool::trim() noexcept {
  give_up_kept(kept_bytes_.load(std::memory_order_relaxed) / 2);
  budget_.arena_.trim();
}

void BufferPool::wait(BufferWaiter& waiter) {
  // Whoever is being served and got nothing keeps its place; whoever got something queues again
  // behind.
  if (serving_ && !served_) {
    waiters_.push_front(waiter);
  } else {
    waiters_.push_back(waiter);
  }
  if (waiting_) return;
  waiting_ = true;
  budget_.begin_waiting(*this);
  // A release between the failed lease() and begin_waiting() has woken nobody.
  if (budget_.releases_.load() != seen_releases_) wake_from_any_thread();
}

void BufferPool::watch(BufferWaiter& waiter) {
  watchers_.push_back(waiter);
  if (watching_.load(std::memory_order_relaxed)) return;
  told_releases_ = budget_.releases_.load();
  watching_.store(true, std::memory_order_relaxed);
  budget_.begin_watching(*this);
}

std::optional<BufferLease> BufferPool::lease_reserve() {
  if (reserve_out_) return std::nullopt;
  if (reserve_ == nullptr) reserve_ = budget_.arena_.allocate(reserve_class);
  CHECK(reserve_ != nullptr);
  reserve_out_ = true;
  ++outstanding_;
  return BufferLease(*this, {reserve_, reserve_length.value});
}

void BufferPool::wait_for_reserve(BufferWaiter& waiter) { reserve_waiters_.push_back(waiter); }

void BufferPool::wake_waiters() {
  if (wake_sent_.load(std::memory_order_relaxed)) wake_sent_.exchange(false);
  while (!reserve_out_ && !reserve_waiters_.empty()) {
    BufferWaiter& waiter = reserve_waiters_.front();
    reserve_waiters_.pop_front();
    waiter.buffer_available();
  }
  if (!waiters_.empty()) serve();
  if (!watchers_.empty()) tell_watchers();
  stop_waiting_if_empty();
  if (!waiting_ && kept_bytes_.load(std::memory_order_relaxed) != 0 && budget_.someone_waits()) {
    give_up_kept();
  }
  if (asked_to_tell_.load(std::memory_order_relaxed) && asked_to_tell_.exchange(false)) {
    budget_.tell_watching();
  }
}

// Each of those queued now once, in the order they came.
void BufferPool::tell_watchers() {
  const std::uint64_t releases = budget_.releases_.load();
  if (!freed_ && releases == told_releases_) return;
  freed_ = false;
  told_releases_ = releases;
  Waiters told;
  told.swap(watchers_);
  while (!told.empty()) {
    BufferWaiter& waiter = told.front();
    told.pop_front();
    waiter.buffer_available();
  }
}

void BufferPool::serve() {
  if (budget_.releases_.load() == seen_releases_) return;
  serving_ = true;
  while (!waiters_.empty()) {
    BufferWaiter& waiter = waiters_.front();
    waiters_.pop_front();
    served_ = false;
    waiter.buffer_available();
    // Nothing for the first means nothing for those behind it. (A waiter that wants nothing any
    // more has leased nothing either, but does not wait again.)
    if (!served_ && !waiters_.empty() && &waiters_.front() == &waiter) break;
  }
  serving_ = false;
}

void BufferPool::stop_waiting_if_empty() {
  if (waiting_ && waiters_.empty()) {
    waiting_ = false;
    budget_.end_waiting();
  }
  if (watching_.load(std::memory_order_relaxed) && watchers_.empty()) {
    watching_.store(false, std::memory_order_relaxed);
    budget_.end_watching();
  }
}

void BufferPool::wake_from_any_thread() {
  if (wake_ && !wake_sent_.exchange(true)) wake_();
}

}  // namespace engine
