#include "tests/end_to_end/harness/suspended_thread.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace end_to_end {

SuspendedThread::SuspendedThread(pid_t process, std::string_view name) {
  for (const auto& task :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process))) {
    std::ifstream file(task.path() / "comm");
    std::string found;
    std::getline(file, found);
    if (found == name) thread_ = std::stoi(task.path().filename().string());
  }
  EXPECT_GT(thread_, 0) << "no thread is called " << name;
  int status = 0;
  if (thread_ > 0 && (::ptrace(PTRACE_SEIZE, thread_, nullptr, nullptr) != 0 ||
                      ::ptrace(PTRACE_INTERRUPT, thread_, nullptr, nullptr) != 0 ||
                      ::waitpid(thread_, &status, __WALL) != thread_)) {
    ADD_FAILURE() << "ptrace is needed: " << std::strerror(errno);
    thread_ = -1;
  }
}

SuspendedThread::~SuspendedThread() {
  if (thread_ <= 0) return;
  // Gone with its process, perhaps.
  EXPECT_TRUE(::ptrace(PTRACE_DETACH, thread_, nullptr, nullptr) == 0 || errno == ESRCH);
}

}  // namespace end_to_end
