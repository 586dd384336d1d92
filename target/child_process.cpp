#include "target/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "engine/foundation/check.h"
#include "target/net/unique_fd.h"

extern char** environ;

namespace target {
namespace {

using TimePoint = std::chrono::steady_clock::time_point;
// After SIGKILL a process is gone at once, unless it hangs in the kernel.
constexpr std::chrono::milliseconds killed_patience{1000};

int milliseconds_until(TimePoint deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
}

// As a program expects to be started, whatever this thread blocks or the daemon ignores.
class SpawnSetup {
 public:
  explicit SpawnSetup(int output) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, output, 1);
    posix_spawn_file_actions_addopen(&actions_, 2, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  [[nodiscard]] std::optional<pid_t> start(const std::vector<std::string>& arguments) const {
    std::vector<std::string> kept = arguments;
    std::vector<char*> pointers;
    for (std::string& argument : kept) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    pid_t child = 0;
    if (posix_spawnp(&child, pointers[0], &actions_, &attributes_, pointers.data(), environ) != 0) {
      return std::nullopt;
    }
    return child;
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

ChildRunner::ChildRunner() : given_up_(eventfd(0, EFD_CLOEXEC)) { CHECK(given_up_ >= 0); }

ChildRunner::~ChildRunner() { ::close(given_up_); }

void ChildRunner::give_up() {
  const std::uint64_t one = 1;
  (void)!::write(given_up_, &one, sizeof(one));
}

std::optional<ChildOutput> ChildRunner::run(const std::vector<std::string>& arguments,
                                            const ChildLimits& limits) {
  CHECK(!arguments.empty());
  std::erase_if(left_behind_, [](pid_t child) { return ::waitpid(child, nullptr, WNOHANG) != 0; });
  const TimePoint deadline = std::chrono::steady_clock::now() + limits.patience;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  const UniqueFd from(ends[0]);
  UniqueFd to(ends[1]);
  const auto child = SpawnSetup(to.get()).start(arguments);
  if (!child) return std::nullopt;
  to.reset();
  ChildOutput output;
  const bool has_said_all = read_all(from.get(), limits, deadline, output.text);
  if (!has_said_all) ::kill(*child, SIGKILL);
  const auto status = await_end(*child, has_said_all ? deadline : std::chrono::steady_clock::now());
  if (!has_said_all || !status || !WIFEXITED(*status)) return std::nullopt;
  output.exit_status = WEXITSTATUS(*status);
  return output;
}

bool ChildRunner::read_all(int from, const ChildLimits& limits, TimePoint deadline,
                           std::string& text) const {
  std::array<char, 4096> bytes{};
  while (true) {
    std::array<pollfd, 2> waiting{pollfd{.fd = from, .events = POLLIN, .revents = 0},
                                  pollfd{.fd = given_up_, .events = POLLIN, .revents = 0}};
    const int ready = ::poll(waiting.data(), waiting.size(), milliseconds_until(deadline));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0 || waiting[1].revents != 0) return false;
    const ssize_t count = ::read(from, bytes.data(), bytes.size());
    if (count == 0) return true;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.append(bytes.data(), static_cast<std::size_t>(count));
    if (text.size() > limits.most_bytes) return false;
  }
}

// Kills it at the deadline; nullopt: it hangs nevertheless, and is left behind.
std::optional<int> ChildRunner::await_end(pid_t child, TimePoint deadline) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd waiting{.fd = process.get(), .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, milliseconds_until(deadline)) <= 0) {
    ::kill(child, SIGKILL);
    (void)::poll(&waiting, 1, static_cast<int>(killed_patience.count()));
  }
  int status = 0;
  if (::waitpid(child, &status, WNOHANG) == child) return status;
  left_behind_.push_back(child);
  return std::nullopt;
}

}  // namespace target
