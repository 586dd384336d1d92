#include "target/scsi/nexus.h"

#include <algorithm>
#include <boost/intrusive/parent_from_member.hpp>
#include <type_traits>
#include <utility>
#include <variant>

#include "target/scsi/outcome.h"
#include "target/scsi/target_device.h"
#include "target/scsi/traffic.h"

namespace target::scsi {

namespace command = protocol::scsi;
namespace sense = protocol::scsi::sense;
using protocol::scsi::CommandDescription;
using protocol::scsi::ReservationRule;
using protocol::scsi::Sense;
using protocol::scsi::Status;
using protocol::scsi::Touches;

namespace {

// The same volume, which has been taken out and put in again.
bool has_come_back(const LogicalUnit& before, const LogicalUnit& now) {
  const engine::Uuid& uuid = before.volume().volume().identity().uuid;
  return before.lun() == now.lun() && !uuid.is_nil() &&
         uuid == now.volume().volume().identity().uuid;
}

}  // namespace

Nexus::Nexus(std::shared_ptr<TargetDevice> device, const NexusIdentity& identity, TaskPort& port,
             NexusObserver& observer)
    : device_(std::move(device)),
      identity_(identity),
      party_(block::PartyId::scsi_nexus(identity.initiator, identity.isid, identity.target_port)),
      port_(port),
      observer_(observer),
      handle_(std::make_shared<NexusHandle>(*this, port.reactor())),
      requests_(*this, port.reactor()),
      blocks_(*this, requests_),
      pages_(*this, *device_, identity_),
      reservations_(*this, *device_, identity_, handle_),
      copies_(*this, requests_) {
  const bool seen_before = device_->join(identity_, handle_);
  const Sense first = seen_before ? sense::nexus_loss : sense::power_on_or_reset;
  access_ = device_->port_state(identity_.target_port);
  seen_luns_ = device_->luns_version();
  for (auto& unit : device_->units_for(identity_.initiator)) {
    add_unit(std::move(unit)).attentions().establish(first.code);
  }
}

Nexus::~Nexus() {
  CHECK(outstanding() == 0);
  CHECK(units_.empty() && leaving_.empty());
}

// Units

ItlNexus* Nexus::find_unit(protocol::scsi::Lun lun) const {
  const auto number = lun.unit_number();
  if (!number) return nullptr;
  // LUNs mostly are 0, 1, 2 ...
  if (*number < units_.size() && units_[*number]->unit().lun() == *number) {
    return units_[*number].get();
  }
  const auto found = std::lower_bound(
      units_.begin(), units_.end(), *number,
      [](const auto& itl, std::uint16_t wanted) { return itl->unit().lun() < wanted; });
  return found != units_.end() && (*found)->unit().lun() == *number ? found->get() : nullptr;
}

ItlNexus& Nexus::add_unit(std::shared_ptr<LogicalUnit> unit) {
  auto itl = std::make_shared<ItlNexus>(unit, handle_, party_);
  ItlNexus& added = *itl;
  unit->attach(itl);
  const auto place = std::upper_bound(
      units_.begin(), units_.end(), unit->lun(),
      [](std::uint16_t lun, const auto& other) { return lun < other->unit().lun(); });
  const std::lock_guard lock(units_mutex_);
  units_.insert(place, std::move(itl));
  return added;
}

// Another logical block length changes what READ CAPACITY, the block limits page and the mode
// parameter block descriptor say (SBC-4). What of the unit before has not been told yet still is.
void Nexus::renew_unit(std::shared_ptr<LogicalUnit> unit, ItlNexus& before) {
  UnitAttentions& attentions = add_unit(std::move(unit)).attentions();
  while (const auto code = before.attentions().take()) attentions.establish(*code);
  attentions.establish(sense::capacity_changed.code);
  attentions.establish(sense::inquiry_data_changed.code);
  attentions.establish(sense::mode_parameters_changed.code);
}

void Nexus::lose_unit(ItlNexus& itl) {
  itl.lose();
  itl.unit().detach(itl);
  const std::lock_guard lock(units_mutex_);
  counts_ += itl.counters.counts();
}

void Nexus::refresh_units() {
  const std::uint64_t version = device_->luns_version();
  if (ending_ || answering_ != 0 || version == seen_luns_) return;
  seen_luns_ = version;
  auto seen = device_->units_for(identity_.initiator);
  bool changed = false;
  std::vector<std::pair<std::shared_ptr<LogicalUnit>, std::shared_ptr<ItlNexus>>> come_back;
  for (std::size_t i = 0; i < units_.size();) {
    const auto still = std::find_if(seen.begin(), seen.end(), [&](const auto& unit) {
      return unit.get() == &units_[i]->unit();
    });
    if (still != seen.end()) {
      seen.erase(still);
      ++i;
      continue;
    }
    std::shared_ptr<ItlNexus> itl = units_[i];
    const auto renewed = std::ranges::find_if(
        seen, [&](const auto& unit) { return has_come_back(itl->unit(), *unit); });
    if (renewed != seen.end()) {
      come_back.emplace_back(*renewed, itl);
      seen.erase(renewed);
    } else {
      changed = true;
    }
    {
      const std::lock_guard lock(units_mutex_);
      units_.erase(units_.begin() + static_cast<std::ptrdiff_t>(i));
      if (!itl->tasks().empty()) leaving_.push_back(itl);
    }
    if (itl->tasks().empty()) lose_unit(*itl);
  }
  for (auto& unit : seen) {
    changed = true;
    add_unit(std::move(unit)).attentions().establish(sense::power_on_or_reset.code);
  }
  for (auto& [unit, before] : come_back) renew_unit(std::move(unit), *before);
  if (!changed) return;
  for (const auto& itl : units_) itl->attentions().establish(sense::luns_changed.code);
  observer_.lun_inventory_changed();
}

// SPC-4, "Asymmetric logical unit access": told by every port, whichever has changed.
void Nexus::access_changed() {
  if (ending_) return;
  access_ = device_->port_state(identity_.target_port);
  for (const auto& itl : units_) {
    itl->attentions().establish(sense::asymmetric_access_changed.code);
  }
}

block::BlockVolume* Nexus::volume_of(const Task& task) {
  refresh_units();
  const ItlNexus* const itl = find_unit(task.lun);
  return itl == nullptr ? nullptr : &itl->volume();
}

TaskCounts Nexus::counts() const {
  const std::lock_guard lock(units_mutex_);
  TaskCounts sum = counts_;
  for (const auto& itl : units_) sum += itl->counters.counts();
  for (const auto& itl : leaving_) sum += itl->counters.counts();
  return sum;
}

TaskSet& Nexus::set_of(const Task& task) {
  return task.itl == nullptr ? stray_ : task.itl->tasks();
}

// The way of a task

void Nexus::execute(TaskPermit permit) {
  Task& task = permit.task();
  if (ending_) return permit.drop();
  refresh_units();
  task.itl = find_unit(task.lun);
  task.command_bytes = 0;
  task.aborted = false;
  task.unabortable = false;
  task.sense_format = protocol::scsi::SenseFormat::fixed;
  if (task.itl != nullptr && task.request.volume == nullptr) {
    block::begin_command(task.request, task.itl->volume(), port_.reactor());
  }
  outstanding_.store(outstanding() + 1, std::memory_order_relaxed);
  if (!set_of(task).enter(task)) {
    permit.park();
    return;
  }
  begin(std::move(permit));
}

void Nexus::begin(TaskPermit permit) {
  const Task& task = permit.task();
  ItlNexus* const itl = task.itl;
  // SAM-5, "Unit attention conditions": before anything else, but for the commands of the target.
  if (itl != nullptr && itl->attentions().any()) {
    const CommandDescription* const row = protocol::scsi::find_command(task.cdb);
    if (row == nullptr || !row->of_target) {
      if (const auto code = itl->attentions().take()) {
        return answer(std::move(permit),
                      Sense{.key = protocol::scsi::SenseKey::unit_attention, .code = *code});
      }
    }
  }
  run(std::move(permit), Step::begun);
}

void Nexus::data_ready(TaskPermit permit) {
  if (permit.task().aborted) return answer(std::move(permit), Status::good);
  run(std::move(permit), Step::data_ready);
}

void Nexus::data_failed(TaskPermit permit, const Sense& why) { answer(std::move(permit), why); }

void Nexus::data_failed(TaskPermit permit, Status status) { answer(std::move(permit), status); }

// One overload for each kind of command, by who executes it.
struct Nexus::Dispatch {
  Nexus& nexus;
  TaskPermit& permit;
  bool ready;

  void operator()(const command::ReportLuns& c) {
    nexus.pages_.run(std::move(permit), c, ready, nexus.units_);
  }
  void operator()(const command::ExtendedCopy& c) {
    nexus.copies_.run(std::move(permit), c, ready, nexus.units_);
  }
  void operator()(const command::ReceiveCopyResults& c) {
    nexus.copies_.run(std::move(permit), c, ready);
  }
  template <class C>
  void operator()(const C& c) {
    if constexpr (requires { nexus.blocks_.run(std::move(permit), c, ready); }) {
      nexus.blocks_.run(std::move(permit), c, ready);
    } else if constexpr (requires { nexus.reservations_.run(std::move(permit), c, ready); }) {
      nexus.reservations_.run(std::move(permit), c, ready);
    } else {
      nexus.pages_.run(std::move(permit), c, ready);
    }
  }
};

void Nexus::run(TaskPermit permit, Step step) {
  const Task& task = permit.task();
  const CommandDescription* const row = protocol::scsi::find_command(task.cdb);
  if (task.itl == nullptr) {
    const bool well_known = task.lun == protocol::scsi::report_luns_unit;
    const bool served = row != nullptr && (well_known ? row->of_well_known_unit : row->of_target);
    if (!served) {
      return answer(std::move(permit),
                    well_known ? sense::invalid_opcode : sense::unit_not_supported);
    }
  }
  const auto parsed = protocol::scsi::parse_command(task.cdb, features_of(task.itl));
  if (!parsed) return answer(std::move(permit), parsed.error());
  // A unit 0 that is not there still tells which ones are (SPC-4, "REPORT LUNS command").
  const bool lists_units = std::holds_alternative<command::ReportLuns>(parsed.value());
  if (task.itl == nullptr && lists_units && task.lun != protocol::scsi::report_luns_unit &&
      task.lun.unit_number() != 0) {
    return answer(std::move(permit), sense::unit_not_supported);
  }
  // Its LUN got another volume while its data came, which is counted towards the old one.
  if (task.itl != nullptr && task.request.volume != &task.itl->volume()) {
    return answer(std::move(permit), Status::busy);
  }
  if (task.itl != nullptr && !admit(permit, *row, parsed.value())) return;
  if (step == Step::begun && task.itl != nullptr && task.itl->volume().limiter().is_limiting() &&
      !within_limits(permit, parsed.value())) {
    return;
  }
  std::visit(Dispatch{*this, permit, step == Step::data_ready}, parsed.value());
}

namespace {

Task& task_of_request(block::VolumeRequest& request) {
  return *boost::intrusive::get_parent_from_member(&request, &Task::request);
}

}  // namespace

bool Nexus::within_limits(TaskPermit& permit, const command::Command& parsed) {
  Task& task = permit.task();
  const auto traffic = traffic_of(task, parsed);
  if (!traffic) return true;
  task.request.context = this;
  const auto let_go = [](block::VolumeRequest& request) noexcept {
    static_cast<Nexus*>(request.context)
        ->run(TaskPermit::resume(task_of_request(request)), Step::within_limits);
  };
  const auto refused = [](block::VolumeRequest& request, engine::IoStatus /*outcome*/) noexcept {
    static_cast<Nexus*>(request.context)
        ->answer(TaskPermit::resume(task_of_request(request)), Status::busy);
  };
  if (requests_.within_limits(task.request, *traffic, let_go, refused)) return true;
  permit.park();
  return false;
}

// SPC-4, "Unavailable state": what is answered there.
std::optional<Sense> Nexus::check_access(const CommandDescription& row,
                                         const command::Command& parsed) const {
  const bool passes = (row.of_target && !std::holds_alternative<command::TestUnitReady>(parsed)) ||
                      std::holds_alternative<command::ReportTargetPortGroups>(parsed) ||
                      std::holds_alternative<command::SetTargetPortGroups>(parsed) ||
                      std::holds_alternative<command::ReadBuffer>(parsed) ||
                      std::holds_alternative<command::WriteBuffer>(parsed);
  if (passes) return std::nullopt;
  return access_ == block::AccessState::change ? sense::not_ready_access_transition
                                               : sense::not_ready_target_port_unavailable;
}

bool Nexus::admit(TaskPermit& permit, const CommandDescription& row,
                  const command::Command& parsed) {
  const ItlNexus& itl = *permit.task().itl;
  if (!block::is_reached(access_)) [[unlikely]] {
    if (const auto why = check_access(row, parsed)) {
      answer(std::move(permit), *why);
      return false;
    }
  }
  if (!admit_reservations(permit, row, parsed)) return false;
  const bool asks_the_medium = row.touches != Touches::nothing ||
                               std::holds_alternative<command::TestUnitReady>(parsed) ||
                               std::holds_alternative<command::ReadCapacity10>(parsed) ||
                               std::holds_alternative<command::ReadCapacity16>(parsed);
  if (asks_the_medium) {
    const engine::Volume& volume = itl.volume().volume();
    auto why = not_ready(volume);
    if (!why && volume.size().value == 0) why = sense::not_ready_becoming_ready;
    if (why) {
      answer(std::move(permit), *why);
      return false;
    }
  }
  if (row.touches == Touches::changes && itl.unit().write_protect()) {
    answer(std::move(permit), sense::write_protected);
    return false;
  }
  return true;
}

namespace {

// SPC-2 lets these pass a RESERVE of another nexus.
bool passes_reserved_unit(const CommandDescription& row, const command::Command& parsed) {
  const auto* const prevent = std::get_if<command::PreventAllowMediumRemoval>(&parsed);
  return row.of_target || std::holds_alternative<command::ReleaseUnit>(parsed) ||
         std::holds_alternative<command::ReadCapacity10>(parsed) ||
         std::holds_alternative<command::ReadCapacity16>(parsed) ||
         std::holds_alternative<command::ReportTargetPortGroups>(parsed) ||
         (prevent != nullptr && !prevent->prevent);
}

}  // namespace

bool Nexus::admit_reservations(TaskPermit& permit, const CommandDescription& row,
                               const command::Command& parsed) {
  const block::ReservationPath& path = permit.task().itl->reservations();
  auto verdict = block::ReservationVerdict::allowed;
  switch (reservation_rule(row, parsed)) {
    case ReservationRule::as_read:
      verdict = path.may(block::ReservationAccess::read);
      break;
    case ReservationRule::as_write:
      verdict = path.may(block::ReservationAccess::write);
      break;
    case ReservationRule::by_action:
      break;
    case ReservationRule::always:
      if (!passes_reserved_unit(row, parsed) && path.reservations().is_reserved_by_another(path)) {
        verdict = block::ReservationVerdict::conflict;
      }
      break;
  }
  switch (verdict) {
    case block::ReservationVerdict::allowed:
      return true;
    case block::ReservationVerdict::conflict:
      answer(std::move(permit), Status::reservation_conflict);
      return false;
    case block::ReservationVerdict::not_known:
      answer(std::move(permit), not_ready(permit.task().itl->volume().volume().state())
                                    .value_or(sense::not_ready_becoming_ready));
      return false;
  }
  return false;
}

// Ends of tasks

void Nexus::leave(Task& task) {
  set_of(task).leave(task);
  outstanding_.store(outstanding() - 1, std::memory_order_relaxed);
  if (task.itl != nullptr && task.itl->unit().descriptor_sense()) {
    task.sense_format = protocol::scsi::SenseFormat::descriptor;
  }
  if (!task.aborted) return;
  // The tickets go when the task has been dropped: whoever waits for them may look at once.
  for (Wait& wait : waits_) std::erase(wait.tasks, &task);
}

void Nexus::left(TaskSet& set) {
  begin_held(set);
  std::vector<block::AbortTicket> over;
  std::erase_if(waits_, [&](Wait& wait) {
    if (!wait.tasks.empty()) return false;
    over.push_back(std::move(wait.ticket));
    return true;
  });
  for (std::size_t i = 0; i < leaving_.size();) {
    std::shared_ptr<ItlNexus> itl = leaving_[i];
    if (!itl->tasks().empty()) {
      ++i;
      continue;
    }
    {
      const std::lock_guard lock(units_mutex_);
      leaving_.erase(leaving_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    lose_unit(*itl);
  }
  if (ending_) finish_end();
}

void Nexus::begin_held(TaskSet& set) {
  set.begin_held([this](Task& task) {
    auto permit = TaskPermit::resume(task);
    if (task.aborted) return answer(std::move(permit), Status::good);
    begin(std::move(permit));
  });
}

template <class F>
void Nexus::end_task(TaskPermit permit, F&& respond) {
  TaskSet& set = set_of(permit.task());
  leave(permit.task());
  ++answering_;
  respond(std::move(permit));
  --answering_;
  left(set);
}

void Nexus::answer(TaskPermit permit, Status status) {
  const Task& task = permit.task();
  const bool aborted = task.aborted;
  if (task.itl != nullptr) {
    TaskCounters& counters = task.itl->counters;
    const bool busy = status == Status::busy || status == Status::task_set_full;
    if (aborted) TaskCounters::add(counters.aborted);
    if (busy && !aborted) TaskCounters::add(counters.busy);
  }
  end_task(std::move(permit), [&](TaskPermit ending) {
    if (aborted) return ending.drop();
    ending.respond(status);
  });
}

void Nexus::answer(TaskPermit permit, const Sense& why) {
  const Task& task = permit.task();
  if (task.aborted) return answer(std::move(permit), Status::good);
  if (task.itl != nullptr) TaskCounters::add(task.itl->counters.check_conditions);
  end_task(std::move(permit), [&](TaskPermit ending) { ending.respond(why); });
}

void Nexus::answer_with_data(TaskPermit permit, std::uint32_t bytes) {
  if (permit.task().aborted) return answer(std::move(permit), Status::good);
  end_task(std::move(permit), [&](TaskPermit ending) { ending.respond_with_data(bytes); });
}

void Nexus::answer_in_place(TaskPermit permit, engine::PinnedRead read) {
  end_task(std::move(permit), [&](TaskPermit ending) { ending.respond_in_place(std::move(read)); });
}

}  // namespace target::scsi
