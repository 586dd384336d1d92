// Where lines go: to the journal exactly if standard error is connected to it. Each case is a
// process of its own with a journal's socket in a /run that nobody else sees.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "target/reactor/log.h"

namespace target {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* journal_directory = "/run/systemd/journal";
constexpr const char* journal_socket = "/run/systemd/journal/socket";

// -1: the kernel refuses one of the steps; errno tells.
int open_journal() {
  if (::unshare(CLONE_NEWNS) != 0) return -1;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return -1;
  if (::mount("none", "/run", "tmpfs", 0, nullptr) != 0) return -1;
  std::filesystem::create_directories(journal_directory);
  const int made = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof(address.sun_path), "%s", journal_socket);
  if (::bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return -1;
  return made;
}

// The child: one warning, written as the daemon writes it. What the journal got ends up in
// `journal`. The exit code is 0 or the errno of what could not be set up.
int write_warning(int standard_error, int journal, const std::string& journal_stream) {
  const int socket = open_journal();
  if (socket < 0) return errno;
  if (::dup2(standard_error, STDERR_FILENO) < 0) return errno;
  ::setenv("JOURNAL_STREAM", journal_stream.c_str(), 1);
  open_log(LogSink::automatic, LogLevel::info);
  log_warn("pool={} is late", "files");
  flush_log();
  std::array<char, 4096> datagram{};
  for (ssize_t got = 0; (got = ::recv(socket, datagram.data(), datagram.size(), 0)) > 0;) {
    if (::write(journal, datagram.data(), static_cast<std::size_t>(got)) != got) return errno;
  }
  return 0;
}

std::string text_of(int file) {
  std::array<char, 4096> text{};
  const ssize_t got = ::pread(file, text.data(), text.size(), 0);
  return {text.data(), got < 0 ? 0 : static_cast<std::size_t>(got)};
}

// Descriptors of nameless files, which a child shares.
class SharedFile {
 public:
  SharedFile() : descriptor_(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {}
  SharedFile(const SharedFile&) = delete;
  SharedFile& operator=(const SharedFile&) = delete;
  ~SharedFile() { ::close(descriptor_); }
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
};

struct Written {
  std::string journal;
  std::string standard_error;
};

// With a standard error whose inode is `inode_error` away from what JOURNAL_STREAM says.
Written warning_with(ino_t inode_error) {
  const SharedFile standard_error;
  const SharedFile journal;
  struct stat file {};
  EXPECT_EQ(::fstat(standard_error.descriptor(), &file), 0);
  const auto stream = fmt::format("{}:{}", file.st_dev, file.st_ino + inode_error);
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(write_warning(standard_error.descriptor(), journal.descriptor(), stream));
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "errno of the child, which needs CAP_SYS_ADMIN";
  return {text_of(journal.descriptor()), text_of(standard_error.descriptor())};
}

TEST(LogSink, StandardErrorThatIsTheJournalMakesEntriesOfLines) {
  const Written written = warning_with(0);
  EXPECT_THAT(written.journal,
              AllOf(HasSubstr("MESSAGE=pool=files is late\n"), HasSubstr("PRIORITY=4\n"),
                    HasSubstr("SYSLOG_IDENTIFIER=forebayd\n")));
  EXPECT_THAT(written.standard_error, IsEmpty());
}

// A shell that was started from a service inherits its JOURNAL_STREAM, but not its standard error.
TEST(LogSink, AnyOtherStandardErrorGetsTheLinesItself) {
  const Written written = warning_with(1);
  EXPECT_THAT(written.journal, IsEmpty());
  EXPECT_THAT(written.standard_error,
              AllOf(HasSubstr(" warning pool=files is late\n"), Not(HasSubstr("MESSAGE="))));
}

}  // namespace
}  // namespace target
