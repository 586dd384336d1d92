#include "appliance/media/export_command.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "appliance/media/cache_file.h"
#include "appliance/media/exit_code.h"
#include "appliance/media/patched_file.h"
#include "config/values.h"
#include "engine/cache/cached_data.h"
#include "engine/foundation/clock.h"

namespace media {
namespace {

namespace json = boost::json;
using engine::CacheDevice;
using engine::CachedPiece;
using engine::ExtentKind;
using engine::sector_bytes;

// Pieces side by side that are alike.
struct Stretch {
  std::uint64_t sector = 0;
  std::uint64_t sectors = 0;
  bool zero = false;
  bool dirty = false;
  std::optional<engine::PayloadFault> fault;

  [[nodiscard]] std::uint64_t offset() const { return sector * sector_bytes; }
  [[nodiscard]] std::uint64_t bytes() const { return sectors * sector_bytes; }
};

struct Exported {
  std::vector<Stretch> good;
  std::vector<Stretch> bad;
  std::optional<std::string> write_error;

  [[nodiscard]] std::uint64_t good_bytes() const {
    std::uint64_t sum = 0;
    for (const Stretch& stretch : good) sum += stretch.bytes();
    return sum;
  }
  void add(const CachedPiece& piece) {
    const Stretch next{.sector = piece.range.begin.value,
                       .sectors = piece.range.count.value,
                       .zero = piece.value.kind == ExtentKind::zero,
                       .dirty = piece.value.dirty,
                       .fault = piece.fault};
    auto& to = piece.fault ? bad : good;
    if (!to.empty() && to.back().sector + to.back().sectors == next.sector &&
        to.back().zero == next.zero && to.back().dirty == next.dirty &&
        to.back().fault == next.fault) {
      to.back().sectors += next.sectors;
    } else {
      to.push_back(next);
    }
  }
};

const char* fault_text(engine::PayloadFault fault) {
  return fault == engine::PayloadFault::media_error ? "unreadable" : "bad checksum";
}

// Why not all of it is there although every piece can be read; empty: it is.
std::string damage_text(const engine::RecoveryReport& report) {
  if (report.log_damage) return report.log_damage->text();
  if (report.key_damage) return report.key_damage->text();
  return report.entry_damage ? "an entry of its slot is lost: its log cannot be read" : "";
}

json::array stretches(const std::vector<Stretch>& list) {
  json::array array;
  for (const Stretch& stretch : list) {
    json::object object{{"offset", stretch.offset()},
                        {"bytes", stretch.bytes()},
                        {"kind", stretch.zero ? "zero" : "data"},
                        {"dirty", stretch.dirty}};
    if (stretch.fault) object["fault"] = fault_text(*stretch.fault);
    array.push_back(std::move(object));
  }
  return array;
}

void print_json(const CacheDevice& device, const engine::CacheVolume& volume,
                const engine::RecoveryReport& report, const ExportOptions& options,
                const Exported& exported) {
  json::object all{{"cache", device.uuid().text()},
                   {"volume", volume.identity.volume.text()},
                   {"name", volume.binding.name},
                   {"backing", volume.identity.backing.text()},
                   {"size_bytes", volume.identity.size.value},
                   {"part", options.all ? "all" : "dirty"},
                   {"last_sequence", report.last_sequence},
                   {"complete", exported.bad.empty() && !report.damaged()},
                   {"extents", stretches(exported.good)},
                   {"bad", stretches(exported.bad)}};
  if (report.damaged()) all["damage"] = damage_text(report);
  if (!options.onto.empty()) all["onto"] = options.onto;
  fmt::print("{}\n", json::serialize(all));
}

void print_screen(const engine::CacheVolume& volume, const engine::RecoveryReport& report,
                  const ExportOptions& options, const Exported& exported) {
  if (report.damaged()) fmt::print("! {}\n", damage_text(report));
  for (const Stretch& stretch : exported.bad) {
    fmt::print("! bytes {} to {}: {}{}; not exported\n", stretch.offset(),
               stretch.offset() + stretch.bytes() - 1, fault_text(*stretch.fault),
               stretch.dirty ? "" : " (the backing has them)");
  }
  fmt::print("volume \"{}\" {} as of kset {}: {} of {} in {} extents{}\n", volume.binding.name,
             volume.identity.volume.text(), report.last_sequence,
             config::size_text({exported.good_bytes()}), options.all ? "cached data" : "dirty data",
             exported.good.size(),
             options.onto.empty() ? "; nothing was written (give --onto FILE)"
                                  : ", written onto " + options.onto);
}

}  // namespace

int export_volume(const std::string& path, const ExportOptions& options) {
  const auto uuid = engine::Uuid::parse(options.volume);
  if (!uuid) {
    complain("--volume " + options.volume +
             ": not a UUID; forebay-media inspect shows those of the volumes");
    return exit_failed;
  }
  const auto region = open_region(path, engine::PmemAccess::read_only);
  if (!region) return exit_failed;
  const auto device =
      CacheDevice::open(*region, {.access = CacheDevice::Access::inspect, .expected = {}});
  if (!device) {
    complain(path + ": " + device.error().text);
    return exit_failed;
  }
  const auto slot = device.value()->volumes().find(*uuid);
  if (!slot) {
    complain(path + ": no volume " + uuid->text() + " is attached to this cache");
    return exit_failed;
  }
  const engine::CacheVolume& volume = device.value()->volumes()[*slot];
  const engine::SystemClock clock;
  engine::IndexMemory memory(engine::enough_index_memory(device.value()->layout()));
  engine::InlineTasks alone;
  auto read = engine::read_volume(*device.value(), *slot, memory, clock, alone);
  if (!read) {
    complain(path + ": " + read.error().text);
    return exit_failed;
  }
  std::optional<PatchedFile> file;
  if (!options.onto.empty()) {
    auto opened = PatchedFile::open(options.onto, volume.identity.size);
    if (!opened) {
      complain(opened.error());
      return exit_failed;
    }
    file = std::move(opened).value();
  }
  Exported exported;
  engine::visit_cached_data(
      *read.value().cache, options.all ? engine::CachedPart::all : engine::CachedPart::dirty,
      engine::CachedReading::data, [&](const CachedPiece& piece) {
        if (exported.write_error) return;
        exported.add(piece);
        if (!file || piece.fault) return;
        const engine::MediaOffset at{piece.range.begin.value * sector_bytes};
        const auto written = piece.value.kind == ExtentKind::zero
                                 ? file->write_zeros(at, {piece.range.count.value * sector_bytes})
                                 : file->write(at, piece.bytes);
        if (!written) exported.write_error = written.error();
      });
  if (file && !exported.write_error) {
    const auto durable = file->finish();
    if (!durable) exported.write_error = durable.error();
  }
  if (exported.write_error) {
    complain(*exported.write_error + "; a part may be written, export it again");
    return exit_failed;
  }
  if (options.output == Output::json) {
    print_json(*device.value(), volume, read.value().report, options, exported);
  } else {
    print_screen(volume, read.value().report, options, exported);
  }
  return exported.bad.empty() && !read.value().report.damaged() ? exit_good : exit_damage;
}

}  // namespace media
