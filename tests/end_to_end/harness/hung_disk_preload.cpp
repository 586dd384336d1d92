// For LD_PRELOAD: a daemon whose disks stop answering. While the file FOREBAY_TEST_HUNG_DISK is
// there, no request of io_uring is seen to end any more: it looks as if the disk still had it.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>

struct io_uring;
struct io_uring_cqe;

extern "C" unsigned io_uring_peek_batch_cqe(io_uring* ring, io_uring_cqe** cqes, unsigned count) {
  using Peek = unsigned (*)(io_uring*, io_uring_cqe**, unsigned);
  static const auto peek = reinterpret_cast<Peek>(dlsym(RTLD_NEXT, "io_uring_peek_batch_cqe"));
  static const char* const hung = std::getenv("FOREBAY_TEST_HUNG_DISK");
  if (hung != nullptr && access(hung, F_OK) == 0) return 0;
  return peek(ring, cqes, count);
}
