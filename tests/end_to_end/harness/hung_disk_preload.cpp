// For LD_PRELOAD: a daemon whose disks stop answering. While the file FOREBAY_TEST_HUNG_DISK is
// there, no request of io_uring is seen to end any more: it looks as if the disk still had it. And
// while there is a file PATH.hung beside the file PATH, syncing PATH does not end; PATH.bad: it
// fails.
#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>

struct io_uring;
struct io_uring_cqe;

extern "C" unsigned io_uring_peek_batch_cqe(io_uring* ring, io_uring_cqe** cqes, unsigned count) {
  using Peek = unsigned (*)(io_uring*, io_uring_cqe**, unsigned);
  static const auto peek = reinterpret_cast<Peek>(dlsym(RTLD_NEXT, "io_uring_peek_batch_cqe"));
  static const char* const hung = std::getenv("FOREBAY_TEST_HUNG_DISK");
  if (hung != nullptr && access(hung, F_OK) == 0) return 0;
  return peek(ring, cqes, count);
}

extern "C" int fdatasync(int descriptor) {
  using Sync = int (*)(int);
  static const auto sync = reinterpret_cast<Sync>(dlsym(RTLD_NEXT, "fdatasync"));
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  if (readlink(link.c_str(), path.data(), path.size() - 1) > 0) {
    const std::string hung = std::string(path.data()) + ".hung";
    while (access(hung.c_str(), F_OK) == 0) usleep(10'000);
    if (access((std::string(path.data()) + ".bad").c_str(), F_OK) == 0) {
      errno = EIO;
      return -1;
    }
  }
  return sync(descriptor);
}
