#include "tests/end_to_end/harness/leased_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace end_to_end {

LeasedFile::LeasedFile(const std::string& path)
    : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  std::signal(SIGIO, SIG_IGN);  // comes when somebody waits
  EXPECT_EQ(::fcntl(descriptor_, F_SETLEASE, F_RDLCK), 0) << path << ": " << std::strerror(errno);
}

void LeasedFile::give_back() {
  if (descriptor_ < 0) return;
  EXPECT_EQ(::fcntl(descriptor_, F_SETLEASE, F_UNLCK), 0);
  ::close(descriptor_);
  descriptor_ = -1;
}

}  // namespace end_to_end
