// PageCommitter: the one thread that writes to a cache device of page granularity.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/cache/cache_device.h"
#include "engine/cache/commit_record.h"
#include "engine/cache/durable_writer.h"
#include "engine/cache/hand_over.h"
#include "engine/cache/page_batch.h"

namespace engine {

// Anything else that has to write to the device: write-back, reclaim, tails, attach, recovery of a
// volume that comes later. Outlives its run.
class CommitTask {
 public:
  // On the commit thread, between two rounds, when no kset is under way: commit locks are free, and
  // what is queued on a volume has its data settled. A device that has failed answers sync_failed.
  virtual void run(DurableWriter& writer) = 0;

 protected:
  ~CommitTask() = default;

 private:
  friend class HandOver<CommitTask>;
  friend class PageCommitter;
  CommitTask* next_ = nullptr;
};

// Actors hand over whole commands; rounds write them down, each with one sync. A round writes the
// data of the commands that have come since the last one, and one kset of each volume whose data
// the last one has settled, so nothing that is not durable is ever named; after its sync it
// publishes those ksets and completes their commands. A command alone takes two syncs, one without
// data takes one; under load a round serves all volumes and actors. What was allocated meanwhile
// costs one more sync, for the first replicas of the segments' entries.
//
// A write or sync that fails fails the device for good (CacheDevice::fail()): everything queued,
// then and later, completes as failed.
//
// push(), wake() and post(): any thread. step(): the commit thread, or, if there is none, whoever
// has no other thread beside him; so do whoever recovers volumes before start() and stops them
// after stop(). Completion sinks are called in step(), with no lock held.
class PageCommitter {
 public:
  // The device is open for writing, in page granularity, and outlives it; so does every volume that
  // has something queued.
  explicit PageCommitter(CacheDevice& device);
  PageCommitter(const PageCommitter&) = delete;
  PageCommitter& operator=(const PageCommitter&) = delete;
  ~PageCommitter();  // stops

  // Runs step() in a thread of its own, which sleeps while there is nothing to do.
  void start();
  // After the last command and task: what is queued is done, then the thread ends.
  void stop();

  // For a thread that has more to do than to commit: it calls step() itself. Before it sleeps it
  // asks may_sleep(); if that is true, `wake` is called by whoever hands something over, once, and
  // from then on the thread is awake. Instead of start().
  void run_by_owner(std::function<void()> wake) { wake_owner_ = std::move(wake); }
  [[nodiscard]] bool may_sleep();
  // It has woken for another reason.
  void stay_awake() { sleeping_.store(false, std::memory_order_seq_cst); }

  // One round. True: there is something to do, come again at once.
  bool step();

  void post(CommitTask& task);
  [[nodiscard]] CacheDevice& device() { return device_; }

 private:
  friend class CacheActor;
  struct OfVolume {
    VolumeCache* volume = nullptr;
    // Arrived in this round.
    CommitRecord* newest = nullptr;
    CommitRecord* oldest = nullptr;
    bool has_data = false;
    bool ready = false;  // in ready_ or begun_
  };

  // A chain, linked from the newest to the oldest. wake() must follow.
  void push(CommitRecord& newest, CommitRecord& oldest) { queue_.push(newest, oldest); }
  void wake();

  void run();
  void sleep();
  [[nodiscard]] bool has_work() const;
  void run_tasks();
  void take();
  void take(CommitRecord& record);
  // False: the device has failed.
  [[nodiscard]] bool write_round();
  [[nodiscard]] bool write_segments(bool& wrote);
  void hand_over(OfVolume& of);
  void hand_over_arrived(bool also_data);
  [[nodiscard]] bool begin_ksets();
  void end_ksets(bool settled);
  void fail_everything();

  CacheDevice& device_;
  DurableWriter writer_;
  HandOver<CommitRecord> queue_;
  HandOver<CommitTask> tasks_;

  // The commit thread's.
  PageBatch batch_;
  std::vector<OfVolume> volumes_;     // by slot
  std::vector<OfVolume*> arrived_;    // their records' data is in batch_
  std::vector<OfVolume*> ready_;      // data is settled: a kset may name it
  std::vector<OfVolume*> begun_;      // a kset is written, not settled
  std::vector<OfVolume*> beginning_;  // scratch

  std::function<void()> wake_owner_;  // null: the thread is our own
  std::atomic<bool> stopping_{false};
  std::atomic<bool> sleeping_{false};
  std::mutex sleep_mutex_;  // a leaf; makes sure that a sleeper hears of being woken
  std::condition_variable sleep_ended_;
  std::thread thread_;
};

}  // namespace engine
