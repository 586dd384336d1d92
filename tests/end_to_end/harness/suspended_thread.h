// SuspendedThread: one thread of another process stands still, the others run on.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace end_to_end {

// By ptrace(2): end it on the thread that made it. Not for the main thread: the process would not
// be seen to end.
class SuspendedThread {
 public:
  // The thread of `process` that is called `name`.
  SuspendedThread(pid_t process, std::string_view name);
  SuspendedThread(const SuspendedThread&) = delete;
  SuspendedThread& operator=(const SuspendedThread&) = delete;
  ~SuspendedThread();

  [[nodiscard]] bool suspended() const { return thread_ > 0; }

 private:
  pid_t thread_ = -1;
};

}  // namespace end_to_end
