#include "target/nvmf/persistent_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/foundation/byte_cursor.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using nvme::EventPlace;
using nvme::PersistentEventType;
using LogGuard = std::lock_guard<std::mutex>;

namespace {

std::uint64_t milliseconds_in(engine::Duration time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

}  // namespace

// A host that comes and goes, or a disk that fails all the time, leaves the rest of the log alone.
PersistentLog::PersistentLog(const engine::Clock& clock)
    : clock_(clock),
      begun_at_(clock.now()),
      limits_{LogLimit(60, std::chrono::minutes(1)), LogLimit(30, std::chrono::minutes(1)),
              LogLimit(30, std::chrono::minutes(1)), LogLimit(15, std::chrono::minutes(1)),
              LogLimit(4, std::chrono::hours(24))} {}

void PersistentLog::restore(std::vector<std::vector<std::byte>> oldest_first,
                            const SubsystemLives& lives, bool ended_well) {
  bool is_late = false;
  {
    const LogGuard guard(mutex_);
    std::uint64_t number = kept_events;
    for (auto event = oldest_first.rbegin(); event != oldest_first.rend(); ++event) {
      bytes_ += event->size();
      events_.push_front(std::make_shared<const RecordedEvent>(
          RecordedEvent{.number = number--, .bytes = std::move(*event)}));
    }
    make_room();
    before_.power_cycles += lives.power_cycles;
    before_.powered_ms += lives.powered_ms;
    before_.unsafe_shutdowns += lives.unsafe_shutdowns;
    is_late = powered_on_;
    died_ = !ended_well;
  }
  if (is_late && !ended_well) record_death();
}

void PersistentLog::on_added(std::function<void()> wake) {
  const LogGuard guard(mutex_);
  wake_ = std::move(wake);
}

void PersistentLog::begin(std::string_view firmware_revision) {
  bool died = false;
  {
    const LogGuard guard(mutex_);
    firmware_revision_ = firmware_revision;
    if (!std::exchange(powered_on_, true)) {
      ++before_.power_cycles;
      died = died_;
    }
  }
  if (died) record_death();
  // No controller is there yet.
  add(Often::resets, PersistentEventType::power_on_or_reset, {},
      nvme::power_on_or_reset_data(firmware_revision, {}));
}

void PersistentLog::record_death() {
  nvme::UnexpectedPowerLoss loss{};
  {
    const LogGuard guard(mutex_);
    loss.unsafe_shutdowns.low = ++before_.unsafe_shutdowns;
  }
  add(Often::never, PersistentEventType::hardware_error, {},
      nvme::hardware_error_data(nvme::HardwareErrorCode::unexpected_power_loss,
                                engine::bytes_of(loss)));
}

void PersistentLog::host_connected(const EventPlace& place, std::string_view host,
                                   std::string_view peer) {
  add(Often::hosts, PersistentEventType::vendor_specific, place,
      nvme::vendor_event_data(nvme::VendorEventCode::host_connected, "host connected",
                              fmt::format("{} from {}", host, peer)));
}

void PersistentLog::host_disconnected(const EventPlace& place, std::string_view host,
                                      std::string_view reason) {
  add(Often::hosts, PersistentEventType::vendor_specific, place,
      nvme::vendor_event_data(nvme::VendorEventCode::host_disconnected, "host disconnected",
                              fmt::format("{}: {}", host, reason)));
}

void PersistentLog::controller_reset(const EventPlace& place, engine::Duration powered_for,
                                     const nvme::TimestampData& timestamp) {
  nvme::ControllerResetInfo info{};
  std::string firmware_revision;
  {
    const LogGuard guard(mutex_);
    info.power_cycles = static_cast<std::uint32_t>(before_.power_cycles);
    firmware_revision = firmware_revision_;
  }
  info.controller = place.controller.value;
  info.power_on_milliseconds = milliseconds_in(powered_for);
  info.timestamp = timestamp;
  info.timestamp.attributes = 0;
  add(Often::resets, PersistentEventType::power_on_or_reset, place,
      nvme::power_on_or_reset_data(firmware_revision, std::span(&info, 1)));
}

void PersistentLog::controller_failed(const EventPlace& place) {
  add(Often::errors, PersistentEventType::hardware_error, place,
      nvme::hardware_error_data(nvme::HardwareErrorCode::controller_fatal_status, {}));
}

void PersistentLog::timestamp_changed(const EventPlace& place, const nvme::TimestampData& before,
                                      engine::Duration since_reset) {
  nvme::TimestampChangeEvent change{};
  change.previous = before;
  change.milliseconds_since_reset = milliseconds_in(since_reset);
  add(Often::times, PersistentEventType::timestamp_change, place, engine::bytes_of(change));
}

void PersistentLog::media_error(const EventPlace& place, const nvme::CompletionEntry& completion) {
  add(Often::errors, PersistentEventType::hardware_error, place,
      nvme::hardware_error_data(nvme::HardwareErrorCode::media_and_data_integrity,
                                engine::bytes_of(completion)));
}

void PersistentLog::health(const EventPlace& place, std::span<const std::byte> smart_page) {
  add(Often::health, PersistentEventType::smart_snapshot, place, smart_page);
}

void PersistentLog::feature_set(const EventPlace& place, const nvme::SubmissionEntry& command) {
  add(Often::times, PersistentEventType::set_feature, place, nvme::set_feature_data(command));
}

void PersistentLog::namespace_changed(const nvme::ChangeNamespaceEvent& change) {
  add(Often::never, PersistentEventType::change_namespace, {}, engine::bytes_of(change));
}

void PersistentLog::format_started(const EventPlace& place, const nvme::FormatStartEvent& format) {
  add(Often::never, PersistentEventType::format_start, place, engine::bytes_of(format));
}

void PersistentLog::format_completed(const EventPlace& place,
                                     const nvme::FormatCompletionEvent& format) {
  add(Often::never, PersistentEventType::format_completion, place, engine::bytes_of(format));
}

void PersistentLog::add(Often often, PersistentEventType type, const EventPlace& place,
                        std::span<const std::byte> data) {
  std::vector<std::byte> event = nvme::build_persistent_event(type, place, clock_.wall(), data);
  std::function<void()> wake;
  {
    const LogGuard guard(mutex_);
    if (often != Often::never && !limits_[static_cast<std::size_t>(often)].allows(clock_.now())) {
      return;
    }
    bytes_ += event.size();
    events_.push_back(std::make_shared<const RecordedEvent>(
        RecordedEvent{.number = ++last_number_, .bytes = std::move(event)}));
    make_room();
    wake = wake_;
  }
  if (wake) wake();
}

void PersistentLog::make_room() {
  while (bytes_ > most_event_bytes) {
    bytes_ -= events_.front()->bytes.size();
    last_gone_ = events_.front()->number;
    events_.pop_front();
  }
}

SubsystemLives PersistentLog::lives_now() const {
  SubsystemLives lives = before_;
  lives.powered_ms += milliseconds_in(clock_.now() - begun_at_);
  return lives;
}

EventReport PersistentLog::report() {
  const LogGuard guard(mutex_);
  return {.newest_first = {events_.rbegin(), events_.rend()},
          .at = clock_.wall(),
          .power_cycles = before_.power_cycles,
          .generation = ++generation_};
}

std::uint64_t PersistentLog::power_on_hours() const {
  const LogGuard guard(mutex_);
  return lives_now().powered_ms / 3'600'000;
}

PersistentLog::News PersistentLog::after(std::uint64_t number) const {
  const LogGuard guard(mutex_);
  News news{.events = {}, .lives = lives_now()};
  for (const auto& event : events_) {
    if (event->number > number) news.events.push_back(event);
  }
  news.some_are_gone = last_gone_ > number;
  return news;
}

// nvme-cli shows an event only if the page goes on behind it: four zeros end every page.
std::vector<std::byte> persistent_log_page(const EventReport& report,
                                           nvme::PersistentLogFacts facts) {
  std::uint64_t length = sizeof(nvme::PersistentLogHeader) + sizeof(std::uint32_t);
  for (const auto& event : report.newest_first) length += event->bytes.size();
  length = (length + 3) / 4 * 4;
  facts.events = static_cast<std::uint32_t>(report.newest_first.size());
  facts.length = length;
  facts.at = report.at;
  facts.power_cycles = report.power_cycles;
  facts.generation = report.generation;
  const auto header = nvme::build_persistent_log_header(facts);
  std::vector<std::byte> page;
  page.reserve(length);
  const auto put = [&page](std::span<const std::byte> bytes) {
    page.insert(page.end(), bytes.begin(), bytes.end());
  };
  put(engine::bytes_of(header));
  for (const auto& event : report.newest_first) put(event->bytes);
  page.resize(length);
  return page;
}

}  // namespace target::nvmf
