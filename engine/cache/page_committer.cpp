#include "engine/cache/page_committer.h"

#include <pthread.h>

#include <utility>

#include "engine/cache/volume_cache.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {

PageCommitter::PageCommitter(CacheDevice& device)
    : device_(device),
      writer_(std::move(DurableWriter::make(device.region()).value())),
      batch_(device.payload_crc()),
      volumes_(device.volumes().slots()) {
  CHECK(device.region().guarantee().granularity == PmemGranularity::page);
}

PageCommitter::~PageCommitter() { stop(); }

void PageCommitter::start() {
  CHECK(!thread_.joinable());
  stopping_.store(false);
  thread_ = std::thread([this] { run(); });
}

void PageCommitter::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  wake();
  thread_.join();
}

void PageCommitter::run() {
  (void)pthread_setname_np(pthread_self(), "cache commit");
  for (;;) {
    while (step()) {
    }
    if (stopping_ && !has_work()) return;
    sleep();
  }
}

// Who wakes has published his work before he looks whether somebody sleeps, and who goes to sleep
// says so before he looks for work: one of the two sees the other.
void PageCommitter::wake() {
  if (!sleeping_.load(std::memory_order_seq_cst)) return;
  if (wake_owner_) {
    if (sleeping_.exchange(false, std::memory_order_seq_cst)) wake_owner_();
    return;
  }
  {
    const std::lock_guard lock(sleep_mutex_);
    sleeping_.store(false, std::memory_order_seq_cst);
  }
  sleep_ended_.notify_one();
}

void PageCommitter::sleep() {
  std::unique_lock lock(sleep_mutex_);
  sleeping_.store(true, std::memory_order_seq_cst);
  if (!has_work() && !stopping_) sleep_ended_.wait(lock, [this] { return !sleeping_; });
  sleeping_.store(false, std::memory_order_seq_cst);
}

bool PageCommitter::may_sleep() {
  sleeping_.store(true, std::memory_order_seq_cst);
  if (!has_work()) return true;
  stay_awake();
  return false;
}

bool PageCommitter::has_work() const {
  return !queue_.empty() || !tasks_.empty() || !ready_.empty() ||
         (device_.segments().any_waiting() && !device_.failed());
}

void PageCommitter::post(CommitTask& task) {
  tasks_.push(task);
  wake();
}

bool PageCommitter::step() {
  run_tasks();
  take();
  if (!device_.failed() && !write_round()) device_.fail();
  if (device_.failed()) fail_everything();
  return has_work();
}

void PageCommitter::run_tasks() {
  CommitTask* task = tasks_.take_all();
  while (task != nullptr) {
    CommitTask* const next = task->next_;  // a task that has run may be gone
    task->run(writer_);
    task = next;
  }
}

void PageCommitter::take() {
  CommitRecord* record = queue_.take_all();
  while (record != nullptr) {
    CommitRecord* const next = record->next_;
    take(*record);
    record = next;
  }
}

void PageCommitter::take(CommitRecord& record) {
  OfVolume& of = volumes_[record.volume_->slot()];
  of.volume = record.volume_;
  record.next_ = of.newest;
  of.newest = &record;
  if (of.oldest == nullptr) {
    of.oldest = &record;
    arrived_.push_back(&of);
  }
  if (record.data_.empty()) return;
  of.has_data = true;
  batch_.add(record);
}

bool PageCommitter::write_round() {
  bool wrote = !batch_.empty();
  if (!write_segments(wrote)) return false;
  if (!batch_.empty() && !device_.region().write_pages(batch_.writes())) return false;
  hand_over_arrived(!GUARD("kset a round after its data"));
  if (!begin_ksets()) return false;
  wrote = wrote || !begun_.empty();
  if (!wrote) return true;
  if (!GUARD("sync before acknowledgement")) end_ksets(true);
  if (!writer_.settle() && GUARD("sync result")) return false;
  device_.segments().finish_waiting();
  end_ksets(true);
  hand_over_arrived(true);
  batch_.clear();
  return true;
}

// Before the ksets that name them, which come a round later.
bool PageCommitter::write_segments(bool& wrote) {
  if (!GUARD("segment entry before its kset") && wrote) return true;
  const auto waiting = device_.segments().write_waiting(writer_);
  if (!waiting) return false;
  wrote = wrote || waiting.value();
  return true;
}

void PageCommitter::hand_over(OfVolume& of) {
  of.volume->commit().push(*std::exchange(of.newest, nullptr), *std::exchange(of.oldest, nullptr));
  of.has_data = false;
  if (!std::exchange(of.ready, true)) ready_.push_back(&of);
}

// A volume's commands go on together, so that they stay in their order.
void PageCommitter::hand_over_arrived(bool also_data) {
  std::erase_if(arrived_, [&](OfVolume* of) {
    if (of->has_data && !also_data) return false;
    hand_over(*of);
    return true;
  });
}

bool PageCommitter::begin_ksets() {
  bool written = true;
  beginning_.swap(ready_);
  for (OfVolume* const of : beginning_) {
    switch (of->volume->commit().begin_kset(writer_)) {
      case VolumeCommit::Begun::kset:
        begun_.push_back(of);
        break;
      case VolumeCommit::Begun::busy:
        ready_.push_back(of);
        std::this_thread::yield();
        break;
      case VolumeCommit::Begun::failed:
        written = false;
        of->ready = false;
        break;
      case VolumeCommit::Begun::nothing:
        of->ready = false;
        break;
    }
  }
  beginning_.clear();
  return written;
}

void PageCommitter::end_ksets(bool settled) {
  for (OfVolume* const of : begun_) {
    of->ready = of->volume->commit().end_kset(settled);
    if (of->ready) ready_.push_back(of);
  }
  begun_.clear();
}

void PageCommitter::fail_everything() {
  end_ksets(false);
  hand_over_arrived(true);
  batch_.clear();
  (void)begin_ksets();  // a failed log begins none: it completes what is queued
}

}  // namespace engine
