// Controller, the rest: what it leaves in its subsystem's Persistent Event log, and how its host
// reads that.
#include <utility>

#include "engine/foundation/byte_cursor.h"
#include "target/nvmf/controller.h"
#include "target/nvmf/log_pages.h"
#include "target/nvmf/subsystem.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using ContextGuard = std::lock_guard<std::mutex>;
using LogAction = nvme::PersistentLogAction;

namespace {

constexpr std::chrono::hours health_period{24};

// A compare that finds other data is how hosts lock each other out, and says nothing of the media.
// Access Denied and Deallocated are not recorded either (Base 2.1, "NVM Subsystem Hardware Error
// Event").
bool is_of_media(nvme::Status status) {
  return status.type == nvme::StatusCodeType::media && !status.is(nvme::status::compare_failure) &&
         !status.is(nvme::status::access_denied) &&
         !status.is(nvme::status::deallocated_or_unwritten);
}

}  // namespace

void Controller::remember_host_came() const {
  if (PersistentLog* const log = subsystem_->events()) {
    log->host_connected(event_place(), association_.host_nqn, association_.link.peer_address);
  }
}

void Controller::remember_host_went(std::string_view why) const {
  if (PersistentLog* const log = subsystem_->events()) {
    log->host_disconnected(event_place(), association_.host_nqn, why);
  }
}

void Controller::remember_failure(const CommandFailure& failure) const {
  PersistentLog* const log = subsystem_->events();
  if (log == nullptr || !is_of_media(failure.status)) return;
  nvme::CompletionEntry completion = nvme::make_completion(failure.cid, failure.status, 0);
  completion.sq_id = failure.qid;
  log->media_error(event_place(), completion);
}

void Controller::remember_health(bool daily) {
  PersistentLog* const log = subsystem_->events();
  if (log == nullptr) return;
  const engine::Instant now = log->now();
  {
    const ContextGuard guard(mutex_);
    if (daily && now - health_at_ < health_period) return;
    health_at_ = now;
  }
  const nvme::SmartLogPage page = smart_log(*this, now);
  log->health(event_place(), engine::bytes_of(page));
}

void Controller::remember_feature(const nvme::SubmissionEntry& command) const {
  if (PersistentLog* const log = subsystem_->events()) log->feature_set(event_place(), command);
}

void Controller::remember_format(const nvme::FormatStartEvent& format) const {
  if (PersistentLog* const log = subsystem_->events()) log->format_started(event_place(), format);
}

void Controller::remember_format(const nvme::FormatCompletionEvent& format) const {
  if (PersistentLog* const log = subsystem_->events()) log->format_completed(event_place(), format);
}

nvme::Parsed<std::vector<std::byte>> Controller::persistent_page(LogAction action, bool begins) {
  PersistentLog* const log = subsystem_->events();
  CHECK(log != nullptr);  // a discovery controller has no such page
  const std::uint64_t hours = log->power_on_hours();
  const ContextGuard guard(mutex_);
  if (action == LogAction::release) {
    report_.reset();
    return std::vector<std::byte>();
  }
  const bool establishes = action == LogAction::establish || action == LogAction::establish_header;
  const bool wants_none = action == LogAction::establish && begins;
  const bool wants_one = !establishes || !begins;
  if ((wants_none && report_) || (wants_one && !report_)) {
    return nvme::Refusal{nvme::status::command_sequence_error, nvme::at_dword(10, 8)};
  }
  if (begins) {
    report_existed_ = report_.has_value();
    if (!report_) report_ = log->report();
  }
  std::vector<std::byte> page =
      persistent_log_page(*report_, {.power_on_hours = hours,
                                     .serial_number = subsystem_->serial(),
                                     .model_number = subsystem_->model(),
                                     .subsystem_nqn = subsystem_->nqn(),
                                     .context_existed = report_existed_,
                                     .port = association_.port_id});
  if (action == LogAction::establish_header) page.resize(sizeof(nvme::PersistentLogHeader));
  return page;
}

}  // namespace target::nvmf
