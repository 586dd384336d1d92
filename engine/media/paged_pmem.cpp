#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "engine/foundation/check.h"
#include "engine/media/fault_guard.h"
#include "engine/media/file_bytes.h"
#include "engine/media/mapped_pmem.h"

namespace engine {
namespace {

using boost::outcome_v2::success;
using PageWrite = PmemRegion::PageWrite;

constexpr std::size_t most_gathered = 64;  // pieces of one system call

// How many writes from the front of `writes` lie one behind the other.
std::size_t run_length(std::span<const PageWrite> writes) {
  std::size_t count = 1;
  while (count < std::min(writes.size(), most_gathered)) {
    const PageWrite& last = writes[count - 1];
    if (writes[count].offset != last.offset + ByteCount{last.bytes.size()}) break;
    ++count;
  }
  return count;
}

// One system call where it is enough.
bool write_run(int fd, std::span<const PageWrite> run) {
  std::array<iovec, most_gathered> pieces;
  std::size_t wanted = 0;
  for (std::size_t at = 0; at < run.size(); ++at) {
    pieces[at] = {.iov_base = const_cast<std::byte*>(run[at].bytes.data()),
                  .iov_len = run[at].bytes.size()};
    wanted += run[at].bytes.size();
  }
  ssize_t count = 0;
  do {
    count = pwritev(fd, pieces.data(), static_cast<int>(run.size()),
                    static_cast<off_t>(run.front().offset.value));
  } while (count < 0 && errno == EINTR);
  if (count >= 0 && static_cast<std::size_t>(count) == wanted) return true;
  if (count < 0) return false;
  // Cut short: once more, piece by piece, which gives the error if there is one.
  return std::all_of(run.begin(), run.end(), [fd](const PageWrite& write) {
    return write_fully(fd, write.offset, write.bytes);
  });
}

}  // namespace

PagedPmem::PagedPmem(PmemMapping mapping, const PmemGuarantee& guarantee)
    : PmemRegion(mapping.size, guarantee, page_bytes), mapping_(std::move(mapping)) {
  CHECK(guarantee.granularity == PmemGranularity::page);
  CHECK(static_cast<bool>(mapping_.file));
  attach(mapping_.memory);
  set_note(mapping_.note);
  install_fault_handler();
}

Result<void, PmemError> PagedPmem::write_pages(std::span<const PageWrite> writes) {
  std::uint64_t bytes = 0;
  for (const PageWrite& write : writes) {
    if (!holds(write.offset, write.bytes.size())) return PmemError::out_of_range;
    bytes += write.bytes.size();
  }
  if (needs_reopen()) return PmemError::sync_failed;
  const int fd = mapping_.file.get();
  if (!reaches(fd, size().value)) return PmemError::media_error;
  for (const PageWrite& write : writes) {
    if (!bad().touches({write.offset, {write.bytes.size()}})) continue;
    TRY(overwrite_bad(write.offset, write.bytes));
  }
  for (auto left = writes; !left.empty();) {
    const std::size_t count = run_length(left);
    if (!write_run(fd, left.first(count))) return PmemError::media_error;
    left = left.subspan(count);
  }
  writes_.fetch_add(writes.size(), std::memory_order_relaxed);
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
  return success();
}

bool PagedPmem::heal(MediaOffset to, std::span<const std::byte> bytes) {
  return write_fully(mapping_.file.get(), to, bytes);
}

Result<void, PmemError> PagedPmem::sync() {
  if (needs_reopen()) return PmemError::sync_failed;
  syncs_.fetch_add(1, std::memory_order_relaxed);
  if (fdatasync(mapping_.file.get()) != 0) {
    failed_.store(true, std::memory_order_release);
    return PmemError::sync_failed;
  }
  return success();
}

PmemCounts PagedPmem::counts() const {
  return {.copies = writes_.load(std::memory_order_relaxed),
          .bytes = bytes_.load(std::memory_order_relaxed),
          .fences = syncs_.load(std::memory_order_relaxed)};
}

}  // namespace engine
