// What a file or device must be before it is mapped as persistent memory.
#pragma once

#include <string>

#include "engine/foundation/result.h"
#include "engine/foundation/units.h"
#include "engine/media/file_descriptor.h"
#include "engine/media/open_pmem.h"
#include "engine/media/pmem_error.h"
#include "engine/media/pmem_guarantee.h"

namespace engine {

// Open, locked for this process as long as it is (unless it is only looked at), and fit to be
// mapped.
struct PmemFile {
  FileDescriptor descriptor;
  PmemMedium medium = PmemMedium::file;
  ByteCount size{};  // of a regular file, whole pages; 0 for a device, whose mapping tells
};

// Errors: not_found, no_permission, not_supported, in_use, sparse, too_small, io.
[[nodiscard]] Result<PmemFile, PmemOpenError> open_pmem_file(const std::string& path,
                                                             ByteCount at_least,
                                                             PmemAccess access = PmemAccess::write);

// "PATH is too small: 4 KiB, needed are 1 MiB."
[[nodiscard]] PmemOpenError too_small(const std::string& path, ByteCount size, ByteCount at_least);
// "PATH cannot be opened: permission denied"; the kind follows from the positive errno.
[[nodiscard]] PmemOpenError pmem_system_error(const std::string& path, const char* what, int error);

}  // namespace engine
