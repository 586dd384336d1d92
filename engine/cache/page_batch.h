// PageBatch: what one round of the commit thread writes of its commands' data.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "engine/cache/commit_record.h"
#include "engine/cache/payload_crc.h"
#include "engine/media/pmem_region.h"

namespace engine {

// One thread. Whole pages, as SegmentHead gives them out: the array of checksums if there is one,
// the data, zeros to the end of the last page. So neither has the kernel to read a page before it
// writes it, nor does a bad one stay bad. Pages that are all data are not copied.
class PageBatch {
 public:
  explicit PageBatch(bool payload_crc) : payload_crc_(payload_crc) {}

  // The command's data; it stays valid until clear(). Fills in its keys' checksums.
  void add(CommitRecord& record);
  [[nodiscard]] std::span<const PmemRegion::PageWrite> writes() const { return writes_; }
  [[nodiscard]] bool empty() const { return writes_.empty(); }
  void clear();

 private:
  using Page = std::array<std::byte, PmemRegion::page_bytes>;

  void add(PendingKey& key, std::span<const std::byte> data, const PieceSums& sums);
  // The bytes behind the last ones.
  void put(std::span<const std::byte> bytes);
  void finish_page();

  const bool payload_crc_;
  std::vector<PmemRegion::PageWrite> writes_;
  MediaOffset at_;          // of the next page
  std::size_t filled_ = 0;  // of the page that is being put together
  std::deque<Page> pages_;  // put together; the first pages_used_ of this round
  std::size_t pages_used_ = 0;
};

}  // namespace engine
