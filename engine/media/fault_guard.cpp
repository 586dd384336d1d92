#include "engine/media/fault_guard.h"

#include <pthread.h>
#include <ucontext.h>

#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <mutex>

#include "engine/foundation/check.h"

namespace engine {
namespace {

// Where a thread goes on when its leaf cannot. On the stack of touch_guarded().
struct Landing {
  sigjmp_buf where;
  std::uintptr_t begin;
  std::uintptr_t end;
  volatile std::uintptr_t fault;
};
thread_local Landing* volatile landing = nullptr;

// The signal that was last handed to the previous handler. One that comes again, further down the
// same stack, has been handed back to us.
struct PassedOn {
  const siginfo_t* info;
  const void* frame;
};
thread_local PassedOn passed_on{};

// Written before the handler is installed, and again only under the mutex.
struct sigaction previous_action;
std::mutex install_mutex;

void pass_on(int signal, siginfo_t* info, void* context) {
  const bool has_handler =
      (previous_action.sa_flags & SA_SIGINFO) != 0 ||
      (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN);
  const void* const frame = __builtin_frame_address(0);
  const bool came_back = passed_on.info == info && frame < passed_on.frame;
  if (!has_handler || came_back) {
    // A fault happens again on return and ends the process where it happened.
    std::signal(signal, SIG_DFL);
    if (info->si_code <= 0) std::raise(signal);  // sent by somebody, not a fault
    return;
  }
  passed_on = {.info = info, .frame = frame};  // stays if the handler jumps elsewhere
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal, info, context);
  } else {
    previous_action.sa_handler(signal);
  }
  // Also keeps the calls above from being tail calls, which would leave no frame to compare with.
  passed_on = {};
}

void on_fault(int signal, siginfo_t* info, void* context) {
  Landing* const here = landing;
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  // BUS_MCEERR_AO is a notice about memory that nobody is loading now; whoever loads it gets his
  // own.
  if (info->si_code == BUS_MCEERR_AO) return;
  if (here != nullptr && info->si_code > 0 && at >= here->begin && at < here->end) {
    here->fault = at;
    // The mask of before the fault: sigsetjmp would need a system call for each touch to keep it.
    pthread_sigmask(SIG_SETMASK, &static_cast<ucontext_t*>(context)->uc_sigmask, nullptr);
    siglongjmp(here->where, 1);
  }
  pass_on(signal, info, context);
}

}  // namespace

void install_fault_handler() {
  const std::lock_guard guard(install_mutex);
  struct sigaction now {};
  CHECK(sigaction(SIGBUS, nullptr, &now) == 0);
  if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_fault) return;
  previous_action = now;
  struct sigaction ours {};
  ours.sa_sigaction = on_fault;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&ours.sa_mask);
  CHECK(sigaction(SIGBUS, &ours, nullptr) == 0);
}

std::optional<const std::byte*> touch_guarded(std::span<const std::byte> range,
                                              void (*leaf)(const void*) noexcept,
                                              const void* argument) noexcept {
  Landing here;
  here.begin = reinterpret_cast<std::uintptr_t>(range.data());
  here.end = here.begin + range.size();
  CHECK(landing == nullptr);
  if (sigsetjmp(here.where, 0) != 0) {
    landing = nullptr;
    return range.data() + (here.fault - here.begin);
  }
  landing = &here;
  leaf(argument);
  landing = nullptr;
  return std::nullopt;
}

}  // namespace engine
