#include "engine/media/fault_guard.h"

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
thread_local volatile bool passing_on = false;  // the previous handler is running

// Written before the handler is installed, and again only under the mutex.
struct sigaction previous_action;
std::mutex install_mutex;

void pass_on(int signal, siginfo_t* info, void* context) {
  const bool has_handler =
      (previous_action.sa_flags & SA_SIGINFO) != 0 ||
      (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN);
  // A previous handler that hands the signal back to us ends the round here.
  if (!has_handler || passing_on) {
    // A fault happens again on return and ends the process where it happened.
    std::signal(signal, SIG_DFL);
    if (info->si_code <= 0) std::raise(signal);  // sent by somebody, not a fault
    return;
  }
  passing_on = true;
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal, info, context);
  } else {
    previous_action.sa_handler(signal);
  }
  passing_on = false;
}

void on_fault(int signal, siginfo_t* info, void* context) {
  Landing* const here = landing;
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  // BUS_MCEERR_AO is a notice about memory that nobody is loading now; whoever loads it gets his
  // own.
  if (info->si_code == BUS_MCEERR_AO) return;
  if (here != nullptr && info->si_code > 0 && at >= here->begin && at < here->end) {
    here->fault = at;
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
  // Not blocked while it runs: it is left by siglongjmp, and the mask is not worth a system call
  // for each touch.
  ours.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
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
    return reinterpret_cast<const std::byte*>(here.fault);
  }
  landing = &here;
  leaf(argument);
  landing = nullptr;
  return std::nullopt;
}

}  // namespace engine
