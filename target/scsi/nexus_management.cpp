// Nexus: task management, and its end.
#include <utility>

#include "target/scsi/nexus.h"
#include "target/scsi/target_device.h"

namespace target::scsi {

namespace sense = protocol::scsi::sense;
using protocol::scsi::Status;

bool Nexus::abort(Task& task) {
  task.aborted = true;
  if (!task.held && !port_.take_back(task)) {
    if (!requests_.cancel(task.request) && !copies_.take_back(task)) {
      (void)block::VolumeRequests::take_back(task.request);  // then it does not take long
      return false;
    }
  }
  answer(TaskPermit::resume(task), Status::good);
  return true;
}

void Nexus::abort_tasks(ItlNexus& itl, block::AbortTicket ticket, Abort which) {
  Wait wait{.tasks = {}, .ticket = std::move(ticket)};
  bool any = false;
  itl.tasks().for_each([&](Task& task) {
    if (which == Abort::preempted && task.unabortable) return;
    any = true;
    if (!abort(task)) wait.tasks.push_back(&task);
  });
  begin_held(itl.tasks());
  if (any && which == Abort::preempted) {
    itl.attentions().establish(sense::commands_cleared_by_other.code);
  }
  if (!wait.tasks.empty()) waits_.push_back(std::move(wait));
}

// Let go of on any thread: a unit's other nexuses have a share in it.
block::AbortTicket Nexus::ticket_for(std::function<void(ManagementResponse)> done) {
  const auto tell = [handle = handle_, done = std::move(done)](void*) {
    handle->post([done](Nexus* nexus) {
      if (nexus != nullptr && !nexus->ending_) done(ManagementResponse::complete);
    });
  };
  return {static_cast<void*>(nullptr), tell};
}

void Nexus::abort_task(ItlNexus& itl, std::uint32_t tag,
                       std::function<void(ManagementResponse)> done) {
  Task* found = nullptr;
  itl.tasks().for_each([&](Task& task) {
    if (task.tag == tag) found = &task;
  });
  if (found == nullptr) {
    return handle_->post([done = std::move(done)](Nexus* nexus) {
      if (nexus != nullptr && !nexus->ending_) done(ManagementResponse::no_task);
    });
  }
  block::AbortTicket ticket = ticket_for(std::move(done));
  if (!abort(*found)) waits_.push_back({.tasks = {found}, .ticket = std::move(ticket)});
}

void Nexus::manage(const ManagementRequest& request, std::function<void(ManagementResponse)> done) {
  const auto refuse = [&](ManagementResponse response) {
    handle_->post([done = std::move(done), response](Nexus* nexus) {
      if (nexus != nullptr && !nexus->ending_) done(response);
    });
  };
  if (ending_) return;
  refresh_units();
  const bool of_device = request.function == ManagementFunction::target_warm_reset ||
                         request.function == ManagementFunction::target_cold_reset;
  ItlNexus* const itl = of_device ? nullptr : find_unit(request.lun);
  switch (request.function) {
    case ManagementFunction::abort_task:
      if (itl == nullptr) return refuse(ManagementResponse::no_lun);
      return abort_task(*itl, request.tag, std::move(done));
    // Each nexus has a task set of its own (TST is 001b), so that is what is cleared.
    case ManagementFunction::abort_task_set:
    case ManagementFunction::clear_task_set:
      if (itl == nullptr) return refuse(ManagementResponse::no_lun);
      return abort_tasks(*itl, ticket_for(std::move(done)), Abort::all);
    case ManagementFunction::logical_unit_reset:
      if (itl == nullptr) return refuse(ManagementResponse::no_lun);
      return itl->unit().reset(ticket_for(std::move(done)), sense::device_reset_by_function.code);
    case ManagementFunction::target_warm_reset:
    case ManagementFunction::target_cold_reset: {
      const auto ticket = ticket_for(std::move(done));
      const auto code = request.function == ManagementFunction::target_cold_reset
                            ? sense::bus_reset.code
                            : sense::device_reset_by_function.code;
      for (const auto& unit : device_->all_units()) unit->reset(ticket, code);
      return;
    }
    case ManagementFunction::clear_aca:
    case ManagementFunction::task_reassign:
      return refuse(ManagementResponse::not_supported);
  }
}

void Nexus::end(std::function<void()> ended) {
  CHECK(!ending_);
  ending_ = true;
  ended_ = std::move(ended);
  const auto abort_all = [this](TaskSet& set) {
    set.for_each([this](Task& task) { abort(task); });
    begin_held(set);
  };
  // Copies: the lists change when a unit's last task ends.
  const auto units = units_;
  const auto leaving = leaving_;
  for (const auto& itl : units) abort_all(itl->tasks());
  for (const auto& itl : leaving) abort_all(itl->tasks());
  abort_all(stray_);
  finish_end();
}

// What a disk works on still holds its reservations, and whoever preempts this nexus waits for it:
// the units are lost only now.
void Nexus::finish_end() {
  if (outstanding() != 0 || told_to_finish_) return;
  told_to_finish_ = true;
  handle_->post([](Nexus* nexus) {
    for (const auto& itl : nexus->units_) nexus->lose_unit(*itl);
    {
      const std::lock_guard lock(nexus->units_mutex_);
      nexus->units_.clear();
    }
    nexus->device_->leave(*nexus->handle_);
    nexus->handle_->nexus_ended();
    const auto told = std::move(nexus->ended_);
    told();
  });
}

}  // namespace target::scsi
