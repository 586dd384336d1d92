#include "tests/end_to_end/harness/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>

#include "engine/foundation/check.h"

namespace end_to_end {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

constexpr uid_t nobody = 65534;

// For this process and what it becomes. (Async-signal-safe: runs between fork and exec.)
bool forbid_io_uring() {
  std::array<sock_filter, 4> program{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace

std::string Exit::describe() const {
  return signal != 0 ? fmt::format("signal {}", signal) : fmt::format("exit code {}", code);
}

Process::Process(const Started& started) {
  std::array<int, 2> pipe{};
  CHECK(::pipe2(pipe.data(), O_CLOEXEC) == 0);
  // Everything that allocates is done before fork: other threads may hold locks.
  std::vector<std::string> arguments = started.arguments;
  std::vector<std::string> environment = started.environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  const std::vector<char*> argument_list = pointers(arguments);
  const std::vector<char*> environment_list = pointers(environment);
  // By its descriptor: it may lie where only root may look.
  const int program = ::open(arguments.front().c_str(), O_PATH | O_CLOEXEC);
  CHECK(program >= 0);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  CHECK(pid_ >= 0);
  if (pid_ == 0) {
    if (started.as_nobody && (::setgid(nobody) != 0 || ::setuid(nobody) != 0)) ::_exit(126);
    if (started.without_io_uring && !forbid_io_uring()) ::_exit(126);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(126);
    ::dup2(pipe[1], STDOUT_FILENO);
    ::dup2(pipe[1], STDERR_FILENO);
    ::fexecve(program, argument_list.data(), environment_list.data());
    ::_exit(127);
  }
  ::close(program);
  ::close(pipe[1]);
  output_ = pipe[0];
  pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  CHECK(pidfd_ >= 0);
  reader_ = std::thread([this] { read_output(); });
}

Process::~Process() {
  if (running()) {
    signal(SIGKILL);
    (void)await_exit(Milliseconds{60'000});
  }
  reader_.join();
  ::close(output_);
  ::close(pidfd_);
}

void Process::signal(int number) const {
  if (!exit_) ::kill(pid_, number);
}

std::optional<Exit> Process::await_exit(Milliseconds time_out) {
  if (exit_) return exit_;
  pollfd waiting{.fd = pidfd_, .events = POLLIN, .revents = 0};
  const auto deadline = SteadyClock::now() + time_out;
  int ready = -1;
  do {
    const auto left = std::chrono::ceil<Milliseconds>(deadline - SteadyClock::now()).count();
    ready = ::poll(&waiting, 1, left > 0 ? static_cast<int>(left) : 0);
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) return std::nullopt;
  int status = 0;
  CHECK(::waitpid(pid_, &status, 0) == pid_);
  exit_ = WIFEXITED(status) ? Exit{.code = WEXITSTATUS(status), .signal = 0}
                            : Exit{.code = -1, .signal = WTERMSIG(status)};
  return exit_;
}

std::string Process::output() const {
  const std::lock_guard lock(mutex_);
  return text_;
}

bool Process::await_output(const std::function<bool(const std::string&)>& holds,
                           Milliseconds time_out) {
  std::unique_lock lock(mutex_);
  const auto deadline = SteadyClock::now() + time_out;
  for (;;) {
    if (holds(text_)) return true;
    if (ended_) return false;
    if (grown_.wait_until(lock, deadline) == std::cv_status::timeout) return holds(text_);
  }
}

void Process::read_output() {
  std::array<char, 65536> piece{};
  for (;;) {
    const ssize_t got = ::read(output_, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    const std::lock_guard lock(mutex_);
    if (got <= 0) {
      ended_ = true;
    } else {
      text_.append(piece.data(), static_cast<std::size_t>(got));
    }
    grown_.notify_all();
    if (ended_) return;
  }
}

Outcome run(const Started& started, Milliseconds time_out) {
  Process process(started);
  auto exit = process.await_exit(time_out);
  if (!exit) {
    ADD_FAILURE() << started.arguments.front() << " still runs after " << time_out.count()
                  << " ms; it printed:\n"
                  << process.output();
    process.signal(SIGKILL);
    exit = process.await_exit(Milliseconds{60'000});
  }
  // Nobody writes any more: the rest is read to its end.
  (void)process.await_output([](const std::string&) { return false; }, Milliseconds{5'000});
  return {.exit = exit.value_or(Exit{}), .output = process.output()};
}

}  // namespace end_to_end
