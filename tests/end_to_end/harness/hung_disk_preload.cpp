// For LD_PRELOAD: a daemon whose disks stop answering. While the file FOREBAY_TEST_HUNG_DISK is
// there, no request of io_uring is seen to end any more: it looks as if the disk still had it. And
// while there is a file PATH.hung beside the file PATH, syncing PATH does not end; PATH.bad: it
// fails. The file FOREBAY_TEST_QUEUE_DEPTH, if that is set, holds the most requests of io_uring
// that the kernel had at once.
#include <dlfcn.h>
#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <string>

namespace {

std::mutex depth_mutex;
long depth = 0;
long deepest = 0;

void count_requests(long more) {
  static const char* const path = std::getenv("FOREBAY_TEST_QUEUE_DEPTH");
  if (path == nullptr || more == 0) return;
  const std::lock_guard lock(depth_mutex);
  depth += more;
  if (depth <= deepest) return;
  deepest = depth;
  static const int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string text = std::to_string(deepest);  // never shorter than the one before
  (void)!pwrite(file, text.data(), text.size(), 0);
}

}  // namespace

// What the kernel is about to have, and what of it it has not taken after all.
extern "C" int io_uring_submit(io_uring* ring) {
  using Submit = int (*)(io_uring*);
  static const auto submit = reinterpret_cast<Submit>(dlsym(RTLD_NEXT, "io_uring_submit"));
  const long offered = io_uring_sq_ready(ring);
  count_requests(offered);
  const int taken = submit(ring);
  count_requests(std::max(taken, 0) - offered);
  return taken;
}

extern "C" unsigned io_uring_peek_batch_cqe(io_uring* ring, io_uring_cqe** cqes, unsigned count) {
  using Peek = unsigned (*)(io_uring*, io_uring_cqe**, unsigned);
  static const auto peek = reinterpret_cast<Peek>(dlsym(RTLD_NEXT, "io_uring_peek_batch_cqe"));
  static const char* const hung = std::getenv("FOREBAY_TEST_HUNG_DISK");
  if (hung != nullptr && access(hung, F_OK) == 0) return 0;
  const unsigned seen = peek(ring, cqes, count);
  count_requests(-static_cast<long>(seen));
  return seen;
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
