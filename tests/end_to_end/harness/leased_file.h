// LeasedFile: opening it for writing waits, as on a disk that does not answer.
#pragma once

#include <string>

namespace end_to_end {

// By a lease (fcntl(2) F_SETLEASE): whoever wants to write is made to wait until it is given back,
// or until the kernel takes it away after /proc/sys/fs/lease-break-time (45 s). The file must not
// be open for writing anywhere.
class LeasedFile {
 public:
  explicit LeasedFile(const std::string& path);
  LeasedFile(const LeasedFile&) = delete;
  LeasedFile& operator=(const LeasedFile&) = delete;
  ~LeasedFile() { give_back(); }

  void give_back();

 private:
  int descriptor_ = -1;
};

}  // namespace end_to_end
