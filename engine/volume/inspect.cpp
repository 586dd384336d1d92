// Engine::inspect: what a start would find, without one.
#include <future>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "engine/cache/cache_memory.h"
#include "engine/pool/pool_check.h"
#include "engine/volume/cache_opening.h"
#include "engine/volume/engine.h"
#include "engine/volume/look_beside.h"
#include "engine/volume/pool_finding.h"

namespace engine {
namespace {

constexpr const char* no_answer = "its disk does not answer; ";

class Inspector {
 public:
  Inspector(const std::vector<VolumeSpec>& volumes, const InspectOptions& options)
      : volumes_(volumes),
        options_(options),
        deadline_(std::chrono::steady_clock::now() + options.patience) {}

  std::vector<Finding> run(const std::vector<PoolSpec>& pools) {
    for (const PoolSpec& pool : pools) {
      if (pool.kind != PoolSpec::Kind::memory) begin_pool(pool);
    }
    for (const CacheSpec& cache : options_.caches) {
      devices_.push_back({.spec = cache, .looking = look_beside([cache] {
                                           return open_cache(cache, CacheDevice::Access::inspect);
                                         })});
    }
    for (Pool& pool : pools_) end_pool(pool);
    for (Device& device : devices_) end_device(device);
    for (Device& device : devices_) judge_memory(device);
    for (Device& device : devices_) judge_volumes(device);
    return std::move(findings_);
  }

 private:
  struct Pool {
    const PoolSpec& spec;
    std::vector<VolumeWish> wishes;
    std::future<PoolFindings> looking;
  };
  struct Device {
    const CacheSpec& spec;
    std::future<Result<OpenedCache, Finding>> looking;
    OpenedCache opened{};  // without a device: why_not
    std::string why_not{};
    ByteCount memory{};
    std::unique_ptr<MemoryReservation> reservation{};
  };

  template <class Future>
  [[nodiscard]] bool answers(const Future& future) const {
    return future.wait_until(deadline_) == std::future_status::ready;
  }

  void begin_pool(const PoolSpec& pool) {
    std::vector<VolumeWish> wishes;
    for (const VolumeSpec& volume : volumes_) {
      if (volume.pool != pool.name) continue;
      wishes.push_back({.name = volume.name,
                        .size = volume.size,
                        .block_size = volume.block_size,
                        .uuid = std::nullopt,
                        .is_cached = volume.cache.has_value(),
                        .provisioning = pool.provisioning,
                        .was = volume.was});
    }
    auto looking = look_beside([pool, wishes] {
      if (pool.kind == PoolSpec::Kind::file) {
        return inspect_file_pool(pool.directory, pool.uuid, wishes);
      }
      const MembersWish members{
          .paths = pool.members, .pool = pool.uuid, .layout = pool.layout, .chunk = pool.chunk};
      return inspect_device_pool(members, wishes);
    });
    pools_.push_back({.spec = pool, .wishes = std::move(wishes), .looking = std::move(looking)});
  }

  void end_pool(Pool& pool) {
    if (!answers(pool.looking)) {
      findings_.push_back({.about = Finding::About::pool_directory,
                           .name = pool.spec.name,
                           .text = std::string(no_answer) + "its volumes will be late"});
      return;
    }
    const PoolFindings found = pool.looking.get();
    if (found.pool) findings_.push_back(pool_finding(pool.spec, *found.pool));
    for (const MemberTrouble& trouble : found.members) {
      findings_.push_back(member_finding(pool.spec, trouble));
    }
    for (std::size_t at = 0; at < pool.wishes.size(); ++at) {
      const std::string& name = pool.wishes[at].name;
      if (found.records[at]) records_[name] = *found.records[at];
      if (pool.spec.kind == PoolSpec::Kind::file && found.records[at] &&
          found.records[at]->provisioning != pool.spec.provisioning) {
        findings_.push_back(provisioning_finding(pool.spec, *found.records[at]));
      }
      if (found.marks[at]) marks_[name] = *found.marks[at];
      const auto& error = found.volumes[at];
      if (!error) continue;
      findings_.push_back({.about = about(error->kind), .name = name, .text = error->text});
    }
  }

  void end_device(Device& device) {
    if (!answers(device.looking)) {
      device.why_not = std::string(no_answer) + "volumes that it caches will be late";
      findings_.push_back({.about = Finding::About::cache_device,
                           .name = device.spec.name,
                           .text = device.why_not});
      return;
    }
    auto opened = device.looking.get();
    if (!opened) {
      device.why_not = opened.error().text;
      findings_.push_back(opened.error());
      return;
    }
    device.opened = std::move(opened.value());
    if (options_.memory == nullptr) return;
    std::uint32_t sharing = 0;
    for (const VolumeSpec& volume : volumes_) sharing += is_cached_by(volume, device) ? 1 : 0;
    device.memory = cache_memory(device.opened.device->layout(), sharing).all;
    device.reservation = std::make_unique<MemoryReservation>(*options_.memory);
    (void)device.reservation->ask(device.memory);
  }

  // When all have asked, so that what is told is enough for all.
  void judge_memory(Device& device) {
    if (device.reservation == nullptr || device.reservation->held() == device.memory) return;
    const auto reserved =
        reserve_memory(device.spec, device.memory, *options_.memory, *device.reservation);
    if (!reserved) findings_.push_back(reserved.error());
  }

  void judge_volumes(Device& device) {
    for (const VolumeSpec& volume : volumes_) {
      if (!is_cached_by(volume, device)) continue;
      const auto record = records_.find(volume.name);
      if (device.opened.device == nullptr) {
        if (record != records_.end() && lacks_writes(record->second.cache)) {
          const CacheBinding& binding = record->second.cache;
          tell(volume, without_device_text(device.spec.name + ": " + device.why_not, binding) +
                           if_lost_text(volume.name, binding.device, mark_of(volume)));
        }
        continue;
      }
      judge_volume_of(device, volume, record != records_.end() ? &record->second : nullptr);
    }
  }

  void judge_volume_of(Device& device, const VolumeSpec& volume, const VolumeRecord* record) {
    std::optional<std::uint32_t> slot;
    if (record != nullptr) {
      const CacheJudgement judgement =
          judge_volume(*device.opened.device, device.spec.name, record->uuid, record->cache);
      if (!judgement.refusal.empty()) {
        return tell(volume, judgement.refusal + judgement.way_out(volume.name, record->cache,
                                                                  device.opened.device->uuid(),
                                                                  mark_of(volume)));
      }
      slot = judgement.slot;
    }
    // One that would join anew has no tag yet.
    const std::uint32_t tag =
        slot ? device.opened.device->volumes()[*slot].identity.tag : --unused_tag_;
    const auto share = set_share(*device.opened.device, tag, volume.name, *volume.cache);
    if (!share) findings_.push_back(share.error());
  }

  [[nodiscard]] const BackingMark* mark_of(const VolumeSpec& volume) const {
    const auto mark = marks_.find(volume.name);
    return mark == marks_.end() ? nullptr : &mark->second;
  }
  void tell(const VolumeSpec& volume, const std::string& text) {
    findings_.push_back({.about = Finding::About::volume, .name = volume.name, .text = text});
  }
  static bool is_cached_by(const VolumeSpec& volume, const Device& device) {
    return volume.cache && volume.cache->device == device.spec.name;
  }

  const std::vector<VolumeSpec>& volumes_;
  const InspectOptions& options_;
  const std::chrono::steady_clock::time_point deadline_;
  std::vector<Pool> pools_;
  std::vector<Device> devices_;
  std::map<std::string, VolumeRecord> records_;  // by name of the volume
  std::map<std::string, BackingMark> marks_;     // the same
  std::uint32_t unused_tag_ = std::numeric_limits<std::uint32_t>::max();
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> Engine::inspect(const std::vector<PoolSpec>& pools,
                                     const std::vector<VolumeSpec>& volumes,
                                     const InspectOptions& options) {
  return Inspector(volumes, options).run(pools);
}

}  // namespace engine
