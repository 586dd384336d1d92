// Making, opening and closing regions of persistent memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/media/pmem_region.h"

namespace engine {

enum class PmemAccess : std::uint8_t {
  write,
  // Loads only: no writer, no page that a process could dirty; a sparse file (a copy, for example)
  // is accepted. Several processes may look at once, none while one has it open for writing.
  read_only,
  // The same for a look at what may be in use: without a lock, so whoever has it open for writing
  // goes on, and may change what is seen; a sparse file is refused as for writing.
  look,
};

struct PmemOpenOptions {
  PmemAccess access = PmemAccess::write;
  // The coarsest that will do; page accepts everything.
  PmemGranularity required = PmemGranularity::page;
  ByteCount at_least{};     // refuse anything smaller
  bool lock_memory = true;  // as far as the system allows; see PmemRegion::note()
};

// Opens a devdax device, a file on an fsdax mount or on tmpfs, or an ordinary file, for this
// process alone while the region lives. What the mapping guarantees is detected; the environment
// variable PMEM2_FORCE_GRANULARITY overrides it, and shows as `emulated`. Its size is rounded down
// to whole pages. Byte and cache-line regions are faulted in for writing (unless read-only), which
// takes a second for some tens of GiB and spares every first store a journal commit of an fsdax
// file system. Errors: not_found, no_permission, not_supported, sparse, too_small,
// granularity_insufficient, in_use, io.
[[nodiscard]] Result<std::unique_ptr<PmemRegion>, PmemOpenError> open_pmem_region(
    const std::string& path, const PmemOpenOptions& options);

// Makes a file of `size` zeros, a multiple of 4096, for open_pmem_region(). Every block is
// allocated and written (an allocated block that was never written still costs a journal commit at
// its first store), and both file and name are durable on return. Leaves nothing behind on failure;
// what a crash leaves is refused as sparse when it is opened. Errors: already_there, not_found (the
// directory), no_permission, no_space, too_small, not_supported, io.
[[nodiscard]] Result<void, PmemOpenError> create_pmem_file(const std::string& path, ByteCount size);

// Makes such a file longer, under its lock; what was in it stays. A crash leaves it with any length
// in between, fit to be opened, and this may be repeated. Errors: those of open_pmem_region(),
// no_space, already_there (it has that size, or more).
[[nodiscard]] Result<void, PmemOpenError> extend_pmem_file(const std::string& path, ByteCount size);

// Memory of this process, for tests and benchmarks; any granularity but page. Error: io.
[[nodiscard]] Result<std::unique_ptr<PmemRegion>, PmemOpenError> make_anonymous_pmem(
    ByteCount size, PmemGranularity granularity = PmemGranularity::cache_line);

}  // namespace engine
