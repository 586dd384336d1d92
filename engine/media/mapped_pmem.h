// The real regions: memory that is mapped, by whoever made the mapping.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "engine/media/file_descriptor.h"
#include "engine/media/pmem_region.h"

namespace engine {

// A mapping, what ends it, and the file behind it (none for anonymous memory), whose lock it keeps.
struct PmemMapping {
  FileDescriptor file;  // first: unlocked last
  std::byte* memory = nullptr;
  ByteCount size;
  std::unique_ptr<void, void (*)(void*)> release;
  std::string note;
};

// Byte and cache-line granularity: stores go to the mapping.
class MappedPmem final : public PmemRegion {
 public:
  MappedPmem(PmemMapping mapping, const PmemGuarantee& guarantee);
  // What the medium knows to be bad; before anybody uses the region.
  void add_bad(PmemRange range) { bad().add(range); }

  [[nodiscard]] Result<std::unique_ptr<PmemWriter>, PmemError> make_writer() override;

 private:
  class Writer;
  // Through the file, as its file system clears poison only there. Never for devdax, which has no
  // such way in, and never beyond the end of a file that was cut off.
  [[nodiscard]] bool heal(MediaOffset to, std::span<const std::byte> bytes) override;

  const PmemMapping mapping_;
};

// Any granularity, for loads alone: the mapping has no right to store.
class ReadOnlyPmem final : public PmemRegion {
 public:
  ReadOnlyPmem(PmemMapping mapping, const PmemGuarantee& guarantee);
  void add_bad(PmemRange range) { bad().add(range); }

  [[nodiscard]] Result<std::unique_ptr<PmemWriter>, PmemError> make_writer() override {
    return PmemError::not_supported;
  }

 private:
  const PmemMapping mapping_;
};

// Page granularity: the mapping is for loads only, stores are writes to the file.
class PagedPmem final : public PmemRegion {
 public:
  PagedPmem(PmemMapping mapping, const PmemGuarantee& guarantee);

  [[nodiscard]] Result<std::unique_ptr<PmemWriter>, PmemError> make_writer() override {
    return PmemError::not_supported;
  }
  [[nodiscard]] Result<void, PmemError> write_pages(std::span<const PageWrite> writes) override;
  [[nodiscard]] Result<void, PmemError> sync() override;
  [[nodiscard]] bool needs_reopen() const override {
    return failed_.load(std::memory_order_acquire);
  }
  [[nodiscard]] PmemCounts counts() const override;

 private:
  // A page of the file that is written anew is good; if it is not, the next load of it says so.
  [[nodiscard]] bool heal(MediaOffset to, std::span<const std::byte> bytes) override;

  const PmemMapping mapping_;
  std::atomic<bool> failed_{false};  // set once
  // Only the committing thread changes them.
  std::atomic<std::uint64_t> writes_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> syncs_{0};
};

}  // namespace engine
