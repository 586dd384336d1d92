#include "engine/volume/cache_opening.h"

#include <algorithm>
#include <utility>

#include "engine/cache/least_space.h"
#include "engine/foundation/check.h"
#include "engine/media/open_pmem.h"
#include "engine/pool/marker_file.h"

namespace engine {
namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

// As the configuration has sizes, rounded up.
std::string whole_mib_text(ByteCount bytes) {
  return std::to_string((bytes.value + mib - 1) / mib) + "MiB";
}

Finding finding(Finding::About about, const std::string& name, std::string text) {
  return {.about = about, .name = name, .text = std::move(text)};
}

Finding region_finding(const CacheSpec& spec, const PmemOpenError& error) {
  const bool coarse = error.kind == PmemError::granularity_insufficient;
  return finding(coarse ? Finding::About::cache_require : Finding::About::cache_device, spec.name,
                 error.text);
}

// " with writes that the image lacks of db01, vm01": nobody should format over it in haste.
std::string unwritten_text(PmemRegion& region) {
  const auto device =
      CacheDevice::open(region, {.access = CacheDevice::Access::inspect, .expected = {}});
  if (!device) return {};
  const CacheVolumeTable& volumes = device.value()->volumes();
  std::string names;
  for (std::uint32_t slot = 0; slot < volumes.slots(); ++slot) {
    const CacheVolume& volume = volumes[slot];
    if (volume.damaged || volume.identity.state != format::VolumeSlotState::attached) continue;
    if (volume.is_provably_clean()) continue;
    names += (names.empty() ? "" : ", ") + volume.binding.name;
  }
  return names.empty() ? names : " with writes that the image lacks of " + names;
}

Finding device_finding(const CacheSpec& spec, PmemRegion& region, const CacheError& error) {
  switch (error.kind) {
    case CacheError::Kind::wrong_device:
      return finding(Finding::About::cache_uuid, spec.name,
                     spec.path + ": " + error.text + unwritten_text(region) +
                         "; refused. Inspect: forebay-media inspect " + spec.path);
    case CacheError::Kind::not_a_cache:
      return finding(
          Finding::About::cache_device, spec.name,
          spec.path + ": " + error.text + ". Format it: forebay-media format " + spec.path);
    case CacheError::Kind::damaged:
      return finding(Finding::About::cache_device, spec.name,
                     spec.path + ": " + error.text + "; see forebay-media check " + spec.path);
    default:
      return finding(Finding::About::cache_device, spec.name, spec.path + ": " + error.text);
  }
}

CacheContents contents_of(const CacheVolume& volume) {
  return {.epoch = volume.binding.attach_epoch,
          .dirty = !volume.is_provably_clean(),
          .opened = volume.epoch.attach_epoch == volume.binding.attach_epoch};
}

std::string abandoning_text(const std::string& volume, const Uuid& cache, const BackingMark* mark) {
  const std::string command = "forebayctl abandon " + volume + " --cache " + cache.text();
  if (mark == nullptr) return command + ".";
  return command + "; the volume is then " + what_is_left(*mark, cache);
}

std::string missing_text(const CacheBinding& binding, const CacheDevice& device,
                         const std::string& device_name,
                         const std::optional<CacheContents>& contents) {
  const std::string belongs =
      "cache device " + binding.device.text() + " holds writes that the image lacks, and ";
  if (binding.device != device.uuid()) {
    return belongs + "the configuration names " + device_name + " (" + device.uuid().text() +
           "); bring it back. (Nothing is served without them.)";
  }
  return belongs +
         (contents ? "what is there now is older; bring back the newer one. "
                   : "nothing of the volume is on it now; bring back the one that had it. ") +
         "(Nothing is served without them.)";
}

// Each of them has a log.
std::uint32_t volumes_on(CacheDevice& device) {
  std::uint32_t count = 0;
  for (std::uint32_t slot = 0; slot < device.volumes().slots(); ++slot) {
    const CacheVolume& volume = device.volumes()[slot];
    const bool is_free = volume.identity.state == format::VolumeSlotState::free;
    count += volume.damaged || !is_free ? 1 : 0;
  }
  return count;
}

}  // namespace

Result<OpenedCache, Finding> open_cache(const CacheSpec& spec, CacheDevice::Access access) {
  const bool looks = access == CacheDevice::Access::inspect;
  auto region = open_pmem_region(spec.path, {.access = looks ? PmemAccess::look : PmemAccess::write,
                                             .required = spec.required});
  if (!region) return region_finding(spec, region.error());
  auto device = CacheDevice::open(*region.value(), {.access = access, .expected = spec.uuid});
  if (!device) return device_finding(spec, *region.value(), device.error());
  if (spec.payload_crc && *spec.payload_crc != device.value()->payload_crc()) {
    return finding(
        Finding::About::cache_payload_crc, spec.name,
        std::string("it was formatted ") + (*spec.payload_crc ? "without" : "with") +
            " payload_crc, which cannot be changed; correct the configuration or format it anew");
  }
  return OpenedCache{.region = std::move(region.value()), .device = std::move(device.value())};
}

bool lacks_writes(const CacheBinding& binding) {
  return binding.state == format::CacheBindingState::dirty;
}

std::string without_device_text(const std::string& reason, const CacheBinding& binding) {
  return reason + ". Cache device " + binding.device.text() +
         " holds writes that the image lacks; bring it back. (Nothing is served without them.)";
}

std::string if_lost_text(const std::string& volume, const Uuid& cache, const BackingMark* mark) {
  return " If they are lost: " + abandoning_text(volume, cache, mark);
}

std::string CacheJudgement::way_out(const std::string& volume, const CacheBinding& binding,
                                    const Uuid& device, const BackingMark* mark) const {
  if (verdict == CacheVerdict::cache_missing) return if_lost_text(volume, binding.device, mark);
  if (verdict == CacheVerdict::conflict) {
    return " To go on without what the cache has: " + abandoning_text(volume, device, mark);
  }
  return {};
}

Result<void, Finding> reserve_memory(const CacheSpec& spec, ByteCount wanted,
                                     const MemoryBudget& budget, MemoryReservation& reservation) {
  if (reservation.ask(wanted)) return success();
  return finding(Finding::About::memory, spec.name,
                 "cache device " + spec.name + " needs " + whole_mib_text(wanted) +
                     " for its index; with transfers and the other caches that makes " +
                     whole_mib_text(budget.needed()) + ", and there are " +
                     whole_mib_text(budget.limit()) +
                     ". Write memory: " + whole_mib_text(budget.needed()) +
                     " or more. (Until then its volumes are not served.)");
}

Result<void, Finding> set_share(CacheDevice& device, std::uint32_t volume_tag,
                                const std::string& volume, const VolumeCacheSpec& spec) {
  const CacheLayout& layout = device.layout();
  SegmentShares& shares = device.segments().shares();
  const std::uint64_t segment = layout.segment_bytes;
  // What every command of the volume gets through with is kept for it, whatever it asks for.
  SegmentShare share;
  share.minimum =
      std::max(least_data_segments(layout, device.payload_crc()),
               static_cast<std::uint32_t>(std::min<std::uint64_t>(
                   (spec.guaranteed.value + segment - 1) / segment, SegmentShare::unlimited)));
  if (spec.maximum.value != 0) {
    share.maximum = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(spec.maximum.value / segment, SegmentShare::unlimited));
  }
  const std::uint32_t logs = least_log_segments(layout, volumes_on(device));
  if (!shares.set_log_need(logs)) {
    return finding(Finding::About::volume_guaranteed, volume,
                   "cache device " + spec.device + " has no room for the logs of its volumes (" +
                       whole_mib_text({logs * segment}) +
                       ") beside what is guaranteed; lower a `guaranteed`, or have fewer volumes "
                       "on it");
  }
  const auto set = shares.set_share(volume_tag, share);
  if (set) return success();
  switch (set.error()) {
    case ShareFault::too_much: {
      const ByteCount lacking{shares.lacking(volume_tag, share.minimum) * segment};
      const ByteCount offered{(device.segments().count() - SegmentShares::device_reserve - logs) *
                              segment};
      return finding(Finding::About::volume_guaranteed, volume,
                     "guaranteed shares on " + spec.device + " add up to " +
                         whole_mib_text(offered + lacking) + ", the device offers " +
                         whole_mib_text(offered) + "; lower a `guaranteed` by " +
                         whole_mib_text(lacking));
    }
    case ShareFault::contradiction:
      return finding(Finding::About::volume_maximum, volume,
                     "cache device " + spec.device + " keeps space in pieces of " +
                         std::to_string(segment >> 10) +
                         " KiB, so the volume's `maximum` must be at least " +
                         std::to_string(share.minimum * segment >> 10) + " KiB");
  }
  return success();
}

// Nothing is opened before the pool's record says that the image alone is not enough.
CacheJudgement judge_volume(CacheDevice& device, const std::string& device_name, const Uuid& volume,
                            const CacheBinding& binding) {
  CacheJudgement judgement;
  judgement.slot = device.volumes().find(volume);
  if (judgement.slot) {
    const CacheVolume& there = device.volumes()[*judgement.slot];
    if (there.damaged) {
      judgement.refusal = "its entry on cache device " + device_name + " (" + device.uuid().text() +
                          ") is damaged; see forebay-media check";
      return judgement;
    }
    judgement.contents = contents_of(there);
  }
  judgement.verdict =
      judge(binding, device.uuid(), {.readable = true, .contents = judgement.contents});
  switch (judgement.verdict) {
    case CacheVerdict::direct:
      CHECK(false && "a readable cache is joined");
      break;
    case CacheVerdict::cache_missing:
      judgement.refusal = missing_text(binding, device, device_name, judgement.contents);
      break;
    case CacheVerdict::conflict:
      judgement.refusal = "cache device " + device_name + " (" + device.uuid().text() +
                          ") holds writes that this image never knew of; one of the two is an old "
                          "copy. Bring back the one that belongs.";
      break;
    case CacheVerdict::attach:
    case CacheVerdict::resume:
      break;
  }
  return judgement;
}

}  // namespace engine
