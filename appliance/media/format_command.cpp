#include "appliance/media/format_command.h"

#include <fmt/format.h>

#include <optional>

#include "appliance/media/cache_file.h"
#include "appliance/media/exit_code.h"
#include "config/values.h"
#include "engine/cache/format_cache.h"
#include "engine/foundation/clock.h"

namespace media {
namespace {

using config::size_text;
using engine::ByteCount;
using engine::Uuid;

// nullopt: not a size, and said so.
std::optional<ByteCount> parse_size(const char* option, const std::string& text) {
  const auto size = config::parse_size(text);
  if (size) return size.value();
  complain(fmt::format("{}: {}", option, size.error().text));
  return std::nullopt;
}

std::optional<engine::FormatOptions> options_of(const NewCache& wanted) {
  engine::FormatOptions options;
  options.uuid = Uuid::random();
  options.created_ms = static_cast<std::uint64_t>(engine::SystemClock().wall().count());
  options.payload_crc = wanted.checksums;
  options.layout.volume_slots = wanted.volumes;
  if (!wanted.segment_size.empty()) {
    const auto size = parse_size("--segment-size", wanted.segment_size);
    if (!size) return std::nullopt;
    if (size->value > engine::CacheLayout::largest_segment) {
      complain("--segment-size: at most " + size_text({engine::CacheLayout::largest_segment}));
      return std::nullopt;
    }
    options.layout.segment_bytes = static_cast<std::uint32_t>(size->value);
  }
  if (!wanted.replace.empty()) {
    options.replace = Uuid::parse(wanted.replace);
    if (!options.replace) {
      complain("--replace " + wanted.replace + ": not a UUID");
      return std::nullopt;
    }
  }
  return options;
}

bool make_file(const std::string& path, const std::string& text,
               const engine::LayoutOptions& layout) {
  const auto size = parse_size("--size", text);
  if (!size) return false;
  // No file is made that could not become a cache.
  const auto fits = engine::plan_layout(*size, layout);
  if (!fits) {
    complain(path + ": " + fits.error().text);
    return false;
  }
  const auto made = engine::create_pmem_file(path, *size);
  if (!made) complain(made.error().text);
  return static_cast<bool>(made);
}

int fail(const std::string& path, const engine::CacheError& error) {
  complain(path + ": " + error.text);
  return exit_failed;
}

void print_cache(const std::string& path, const engine::CacheDevice& device, const char* what) {
  const engine::CacheLayout& layout = device.layout();
  fmt::print("{} cache {} on {}: {} in {} segments of {}, {}\n", what, device.uuid().text(), path,
             size_text(layout.device_bytes), layout.segment_count,
             size_text({layout.segment_bytes}), device.region().guarantee().text());
}

}  // namespace

int format(const std::string& path, const NewCache& wanted) {
  const auto options = options_of(wanted);
  if (!options) return exit_failed;
  if (!wanted.size.empty() && !make_file(path, wanted.size, options->layout)) return exit_failed;
  const auto region = open_region(path, engine::PmemAccess::write);
  if (!region) return exit_failed;
  const auto formatted = engine::format_cache(*region, *options);
  if (!formatted) return fail(path, formatted.error());
  const auto device = engine::CacheDevice::open(*region);
  if (!device) return fail(path, device.error());
  print_cache(path, *device.value(), "new");
  fmt::print("Name it in the configuration: uuid: {}\n", device.value()->uuid().text());
  return exit_good;
}

int grow(const std::string& path, const std::string& size) {
  if (!size.empty()) {
    const auto wanted = parse_size("--size", size);
    if (!wanted) return exit_failed;
    const auto longer = engine::extend_pmem_file(path, *wanted);
    // It may have been made longer by a try that was interrupted.
    if (!longer && longer.error().kind != engine::PmemError::already_there) {
      complain(longer.error().text);
      return exit_failed;
    }
  }
  const auto region = open_region(path, engine::PmemAccess::write);
  if (!region) return exit_failed;
  const auto device = engine::CacheDevice::open(*region);
  if (!device) return fail(path, device.error());
  auto writer = engine::DurableWriter::make(*region);
  if (!writer) {
    complain(path + ": " + engine::text(writer.error()));
    return exit_failed;
  }
  const auto grown = device.value()->grow(writer.value());
  if (!grown) return fail(path, grown.error());
  print_cache(path, *device.value(), "grown");
  return exit_good;
}

}  // namespace media
