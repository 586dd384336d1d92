#include "target/termination_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>

#include "engine/foundation/check.h"

namespace target {

TerminationWatch::TerminationWatch(std::function<void()> on_hangup,
                                   std::chrono::milliseconds patience)
    : on_hangup_(std::move(on_hangup)), patience_(patience) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  signals_ = signalfd(-1, &signals, SFD_CLOEXEC);
  end_ = eventfd(0, EFD_CLOEXEC);
  CHECK(signals_ >= 0);
  CHECK(end_ >= 0);
  thread_ = std::thread([this] { watch(); });
}

TerminationWatch::~TerminationWatch() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  const std::uint64_t one = 1;
  (void)!write(end_, &one, sizeof(one));
  thread_.join();
  close(signals_);
  close(end_);
}

void TerminationWatch::await_termination() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return terminating_; });
}

int TerminationWatch::next_signal() const {
  std::array<pollfd, 2> waiting{pollfd{.fd = signals_, .events = POLLIN, .revents = 0},
                                pollfd{.fd = end_, .events = POLLIN, .revents = 0}};
  while (poll(waiting.data(), waiting.size(), -1) < 0) {
  }
  signalfd_siginfo taken{};
  if ((waiting[0].revents & POLLIN) == 0) return 0;
  return read(signals_, &taken, sizeof(taken)) == sizeof(taken) ? static_cast<int>(taken.ssi_signo)
                                                                : 0;
}

void TerminationWatch::watch() {
  int signal = SIGHUP;
  while (signal == SIGHUP) {
    signal = next_signal();
    if (signal == SIGHUP) on_hangup_();
  }
  if (signal == 0) return;
  std::unique_lock lock(mutex_);
  terminating_ = true;
  changed_.notify_all();
  if (changed_.wait_for(lock, patience_, [this] { return ended_; })) return;
  // Not by way of the log, which may be what hangs.
  constexpr char text[] = "forebayd: something hangs; ending anyway: what was answered is safe\n";
  (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
  std::_Exit(EXIT_FAILURE);
}

}  // namespace target
