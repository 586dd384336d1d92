#include "tests/sim/sim_pmem.h"

#include <utility>

#include "engine/foundation/check.h"

namespace engine {
namespace {

using boost::outcome_v2::success;

// It plays a device that keeps its promises; whether they are kept is for the test to see.
PmemGuarantee device(PmemGranularity granularity) {
  return {.granularity = granularity, .medium = PmemMedium::devdax, .emulated = false};
}

}  // namespace

class SimPmem::Writer final : public PmemWriter {
 public:
  explicit Writer(SimPmem& region)
      : PmemWriter(region), region_(region), actor_(++region.last_actor_) {
    ++region_.writers_;
  }
  ~Writer() override {
    region_.memory_.orphan(actor_);
    --region_.writers_;
  }

 private:
  Result<void, PmemError> store(MediaOffset to, std::span<const std::byte> bytes) override {
    region_.memory_.store(actor_, to.value, bytes);
    for (const PmemRange& healed : std::exchange(region_.just_healed_, {})) {
      region_.memory_.was_unreadable_before(healed.offset.value, healed.length.value);
    }
    region_.points_.reach(PersistPoint::Kind::store);
    return success();
  }
  Result<void, PmemError> write_back(MediaOffset offset, ByteCount length) override {
    region_.memory_.adopt(actor_, offset.value, length.value);
    return success();
  }
  void drain() override {
    if (region_.fence_settles_everyone_) {
      region_.memory_.settle_everyone();
    } else if (!region_.forget_fence_) {
      region_.memory_.settle(actor_);
    }
    region_.points_.reach(PersistPoint::Kind::settle);
  }

  SimPmem& region_;
  const LineMemory::Actor actor_;
};

SimPmem::SimPmem(ByteCount size, PmemGranularity granularity)
    : PmemRegion(size, device(granularity), line_bytes), memory_(size) {
  CHECK(granularity != PmemGranularity::page);
  attach(memory_.memory());
}

SimPmem::SimPmem(std::span<const std::byte> image) : SimPmem(ByteCount{image.size()}) {
  memory_.load(image);
}

SimPmem::SimPmem(SimPmem& parent, CrashChooser& choose)
    : PmemRegion(parent.size(), parent.guarantee(), line_bytes),
      memory_(parent.memory_, choose),
      heals_(parent.heals_),
      forget_fence_(parent.forget_fence_),
      fence_settles_everyone_(parent.fence_settles_everyone_) {
  attach(memory_.memory());
  for (const PmemRange& range : parent.bad_ranges()) bad().add(range);
  for (const std::uint64_t line : memory_.unreadable()) {
    bad().add({{line * line_bytes}, {line_bytes}});
  }
}

Result<std::unique_ptr<PmemWriter>, PmemError> SimPmem::make_writer() {
  return std::unique_ptr<PmemWriter>(std::make_unique<Writer>(*this));
}

std::unique_ptr<SimPmem> SimPmem::crash(CrashChooser& choose) {
  return std::unique_ptr<SimPmem>(new SimPmem(*this, choose));
}

void SimPmem::kill_process() {
  CHECK(writers_ == 0);
  memory_.orphan_everyone();
}

void SimPmem::poison(MediaOffset offset, ByteCount length) {
  const std::uint64_t begin = offset.value / line_bytes * line_bytes;
  const std::uint64_t end =
      (offset.value + length.value + line_bytes - 1) / line_bytes * line_bytes;
  CHECK(end <= size().value);
  bad().add({{begin}, {end - begin}});
}

bool SimPmem::heal(MediaOffset to, std::span<const std::byte> bytes) {
  if (!heals_) return false;
  just_healed_.push_back({to, {bytes.size()}});
  return true;
}

}  // namespace engine
