#include "target/event_keeper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "target/control/state_file.h"
#include "target/event_file.h"
#include "target/net/unique_fd.h"
#include "target/reactor/log.h"

namespace target {
namespace {

// Records are added up to this; then the file is written anew, without what has given way.
constexpr std::uint64_t longest_event_file = 4 * nvmf::PersistentLog::most_page_bytes;
// After the disk has refused.
constexpr std::chrono::seconds again_after{30};

std::string not_kept(const std::string& path, int error) {
  return fmt::format("{} cannot be written: {}", path, std::generic_category().message(error));
}

std::string records_of(const nvmf::PersistentLog::News& news) {
  std::string records;
  for (const auto& event : news.events) {
    records += event_file_record(news.lives, event->bytes);
  }
  return records;
}

}  // namespace

EventKeeper::EventKeeper(std::string directory, const engine::Clock& clock)
    : directory_(std::move(directory)), clock_(clock) {}

EventKeeper::~EventKeeper() {
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<nvmf::PersistentLog> EventKeeper::log_of(const std::string& nqn) {
  std::shared_ptr<Kept> made;
  {
    const std::lock_guard guard(mutex_);
    const auto found = logs_.find(nqn);
    if (found != logs_.end()) return found->second->log;
    made = std::make_shared<Kept>();
    made->nqn = nqn;
    made->name = "nvme-events." + nvmf::make_serial(nqn);
    made->log = std::make_shared<nvmf::PersistentLog>(clock_);
    if (directory_.empty()) {
      logs_.emplace(nqn, made);
      return made->log;
    }
    made->log->on_added([this] { wake(); });
    if (thread_.joinable()) {
      logs_.emplace(nqn, made);
      has_news_ = true;
      changed_.notify_all();
      return made->log;
    }
  }
  load(*made);  // nobody else is there yet
  const std::lock_guard guard(mutex_);
  return logs_.emplace(nqn, made).first->second->log;
}

void EventKeeper::load(Kept& kept) const {
  std::ifstream in(directory_ + "/" + kept.name, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(in), {}};
  EventFile file = parse_event_file(content, kept.nqn);
  if (!file.is_whole) {
    log_warn("{}/{} is damaged: what is left of it are {} events of {}, the file is written anew",
             directory_, kept.name, file.events.size(), kept.nqn);
  }
  kept.anew = content.empty() || !file.is_whole;
  kept.file_bytes = content.size();
  kept.log->restore(std::move(file.events), file.lives, file.ended_well);
  kept.is_loaded = true;
}

void EventKeeper::start() {
  if (directory_.empty()) return;
  const std::lock_guard guard(mutex_);
  has_news_ = true;
  thread_ = std::thread([this] { run(); });
}

void EventKeeper::wake() {
  const std::lock_guard guard(mutex_);
  has_news_ = true;
  changed_.notify_all();
}

void EventKeeper::run() {
  pthread_setname_np(pthread_self(), "nvme events");
  std::unique_lock lock(mutex_);
  while (!ends_) {
    const auto ready = [this] { return ends_ || has_news_; };
    if (trouble_.empty()) {
      changed_.wait(lock, ready);
    } else {
      changed_.wait_for(lock, again_after, [this] { return ends_; });
    }
    has_news_ = false;
    lock.unlock();
    save_all(/*ends=*/false);
    lock.lock();
  }
  lock.unlock();
  save_all(/*ends=*/true);
  lock.lock();
  ended_ = true;
  changed_.notify_all();
}

void EventKeeper::save_all(bool ends) {
  std::vector<std::shared_ptr<Kept>> logs;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [nqn, kept] : logs_) logs.push_back(kept);
  }
  std::string trouble;
  for (const auto& kept : logs) {
    if (!kept->is_loaded) load(*kept);
    if (auto saved = save(*kept, ends); !saved) trouble = saved.error();
  }
  if (trouble == trouble_) return;
  if (!trouble.empty()) {
    log_warn(
        "events of NVMe subsystems are not kept: {}; they are remembered until the daemon ends",
        trouble);
  } else {
    log_info("events of NVMe subsystems are kept again");
  }
  trouble_ = trouble;
}

engine::Result<void, std::string> EventKeeper::save(Kept& kept, bool ends) const {
  auto news = kept.log->after(kept.saved);
  if (news.events.empty() && !kept.anew && !ends) return engine::success();
  std::string records = records_of(news);
  const std::string end = ends ? event_file_end(news.lives) : std::string();
  const std::uint64_t last = news.events.empty() ? kept.saved : news.events.back()->number;
  if (!kept.anew && !news.some_are_gone &&
      kept.file_bytes + records.size() + end.size() <= longest_event_file) {
    kept.anew = true;  // unless it succeeds
    TRY(append(kept, records + end));
  } else {
    kept.anew = true;
    const std::string all = event_file_begin(kept.nqn) + records_of(kept.log->after(0)) + end;
    TRY(control::write_state_file(directory_, kept.name, all));
    kept.file_bytes = all.size();
  }
  kept.anew = false;
  kept.saved = last;
  return engine::success();
}

engine::Result<void, std::string> EventKeeper::append(Kept& kept,
                                                      const std::string& records) const {
  const std::string path = directory_ + "/" + kept.name;
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return not_kept(path, errno);
  std::string_view left = records;
  while (!left.empty()) {
    const ssize_t put = ::write(file.get(), left.data(), left.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return not_kept(path, errno);
    left.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::fdatasync(file.get()) != 0) return not_kept(path, errno);
  kept.file_bytes += records.size();
  return engine::success();
}

bool EventKeeper::finish(engine::Duration patience) {
  std::unique_lock lock(mutex_);
  if (!thread_.joinable()) return true;
  ends_ = true;
  changed_.notify_all();
  if (!changed_.wait_for(lock, patience, [this] { return ended_; })) return false;
  lock.unlock();
  thread_.join();
  return true;
}

}  // namespace target
