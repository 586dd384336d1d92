#include "engine/media/mapped_pmem.h"

#include "engine/foundation/check.h"
#include "engine/media/fault_guard.h"
#include "engine/media/file_bytes.h"
#include "engine/media/pmem_copy.h"

namespace engine {

using boost::outcome_v2::success;

class MappedPmem::Writer final : public PmemWriter {
 public:
  explicit Writer(MappedPmem& region) : PmemWriter(region), region_(region) {}

 private:
  Result<void, PmemError> store(MediaOffset to, std::span<const std::byte> bytes) override {
    std::byte* const memory = region_.at(to);
    const auto fault = touch_guarded({memory, bytes.size()},
                                     [memory, bytes]() noexcept { copy_to_pmem(memory, bytes); });
    if (fault) return region_.mark_bad(*fault);
    return success();
  }
  Result<void, PmemError> write_back(MediaOffset offset, ByteCount length) override {
    const std::span<std::byte> range(region_.at(offset), length.value);
    const auto fault = touch_guarded(range, [range]() noexcept { write_back_lines(range); });
    if (fault) return region_.mark_bad(*fault);
    return success();
  }
  void drain() override { persist_fence(); }

  MappedPmem& region_;
};

MappedPmem::MappedPmem(PmemMapping mapping, const PmemGuarantee& guarantee)
    : PmemRegion(mapping.size, guarantee, page_bytes), mapping_(std::move(mapping)) {
  CHECK(guarantee.granularity != PmemGranularity::page);
  attach(mapping_.memory);
  set_note(mapping_.note);
  install_fault_handler();
}

ReadOnlyPmem::ReadOnlyPmem(PmemMapping mapping, const PmemGuarantee& guarantee)
    : PmemRegion(mapping.size, guarantee, page_bytes), mapping_(std::move(mapping)) {
  attach(mapping_.memory);
  install_fault_handler();
}

Result<std::unique_ptr<PmemWriter>, PmemError> MappedPmem::make_writer() {
  return std::unique_ptr<PmemWriter>(std::make_unique<Writer>(*this));
}

bool MappedPmem::heal(MediaOffset to, std::span<const std::byte> bytes) {
  const int fd = mapping_.file.get();
  if (fd < 0 || guarantee().medium == PmemMedium::devdax) return false;
  if (!reaches(fd, to.value + bytes.size())) return false;
  if (!write_fully(fd, to, bytes) || fdatasync(fd) != 0) return false;
  // Only what can be read back through the mapping is good.
  const std::span<const std::byte> range(at(to), bytes.size());
  const auto fault = touch_guarded(range, [range]() noexcept {
    for (std::size_t page = 0; page < range.size(); page += page_bytes) {
      static_cast<void>(*const_cast<const volatile std::byte*>(&range[page]));
    }
  });
  return !fault.has_value();
}

}  // namespace engine
