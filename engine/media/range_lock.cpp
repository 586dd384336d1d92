#include "engine/media/range_lock.h"

#include <fcntl.h>

#include <cerrno>

#include "engine/foundation/check.h"

namespace engine {
namespace {

int set_range_lock(int fd, short type, FileRange range) {
  CHECK(range.length.value != 0);
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(range.offset.value);
  lock.l_len = static_cast<off_t>(range.length.value);
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return 0;
  return errno == EACCES ? EWOULDBLOCK : errno;
}

}  // namespace

int lock_file_range(int fd, FileRange range) { return set_range_lock(fd, F_WRLCK, range); }
int unlock_file_range(int fd, FileRange range) { return set_range_lock(fd, F_UNLCK, range); }

}  // namespace engine
