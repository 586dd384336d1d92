// The one file that knows libpmem2.
#include "engine/media/open_pmem.h"

#include <libpmem2.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "engine/media/mapped_pmem.h"
#include "engine/media/pmem_file.h"

namespace engine {
namespace {

struct Source {
  pmem2_source* handle = nullptr;
  ~Source() { pmem2_source_delete(&handle); }
};
struct Config {
  pmem2_config* handle = nullptr;
  ~Config() { pmem2_config_delete(&handle); }
};
struct MapDeleter {
  void operator()(pmem2_map* map) const { pmem2_map_delete(&map); }
};
using LibraryMap = std::unique_ptr<pmem2_map, MapDeleter>;

// What is mapped, and how it ends.
struct Map {
  std::byte* memory = nullptr;
  PmemGranularity granularity = PmemGranularity::page;
  std::unique_ptr<void, void (*)(void*)> release{nullptr, [](void*) {}};
};

bool is_in_dram(PmemMedium medium) {
  return medium == PmemMedium::tmpfs || medium == PmemMedium::file;
}

PmemOpenError library_error(const std::string& path, int code) {
  const std::string sentence = path + " cannot be mapped: " + pmem2_errormsg();
  if (code == PMEM2_E_NO_ACCESS || code == -EACCES || code == -EPERM) {
    return {PmemError::no_permission, sentence};
  }
  return {PmemError::io, sentence};
}

// As libpmem2 reads it.
PmemGranularity forced_granularity() {
  const char* const forced = std::getenv("PMEM2_FORCE_GRANULARITY");
  if (forced == nullptr) return PmemGranularity::page;
  if (strcasecmp(forced, "BYTE") == 0) return PmemGranularity::byte;
  if (strcasecmp(forced, "CACHE_LINE") == 0 || strcasecmp(forced, "CACHELINE") == 0) {
    return PmemGranularity::cache_line;
  }
  return PmemGranularity::page;
}

// Not by libpmem2: it tries MAP_SYNC over a place that it has reserved, which the kernel gives up
// before the file system refuses, and then takes the place by MAP_FIXED, whoever has it by then. In
// a process with threads that is somebody else's memory.
Result<Map, PmemOpenError> map_in_dram(const std::string& path, int fd, ByteCount length,
                                       unsigned protection) {
  struct Mapped {
    void* memory;
    std::size_t length;
  };
  const int access = (protection & PMEM2_PROT_WRITE) != 0 ? PROT_READ | PROT_WRITE : PROT_READ;
  void* const memory = mmap(nullptr, length.value, access, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return pmem_system_error(path, "cannot be mapped", errno);
  Map map;
  map.memory = static_cast<std::byte*>(memory);
  map.granularity = forced_granularity();
  map.release = {new Mapped{memory, length.value}, [](void* held) {
                   const std::unique_ptr<Mapped> mapped(static_cast<Mapped*>(held));
                   munmap(mapped->memory, mapped->length);
                 }};
  return map;
}

Result<Map, PmemOpenError> map_pmem(const std::string& path, const Source& source, ByteCount length,
                                    unsigned protection) {
  Config config;
  int code = pmem2_config_new(&config.handle);
  if (code == 0) {
    code = pmem2_config_set_required_store_granularity(config.handle, PMEM2_GRANULARITY_PAGE);
  }
  if (code == 0) code = pmem2_config_set_length(config.handle, length.value);
  if (code == 0) code = pmem2_config_set_protection(config.handle, protection);
  pmem2_map* made = nullptr;
  if (code == 0) code = pmem2_map_new(&made, config.handle, source.handle);
  if (code != 0) return library_error(path, code);
  LibraryMap library(made);
  Map map;
  map.memory = static_cast<std::byte*>(pmem2_map_get_address(library.get()));
  switch (pmem2_map_get_store_granularity(library.get())) {
    case PMEM2_GRANULARITY_BYTE:
      map.granularity = PmemGranularity::byte;
      break;
    case PMEM2_GRANULARITY_CACHE_LINE:
      map.granularity = PmemGranularity::cache_line;
      break;
    case PMEM2_GRANULARITY_PAGE:
      break;
  }
  map.release = {library.release(),
                 [](void* held) { MapDeleter()(static_cast<pmem2_map*>(held)); }};
  return map;
}

PmemGuarantee guarantee_of(const Map& map, PmemMedium medium) {
  PmemGuarantee guarantee{.granularity = map.granularity, .medium = medium};
  const bool real_pmem = medium == PmemMedium::devdax || medium == PmemMedium::fsdax_file;
  const bool forced = std::getenv("PMEM2_FORCE_GRANULARITY") != nullptr;
  // Persistent memory keeps cache lines whatever the variable says; that it keeps the CPU cache
  // cannot be believed once it is set.
  guarantee.emulated = guarantee.granularity != PmemGranularity::page &&
                       (!real_pmem || (forced && guarantee.granularity == PmemGranularity::byte));
  return guarantee;
}

// Takes the page faults, and an fsdax file system's journal commits, before they cost latency. A
// piece that cannot be faulted in (poison) is left to whoever touches it.
void fault_in_for_writing(std::byte* memory, ByteCount size) {
  constexpr std::uint64_t piece = 2U << 20;
  for (std::uint64_t at = 0; at < size.value; at += piece) {
    const std::uint64_t count = std::min(piece, size.value - at);
    if (madvise(memory + at, count, MADV_POPULATE_WRITE) != 0 && errno == EINVAL) return;
  }
}

// Persistent memory itself is always there. Returns what the operator should know.
std::string lock_in_memory(const std::string& path, std::byte* memory, ByteCount size) {
  const std::uint64_t half_of_memory = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                                       static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) / 2;
  if (size.value <= half_of_memory && mlock(memory, size.value) == 0) return {};
  return path + " is not locked in memory (" +
         (size.value > half_of_memory ? "it is larger than half of it"
                                      : "raise LimitMEMLOCK to its size") +
         "): reads may wait for the disk";
}

// What the driver knows to be poisoned; nothing for media that cannot tell.
template <class Region>
void add_known_bad_blocks(const Source& source, Region& region) {
  pmem2_badblock_context* context = nullptr;
  if (pmem2_badblock_context_new(&context, source.handle) != 0) return;
  for (pmem2_badblock block{}; pmem2_badblock_next(context, &block) == 0;) {
    if (block.offset >= region.size().value) continue;
    const std::uint64_t begin = block.offset / PmemRegion::page_bytes * PmemRegion::page_bytes;
    const std::uint64_t end = (block.offset + block.length + PmemRegion::page_bytes - 1) /
                              PmemRegion::page_bytes * PmemRegion::page_bytes;
    region.add_bad({{begin}, {std::min(end, region.size().value) - begin}});
  }
  pmem2_badblock_context_delete(&context);
}

PmemOpenError too_coarse(const std::string& path, const PmemGuarantee& guarantee,
                         PmemGranularity required) {
  return {
      PmemError::granularity_insufficient,
      path + " guarantees " + guarantee.text() + ", but " + text(required) +
          " is required; use persistent memory (devdax, or a file on a file system mounted with "
          "-o dax), or require less"};
}

}  // namespace

Result<std::unique_ptr<PmemRegion>, PmemOpenError> open_pmem_region(
    const std::string& path, const PmemOpenOptions& options) {
  const bool read_only = options.access != PmemAccess::write;
  TRY(auto file, open_pmem_file(path, options.at_least, options.access));
  Source source;
  const int code = pmem2_source_from_fd(&source.handle, file.descriptor.get());
  if (code != 0) return library_error(path, code);
  if (file.medium == PmemMedium::devdax) {
    std::size_t size = 0;
    const int measured = pmem2_source_size(source.handle, &size);
    if (measured != 0) return library_error(path, measured);
    file.size = {size};
    if (file.size < options.at_least) return too_small(path, file.size, options.at_least);
  }

  const unsigned protection = read_only ? PMEM2_PROT_READ : PMEM2_PROT_READ | PMEM2_PROT_WRITE;
  const auto map_file = [&](unsigned how) {
    return is_in_dram(file.medium) ? map_in_dram(path, file.descriptor.get(), file.size, how)
                                   : map_pmem(path, source, file.size, how);
  };
  TRY(auto map, map_file(protection));
  const PmemGuarantee guarantee = guarantee_of(map, file.medium);
  if (!fine_enough(guarantee.granularity, options.required)) {
    return too_coarse(path, guarantee, options.required);
  }
  const bool paged = guarantee.granularity == PmemGranularity::page;
  if (paged && file.medium == PmemMedium::devdax) {
    return PmemOpenError{PmemError::not_supported,
                         path +
                             " is a device and cannot be used by the page; unset "
                             "PMEM2_FORCE_GRANULARITY"};
  }
  if (paged && !read_only) {
    map = {};
    TRY(map, map_file(PMEM2_PROT_READ));
  }

  std::byte* const memory = map.memory;
  if (!paged && !read_only) fault_in_for_writing(memory, file.size);
  std::string note;
  if (is_in_dram(file.medium) && options.lock_memory && !read_only)
    note = lock_in_memory(path, memory, file.size);
  PmemMapping mapping{.file = std::move(file.descriptor),
                      .memory = memory,
                      .size = file.size,
                      .release = std::move(map.release),
                      .note = std::move(note)};
  if (read_only) {
    auto region = std::make_unique<ReadOnlyPmem>(std::move(mapping), guarantee);
    add_known_bad_blocks(source, *region);
    return std::unique_ptr<PmemRegion>(std::move(region));
  }
  if (paged) {
    return std::unique_ptr<PmemRegion>(std::make_unique<PagedPmem>(std::move(mapping), guarantee));
  }
  auto region = std::make_unique<MappedPmem>(std::move(mapping), guarantee);
  add_known_bad_blocks(source, *region);
  return std::unique_ptr<PmemRegion>(std::move(region));
}

}  // namespace engine
