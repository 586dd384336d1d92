#include "target/overrides.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <iterator>
#include <system_error>
#include <tuple>
#include <utility>

#include "target/applied_copy.h"
#include "target/control/state_file.h"
#include "target/utc_text.h"

namespace target {
namespace {

using OverrideKind = Override::Kind;
using Mode = config::VolumeCache::Mode;

constexpr const char* overrides_name = "overrides";
constexpr std::string_view first_line = "# forebay overrides 1\n";
constexpr std::string_view last_mark = "# end\t";

constexpr std::pair<std::string_view, Mode> modes[] = {{"write-back", Mode::write_back},
                                                       {"write-through", Mode::write_through},
                                                       {"write-around", Mode::write_around},
                                                       {"pass-through", Mode::pass_through},
                                                       {"read-only", Mode::read_only}};

std::string_view name_of(Mode mode) {
  return std::ranges::find(modes, mode, &std::pair<std::string_view, Mode>::second)->first;
}

std::optional<OverrideKind> parse_kind(std::string_view name) {
  for (const OverrideKind kind : {OverrideKind::mode, OverrideKind::drain, OverrideKind::access}) {
    if (name == text(kind)) return kind;
  }
  return std::nullopt;
}

// As a field of a line: names of users come from elsewhere.
std::string field(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::optional<Override> parse_line(std::string_view line) {
  const auto fields = control::tab_fields(line);
  if (fields.size() != 5) return std::nullopt;
  const auto kind = parse_kind(fields[0]);
  if (!kind || fields[1].empty()) return std::nullopt;
  const bool is_mode =
      std::ranges::any_of(modes, [&](const auto& one) { return one.first == fields[2]; });
  if (*kind == OverrideKind::mode && !is_mode) return std::nullopt;
  if (*kind == OverrideKind::access && !block::access_state_of(fields[2])) return std::nullopt;
  Override one{.kind = *kind, .subject = fields[1], .value = fields[2], .by = fields[4]};
  const char* const end = fields[3].data() + fields[3].size();
  const auto read = std::from_chars(fields[3].data(), end, one.since_ms);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return one;
}

bool is_less(const Override& a, const Override& b) {
  return std::tie(a.kind, a.subject) < std::tie(b.kind, b.subject);
}

}  // namespace

const char* text(Override::Kind kind) {
  switch (kind) {
    case OverrideKind::mode:
      return "mode";
    case OverrideKind::drain:
      return "drain";
    case Override::Kind::access:
      return "access";
  }
  return "mode";
}

std::string sentence(const Override& one) {
  const std::string who = fmt::format("by {} since {}", one.by, utc_text(one.since_ms));
  if (one.kind == OverrideKind::drain)
    return fmt::format("{} is being drained, {}", one.subject, who);
  if (one.kind == OverrideKind::access) {
    return fmt::format("path {} is {}, {}", one.subject, one.value, who);
  }
  const std::string file = one.file_value.empty() ? "the file has no such cache"
                                                  : fmt::format("the file says {}", one.file_value);
  return fmt::format("mode of {} is {} ({}), {}", one.subject, one.value, file, who);
}

Overrides::Overrides(std::string directory) : directory_(std::move(directory)), kept_(to_text({})) {
  if (directory_.empty()) return;
  const std::string path = directory_ + "/" + overrides_name;
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) {
    if (errno != 0 && errno != ENOENT) {
      damage_ = fmt::format("{} cannot be read ({}): overrides are not known any more", path,
                            std::generic_category().message(errno));
    }
    return;
  }
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  if (auto parsed = parse_overrides(all)) {
    all_ = std::move(*parsed);
    kept_ = all;
    return;
  }
  damage_ = fmt::format(
      "{} is damaged and ignored: modes that were set by forebayctl are those of the "
      "configuration file again, and all paths are optimized; set them anew where that matters",
      path);
}

std::vector<Override> Overrides::all() const {
  const std::lock_guard lock(mutex_);
  return all_;
}

std::size_t Overrides::size() const {
  const std::lock_guard lock(mutex_);
  return all_.size();
}

void Overrides::set(Override one) {
  const std::lock_guard lock(mutex_);
  std::erase_if(all_, [&](const Override& old) {
    return old.kind == one.kind && old.subject == one.subject;
  });
  all_.insert(std::ranges::upper_bound(all_, one, is_less), std::move(one));
}

bool Overrides::erase(Override::Kind kind, const std::string& subject) {
  const std::lock_guard lock(mutex_);
  return std::erase_if(all_, [&](const Override& old) {
           return old.kind == kind && old.subject == subject;
         }) != 0;
}

void Overrides::replace(std::vector<Override> all) {
  const std::lock_guard lock(mutex_);
  all_ = std::move(all);
}

engine::Result<void, std::string> Overrides::keep(const std::vector<Override>& wanted) {
  std::string now = to_text(wanted);
  if (now == kept_) return engine::success();
  if (directory_.empty()) {
    return std::string(
        "there is no state directory to keep overrides in; they hold until the daemon ends");
  }
  auto written = control::write_state_file(directory_, overrides_name, now);
  if (!written) {
    kept_.reset();
    return written.error() + "; overrides hold until the daemon ends";
  }
  kept_ = std::move(now);
  return written;
}

std::string to_text(const std::vector<Override>& all) {
  std::string out(first_line);
  for (const Override& one : all) {
    out += fmt::format("{}\t{}\t{}\t{}\t{}\n", text(one.kind), field(one.subject), field(one.value),
                       one.since_ms, field(one.by));
  }
  return out + fmt::format("{}{}\n", last_mark, content_hash(out));
}

std::optional<std::vector<Override>> parse_overrides(std::string_view text) {
  const std::size_t at = text.rfind(last_mark);
  if (at == std::string_view::npos || !text.starts_with(first_line)) return std::nullopt;
  const std::string_view body = text.substr(0, at);
  if (text.substr(at + last_mark.size()) != content_hash(body) + "\n") return std::nullopt;
  std::vector<Override> all;
  std::string_view rest = body.substr(first_line.size());
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    auto one = parse_line(rest.substr(0, end));
    if (!one) return std::nullopt;
    all.push_back(std::move(*one));
    rest.remove_prefix(end + 1);
  }
  return all;
}

AccessStates access_states(const std::vector<Override>& all) {
  AccessStates::States named;
  for (const Override& one : all) {
    if (one.kind != OverrideKind::access) continue;
    const auto state = block::access_state_of(one.value);
    if (state) named.emplace(one.subject, *state);
  }
  return AccessStates(std::move(named));
}

std::shared_ptr<const config::Config> overridden(const std::shared_ptr<const config::Config>& file,
                                                 const std::vector<Override>& all) {
  std::shared_ptr<config::Config> changed;
  for (const Override& one : all) {
    if (one.kind != OverrideKind::mode) continue;
    const auto volume = file->volumes.find(one.subject);
    if (volume == file->volumes.end() || !volume->second.cache) continue;
    if (!changed) changed = std::make_shared<config::Config>(*file);
    const auto mode =
        std::ranges::find(modes, one.value, &std::pair<std::string_view, Mode>::first);
    changed->volumes.at(one.subject).cache->mode = mode->second;
  }
  if (!changed) return file;
  return changed;
}

std::string file_value(const config::Config& file, const Override& one) {
  const auto volume = file.volumes.find(one.subject);
  if (one.kind != OverrideKind::mode || volume == file.volumes.end() || !volume->second.cache)
    return {};
  return std::string(name_of(volume->second.cache->mode));
}

std::vector<Override> with_file_values(const config::Config& file, std::vector<Override> all) {
  for (Override& one : all) one.file_value = file_value(file, one);
  return all;
}

}  // namespace target
