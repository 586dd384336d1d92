// For LD_PRELOAD: a daemon one of whose calls to its disks and sockets fails, as the FaultPlan in
// the file FOREBAY_TEST_FAULTS has it. Whatever makes, opens, names or brings something to the disk
// below the folder of that file counts, and every address that is bound. Data on its way by
// io_uring does not, nor do syncs of a cache (fdatasync): one that fails is final, and tested
// elsewhere.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/end_to_end/harness/fault_plan.h"

namespace {

using end_to_end::FaultPlan;

template <class Function>
Function* next_of(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

struct FaultFile {
  FaultPlan* plan = nullptr;
  std::string folder;

  FaultFile() {
    const char* const path = std::getenv("FOREBAY_TEST_FAULTS");
    if (path == nullptr) return;
    folder = path;
    folder.erase(folder.rfind('/') + 1);
    using Open = int(const char*, int, ...);
    const int file = next_of<Open>("open")(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void* const memory =
        mmap(nullptr, sizeof(FaultPlan), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    (void)close(file);
    if (memory != MAP_FAILED) plan = static_cast<FaultPlan*>(memory);
  }
};

FaultFile& fault_file() {
  static FaultFile file;
  return file;
}

// True: it fails, and errno says how.
bool is_fault(const char* call, const char* path = "") {
  FaultPlan* const plan = fault_file().plan;
  if (plan == nullptr || plan->left.load() < 0) return false;
  plan->calls.fetch_add(1);
  if (plan->left.fetch_sub(1) != 0) return false;
  const FaultPlan::Act act = plan->act.load();
  if (act == FaultPlan::Act::count) return false;
  (void)std::snprintf(plan->where.data(), plan->where.size(), "%s %s", call, path);
  plan->has_happened.store(true);
  if (act == FaultPlan::Act::kill) (void)kill(getpid(), SIGKILL);
  errno = plan->error.load();
  return true;
}

bool is_ours(const char* path) {
  const std::string& folder = fault_file().folder;
  return path != nullptr &&
         (path[0] != '/' || std::strncmp(path, folder.c_str(), folder.size()) == 0);
}

bool takes_mode(int flags) { return (flags & (O_CREAT | O_TMPFILE)) != 0; }

mode_t mode_in(int flags, va_list arguments) {
  return takes_mode(flags) ? static_cast<mode_t>(va_arg(arguments, int)) : 0;
}

}  // namespace

// NOLINTBEGIN: they are the C library's
#define FAULT_OPEN(name)                                                  \
  extern "C" int name(const char* path, int flags, ...) {                 \
    va_list arguments;                                                    \
    va_start(arguments, flags);                                           \
    const mode_t mode = mode_in(flags, arguments);                        \
    va_end(arguments);                                                    \
    static auto* const next = next_of<int(const char*, int, ...)>(#name); \
    if (is_ours(path) && is_fault(#name, path)) return -1;                \
    return next(path, flags, mode);                                       \
  }
#define FAULT_OPENAT(name)                                                     \
  extern "C" int name(int folder, const char* path, int flags, ...) {          \
    va_list arguments;                                                         \
    va_start(arguments, flags);                                                \
    const mode_t mode = mode_in(flags, arguments);                             \
    va_end(arguments);                                                         \
    static auto* const next = next_of<int(int, const char*, int, ...)>(#name); \
    if (is_ours(path) && is_fault(#name, path)) return -1;                     \
    return next(folder, path, flags, mode);                                    \
  }
FAULT_OPEN(open)
FAULT_OPEN(open64)
FAULT_OPENAT(openat)
FAULT_OPENAT(openat64)

#define FAULT_OF_FILE(name)                             \
  extern "C" int name(int file) {                       \
    static auto* const next = next_of<int(int)>(#name); \
    return is_fault(#name) ? -1 : next(file);           \
  }
FAULT_OF_FILE(fsync)

#define FAULT_TRUNCATE(name, offset)                            \
  extern "C" int name(int file, offset size) noexcept {         \
    static auto* const next = next_of<int(int, offset)>(#name); \
    return is_fault(#name) ? -1 : next(file, size);             \
  }
FAULT_TRUNCATE(ftruncate, off_t)
FAULT_TRUNCATE(ftruncate64, off64_t)

#define FAULT_ALLOCATE(name, offset)                                         \
  extern "C" int name(int file, int mode, offset begin, offset size) {       \
    static auto* const next = next_of<int(int, int, offset, offset)>(#name); \
    return is_fault(#name) ? -1 : next(file, mode, begin, size);             \
  }
FAULT_ALLOCATE(fallocate, off_t)
FAULT_ALLOCATE(fallocate64, off64_t)

#define FAULT_WRITE(name, offset)                                                        \
  extern "C" ssize_t name(int file, const void* bytes, size_t size, offset at) {         \
    static auto* const next = next_of<ssize_t(int, const void*, size_t, offset)>(#name); \
    return is_fault(#name) ? -1 : next(file, bytes, size, at);                           \
  }
FAULT_WRITE(pwrite, off_t)
FAULT_WRITE(pwrite64, off64_t)

extern "C" int rename(const char* from, const char* to) noexcept {
  static auto* const next = next_of<int(const char*, const char*)>("rename");
  return is_ours(to) && is_fault("rename", to) ? -1 : next(from, to);
}
extern "C" int renameat2(int old_folder, const char* from, int folder, const char* to,
                         unsigned flags) noexcept {
  static auto* const next = next_of<int(int, const char*, int, const char*, unsigned)>("renameat2");
  return is_ours(to) && is_fault("renameat2", to) ? -1 : next(old_folder, from, folder, to, flags);
}
extern "C" int unlinkat(int folder, const char* path, int flags) noexcept {
  static auto* const next = next_of<int(int, const char*, int)>("unlinkat");
  return is_ours(path) && is_fault("unlinkat", path) ? -1 : next(folder, path, flags);
}
extern "C" int bind(int socket, const sockaddr* address, socklen_t size) noexcept {
  static auto* const next = next_of<int(int, const sockaddr*, socklen_t)>("bind");
  return is_fault("bind") ? -1 : next(socket, address, size);
}
extern "C" int listen(int socket, int backlog) noexcept {
  static auto* const next = next_of<int(int, int)>("listen");
  return is_fault("listen") ? -1 : next(socket, backlog);
}
// NOLINTEND
