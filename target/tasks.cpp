#include "target/tasks.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "target/reactor/log.h"

namespace target {
namespace {

using control::EventName;
using control::Task;
using control::TaskKind;
using control::TaskState;
using FindingKind = engine::ScrubFinding::Kind;

constexpr const char* not_open = "the daemon is starting, or ends; try again";

std::string blocks_text(const engine::ScrubFinding& one) {
  const std::uint64_t last = one.lba.value + one.blocks.value - 1;
  if (one.blocks.value == 1) return fmt::format("block {}", one.lba.value);
  return fmt::format("blocks {}-{}", one.lba.value, last);
}

std::string text_of(const engine::ScrubFinding& one) {
  const std::string blocks = blocks_text(one);
  switch (one.kind) {
    case FindingKind::cache_healed:
      return blocks + ": bad in the cache, well in the pool; put right from there";
    case FindingKind::cache_bad:
      return blocks + ": bad in the cache, and the pool does not give them either";
    case FindingKind::cache_lost:
      return blocks + ": bad in the cache, which alone has them: they are lost until written";
    case FindingKind::backing_unreadable:
      return blocks + ": the pool's disk does not give them back";
    case FindingKind::backing_differs:
      return blocks + ": the pool has other bytes than the cache";
  }
  return blocks;
}

std::string mib(engine::ByteCount bytes) {
  return fmt::format("{} MiB", (bytes.value + (1U << 20) - 1) >> 20);
}

// What of it was looked at, and how far that goes.
std::string scope_of(const ScrubResult& result, std::uint64_t total_bytes) {
  if (result.in_cache.value == 0) {
    return fmt::format("{} read from the pool; the cache had nothing of it", mib({total_bytes}));
  }
  return fmt::format("{} read from the pool, {} from the cache, {} of them compared",
                     mib({total_bytes}), mib(result.in_cache), mib(result.compared));
}

std::string result_of(const ScrubResult& result, std::uint64_t total_bytes) {
  const std::string scope = scope_of(result, total_bytes);
  if (result.findings_total == 0) return "all is well: " + scope;
  return fmt::format("{} block{} bad in {} place{}: {}", result.bad_blocks,
                     result.bad_blocks == 1 ? " is" : "s are", result.findings_total,
                     result.findings_total == 1 ? "" : "s", scope);
}

bool is_healed(const std::vector<engine::ScrubFinding>& findings) {
  return std::ranges::all_of(findings,
                             [](const auto& one) { return one.kind == FindingKind::cache_healed; });
}

// Unless they are there already: a scrub has perhaps come to the same ones.
void add_blocks_of(const engine::LostRange& range, std::uint64_t sectors_per_block,
                   std::vector<engine::ScrubFinding>& lost) {
  const std::uint64_t first = range.begin.value / sectors_per_block;
  const std::uint64_t end = (range.end().value + sectors_per_block - 1) / sectors_per_block;
  const bool is_known = std::ranges::any_of(lost, [&](const engine::ScrubFinding& one) {
    return one.lba.value <= first && one.lba.value + one.blocks.value >= end;
  });
  if (is_known) return;
  lost.push_back({.kind = FindingKind::cache_lost, .lba = {first}, .blocks = {end - first}});
}

}  // namespace

// ---- begun

void Tasks::begin(const Wish& wish, Begun done) {
  if (table_.is_full()) return done(std::string("too much is under way; see forebayctl tasks"));
  if (!is_open_) return done(std::string(not_open));
  if (wish.kind == TaskKind::scrub) return begin_scrub(wish, done);
  begin_drain(wish, std::move(done));
}

std::uint64_t Tasks::left_of(const Wish& wish) const {
  if (wish.kind != TaskKind::retire) {
    const auto cache = uses_.engine.cache_of(wish.object);
    return cache ? std::max(cache->drain_left, cache->dirty).value : 0;
  }
  for (const auto& cache : uses_.engine.caches()) {
    if (cache.name == wish.object) return cache.dirty.value;
  }
  return 0;
}

// The engine tells on a thread of its own that it has begun, or why not: then there is a task.
void Tasks::begin_drain(const Wish& wish, Begun done) {
  const std::uint64_t before = left_of(wish);
  const auto begun = [this, wish, before, done = std::move(done)](const auto& outcome) {
    uses_.post([this, wish, before, done, outcome] {
      if (!outcome) return done(outcome.error());
      if (wish.kind == TaskKind::drain) uses_.drain_begun(wish.object, wish.by);
      Task* task = table_.find(wish.kind, wish.object);
      if (task == nullptr) {
        task = &add(wish);
        start(*task, before);
      }
      const std::uint64_t id = task->id;
      look_at(*task);
      done(id);
    });
  };
  switch (wish.kind) {
    case TaskKind::drain:
    case TaskKind::flush:
      return uses_.engine.drain(wish.object, begun);
    case TaskKind::detach:
      return uses_.engine.detach_cache(wish.object, begun);
    case TaskKind::retire:
      return uses_.engine.retire_cache(wish.object, begun);
    case TaskKind::scrub:
      return;
  }
}

void Tasks::begin_scrub(const Wish& wish, const Begun& done) {
  if (!uses_.volumes.contains(wish.object)) return done("there is no volume " + wish.object);
  const std::uint64_t rate = wish.scrub_rate.value_or(usual_rate_);
  if (rate < ScrubRun::least_rate || rate > ScrubRun::most_rate) {
    return done(std::string("a scrub reads from 1 MiB to 16 GiB a second"));
  }
  if (const Task* const other = table_.find(TaskKind::scrub, wish.object)) {
    return done(
        fmt::format("volume {} is being scrubbed already: task {}", wish.object, other->id));
  }
  const std::uint64_t id = add(wish).id;
  queue_.push_back({.id = id, .rate = wish.scrub_rate});
  start_next_scrub();
  done(id);
}

void Tasks::start_next_scrub() {
  while (scrubbed_ == 0 && !queue_.empty()) {
    const Queued next = queue_.front();
    queue_.pop_front();
    Task* const task = table_.find(next.id);
    if (task == nullptr || task->has_ended()) continue;
    const auto volume = uses_.volumes.find(task->object);
    if (volume == uses_.volumes.end()) {
      start(*task, 0);
      end(*task, TaskState::failed, "the volume has been removed");
      continue;
    }
    const auto ended = [this, id = next.id](const ScrubResult& result) {
      uses_.post([this, id, result] { scrub_ended(id, result); });
    };
    run_ = std::make_shared<ScrubRun>(*volume->second, uses_.reactor(),
                                      uses_.engine.losses_of(task->object).ranges,
                                      next.rate.value_or(usual_rate_), ended);
    run_is_at_usual_rate_ = !next.rate;
    scrubbed_ = next.id;
    start(*task, run_->total_bytes());
    run_->start();
  }
}

Task& Tasks::add(const Wish& wish) { return table_.add(wish.kind, wish.object, wish.by); }

void Tasks::start(Task& task, std::uint64_t total_bytes) {
  table_.start(task, total_bytes);
  log_info("task={} {} of {} begins, for {}", task.id, text(task.kind), task.object,
           task.started_by);
  uses_.events.add(EventName::task_started, task.object,
                   fmt::format("{} (task {}), for {}", text(task.kind), task.id, task.started_by));
}

void Tasks::set_scrub_rate(std::uint64_t bytes_per_second) {
  usual_rate_ = bytes_per_second;
  if (run_ != nullptr && run_is_at_usual_rate_) run_->set_rate(bytes_per_second);
}

// ---- under way

void Tasks::look() {
  for (Task& task : table_.all()) {
    if (task.state == TaskState::running && !cancelling_.contains(task.object)) look_at(task);
  }
}

void Tasks::look_at(Task& task) {
  switch (task.kind) {
    case TaskKind::drain:
    case TaskKind::flush:
      return look_at_drain(task);
    case TaskKind::detach:
      return look_at_detachment(task);
    case TaskKind::retire:
      return look_at_retirement(task);
    case TaskKind::scrub:
      if (run_ != nullptr && scrubbed_ == task.id) {
        table_.note(task, run_->done_bytes(), run_->total_bytes());
      }
      return;
  }
}

// Hosts go on writing: what is left may be more than there was.
void Tasks::look_at_drain(Task& task) {
  const auto cache = uses_.engine.cache_of(task.object);
  if (cache && cache->draining) {
    const std::uint64_t total = std::max(task.total_bytes, cache->drain_left.value);
    return table_.note(task, total - cache->drain_left.value, total);
  }
  if (cache && !cache->detaching) {
    return end(task, TaskState::done,
               "the pool has everything that was acknowledged when it began");
  }
  if (cache) return;  // it goes on as part of the detachment
  const engine::Volume* const volume = uses_.engine.find(task.object);
  const bool is_served = volume != nullptr && volume->state() == engine::VolumeState::online;
  if (is_served) return end(task, TaskState::done, "the pool has everything: it has no cache now");
  end(task, TaskState::failed, "the volume is not served any more");
}

void Tasks::look_at_detachment(Task& task) {
  const auto cache = uses_.engine.cache_of(task.object);
  if (cache && cache->detaching) {
    const std::uint64_t total = std::max(task.total_bytes, cache->drain_left.value);
    return table_.note(task, total - cache->drain_left.value, total);
  }
  if (cache && !cache->detach_error.empty()) {
    return end(task, TaskState::failed, "it keeps its cache: " + cache->detach_error);
  }
  if (cache) return end(task, TaskState::cancelled, "it keeps its cache");
  const engine::Volume* const volume = uses_.engine.find(task.object);
  if (volume == nullptr || volume->state() == engine::VolumeState::late ||
      volume->state() == engine::VolumeState::refused) {
    return end(task, TaskState::failed, "the volume is not served any more");
  }
  end(task, TaskState::done, "it is served without its cache");
}

void Tasks::look_at_retirement(Task& task) {
  for (const auto& cache : uses_.engine.caches()) {
    if (cache.name != task.object) continue;
    if (cache.retired) return end(task, TaskState::done, "nothing uses it any more");
    if (!cache.retiring) {
      return end(task, TaskState::failed, "a volume was not detached; forebayctl status says why");
    }
    const std::uint64_t total = std::max(task.total_bytes, cache.dirty.value);
    return table_.note(task, total - cache.dirty.value, total);
  }
  end(task, TaskState::done, "the device has been removed");
}

void Tasks::scrub_ended(std::uint64_t id, const ScrubResult& result) {
  scrubbed_ = 0;
  const std::shared_ptr<ScrubRun> run = std::exchange(run_, nullptr);
  Task* const task = table_.find(id);
  if (task == nullptr) return start_next_scrub();
  table_.note(*task, run->done_bytes(), run->total_bytes());
  task->findings_total = result.findings_total;
  for (const auto& one : result.findings) {
    const std::string text = text_of(one);
    task->findings.push_back({.kind = engine::text(one.kind),
                              .lba = one.lba.value,
                              .blocks = one.blocks.value,
                              .text = text});
    log_warn("volume={} scrub found {}", task->object, text);
  }
  LastScrub& last = last_scrubs_[task->object];
  figures_.checked_bytes += run->done_bytes();
  figures_.findings += result.findings_total;
  if (result.end == ScrubResult::End::whole) last.lost.clear();
  for (const auto& one : result.findings) {
    const bool is_new = std::ranges::find(last.lost, one) == last.lost.end();
    if (one.kind == FindingKind::cache_lost && is_new) last.lost.push_back(one);
  }
  if (!task->findings.empty()) {
    uses_.events.add(is_healed(result.findings) ? EventName::scrub_healed : EventName::scrub_found,
                     task->object,
                     fmt::format("{}{}", task->findings.front().text,
                                 result.findings_total == 1
                                     ? ""
                                     : fmt::format(" (and {} more: forebayctl tasks show {})",
                                                   result.findings_total - 1, id)));
  }
  switch (result.end) {
    case ScrubResult::End::whole:
      end(*task, TaskState::done, result_of(result, run->total_bytes()));
      last.ended_ms = task->ended_ms;
      last.bad_blocks = result.bad_blocks;
      figures_.last_end = static_cast<double>(task->ended_ms) / 1e3;
      last.result = task->result;
      break;
    case ScrubResult::End::cancelled:
      end(*task, TaskState::cancelled, "it was not looked at to its end");
      break;
    case ScrubResult::End::failed:
      end(*task, TaskState::failed, result.why);
      break;
  }
  start_next_scrub();
}

// ---- ended

void Tasks::end(Task& task, TaskState state, std::string result) {
  table_.end(task, state, std::move(result));
  log_info("task={} {} of {} {}: {}", task.id, text(task.kind), task.object, text(task.state),
           task.result);
  uses_.events.add(
      state == TaskState::failed ? EventName::task_failed : EventName::task_ended, task.object,
      fmt::format("{} (task {}) {}: {}", text(task.kind), task.id, text(task.state), task.result));
}

void Tasks::cancel(std::uint64_t id, const std::string& by, Done done) {
  Task* const task = table_.find(id);
  if (task == nullptr) return done(fmt::format("there is no task {}", id));
  if (task->has_ended()) {
    return done(fmt::format("task {} has ended already: {}", id, text(task->state)));
  }
  if (task->kind == TaskKind::retire) {
    return done(
        fmt::format("a retirement goes on volume by volume: cancel the detachments that "
                    "forebayctl status shows"));
  }
  if (task->kind != TaskKind::scrub) return cancel_drain(task->object, by, std::move(done));
  if (scrubbed_ == id) {
    run_->cancel();
  } else {
    end(*task, TaskState::cancelled, "it had not begun");
  }
  done(engine::success());
}

void Tasks::cancel_drain(const std::string& volume, const std::string& by, Done done) {
  if (!is_open_) return done(std::string(not_open));
  cancelling_.insert(volume);
  const auto cancelled = [this, volume, by, done = std::move(done)](const auto& outcome) {
    uses_.post([this, volume, by, done, outcome] {
      cancelling_.erase(volume);
      if (!outcome) return done(outcome.error());
      uses_.drain_cancelled(volume, by);
      for (const TaskKind kind : {TaskKind::drain, TaskKind::flush, TaskKind::detach}) {
        if (Task* const task = table_.find(kind, volume)) {
          end(*task, TaskState::cancelled, "what is left is written to its pool in its own time");
        }
      }
      done(engine::success());
    });
  };
  uses_.engine.cancel_drain(volume, cancelled);
}

void Tasks::stop() {
  is_open_ = false;
  queue_.clear();
  if (run_ != nullptr) run_->cancel();
}

LastScrub Tasks::last_scrub(const std::string& volume) const {
  const auto found = last_scrubs_.find(volume);
  LastScrub last = found == last_scrubs_.end() ? LastScrub{} : found->second;
  for (const Task& task : table_.all()) {
    if (task.id == scrubbed_ && task.object == volume) last.is_running = true;
  }
  const engine::Volume* const served = uses_.engine.find(volume);
  if (served == nullptr) return last;
  const std::uint64_t sectors = served->identity().block_size.bytes / engine::sector_bytes;
  const auto cache = uses_.engine.cache_of(volume);
  if (cache && cache->stopped_by_loss) add_blocks_of(*cache->stopped_by_loss, sectors, last.lost);
  if (last.lost.empty()) return last;
  const engine::LostRanges listed = uses_.engine.losses_of(volume).ranges;
  std::erase_if(last.lost, [&](const engine::ScrubFinding& one) {
    return listed.touches(
        {.begin = {one.lba.value * sectors}, .count = {one.blocks.value * sectors}});
  });
  return last;
}

metrics::ScrubFigures Tasks::scrub_figures() const {
  metrics::ScrubFigures figures = figures_;
  figures.running = scrubbed_ != 0;
  for (const auto& [volume, last] : last_scrubs_) {
    if (!uses_.volumes.contains(volume)) continue;
    if (last.bad_blocks > 0) ++figures.bad_volumes;
    figures.bad_blocks += last.bad_blocks;
    for (const auto& one : last_scrub(volume).lost) figures.lost_blocks += one.blocks.value;
  }
  return figures;
}

}  // namespace target
