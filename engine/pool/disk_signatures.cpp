#include "engine/pool/disk_signatures.h"

#include <blkid/blkid.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <system_error>

#include "engine/pool/disk_identity.h"

namespace engine {
namespace {

// Each is a step of a search in what anybody may have written: zfs alone has hundreds of copies.
constexpr int most_signatures = 4096;
constexpr int most_partitions = 256;
// libblkid counts partitions in these, whatever the disk does.
constexpr blkid_loff_t partition_unit = 512;

using Probe = std::unique_ptr<std::remove_pointer_t<blkid_probe>, decltype(&blkid_free_probe)>;

std::string unreadable() { return "cannot be searched for what is on it: it does not read"; }

Result<Probe, std::string> probe_of(int fd, blkid_loff_t offset = 0, blkid_loff_t length = 0) {
  Probe probe(blkid_new_probe(), &blkid_free_probe);
  if (!probe || blkid_probe_set_device(probe.get(), fd, offset, length) != 0) return unreadable();
  // A bad checksum is damage, or a file system that is newer than the library: not nothing.
  blkid_probe_enable_superblocks(probe.get(), 1);
  blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID |
                                                     BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE |
                                                     BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_BADCSUM);
  blkid_probe_enable_partitions(probe.get(), 1);
  blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_FORCE_GPT | BLKID_PARTS_MAGIC);
  return probe;
}

std::string value_of(blkid_probe probe, const char* name) {
  const char* value = nullptr;
  // The length counts a zero at the end; what a hostile medium puts inside ends there.
  if (blkid_probe_lookup_value(probe, name, &value, nullptr) != 0 || value == nullptr) return {};
  return printable(value);
}

ForeignSignature::Kind kind_of(const std::string& usage) {
  if (usage == "filesystem") return ForeignSignature::Kind::file_system;
  if (usage == "raid") return ForeignSignature::Kind::raid;
  if (usage == "crypto") return ForeignSignature::Kind::encrypted;
  return ForeignSignature::Kind::other;
}

// What the last step has found; nullopt: nothing that has a name.
std::optional<ForeignSignature> found_by(blkid_probe probe) {
  if (std::string type = value_of(probe, "TYPE"); !type.empty()) {
    return ForeignSignature{.kind = kind_of(value_of(probe, "USAGE")),
                            .type = std::move(type),
                            .label = value_of(probe, "LABEL"),
                            .uuid = value_of(probe, "UUID")};
  }
  if (std::string type = value_of(probe, "PTTYPE"); !type.empty()) {
    return ForeignSignature{.kind = ForeignSignature::Kind::partition_table,
                            .type = std::move(type),
                            .label = {},
                            .uuid = value_of(probe, "PTUUID")};
  }
  return std::nullopt;
}

// Lets the next step find what lies behind this magic: another copy, or another signature. False:
// the library does not say where its magic is.
bool hide_magic(blkid_probe probe) {
  for (const auto& [magic, offset] :
       {std::pair{"SBMAGIC", "SBMAGIC_OFFSET"}, std::pair{"PTMAGIC", "PTMAGIC_OFFSET"}}) {
    const char* where = nullptr;
    std::size_t length = 0;
    if (blkid_probe_lookup_value(probe, offset, &where, nullptr) != 0) continue;
    if (blkid_probe_lookup_value(probe, magic, nullptr, &length) != 0 || length == 0) continue;
    return blkid_probe_hide_range(probe, std::strtoull(where, nullptr, 10), length) == 0 &&
           blkid_probe_step_back(probe) == 0;
  }
  return false;
}

// Calls `visit` for whatever is recognised, which makes the search go on behind it.
Result<void, std::string> search(
    blkid_probe probe,
    FunctionRef<Result<void, std::string>(const ForeignSignature&, blkid_probe)> visit) {
  for (int step = 0; step < most_signatures; ++step) {
    const int answer = blkid_do_probe(probe);
    if (answer == 1) return boost::outcome_v2::success();
    if (answer != 0) return unreadable();
    if (const auto found = found_by(probe)) {
      TRY(visit(*found, probe));
    }
  }
  return std::string("has more signatures on it than can be looked through");
}

Result<std::vector<ForeignSignature>, std::string> signatures_of(blkid_probe probe) {
  std::vector<ForeignSignature> all;
  const auto collect = [&all](const ForeignSignature& found,
                              blkid_probe at) -> Result<void, std::string> {
    if (std::find(all.begin(), all.end(), found) == all.end()) all.push_back(found);
    (void)hide_magic(at);
    return boost::outcome_v2::success();
  };
  TRY(search(probe, collect));
  // The protective record of a GPT is part of that.
  const bool has_gpt = std::any_of(all.begin(), all.end(),
                                   [](const ForeignSignature& each) { return each.type == "gpt"; });
  if (has_gpt) {
    std::erase_if(all, [](const ForeignSignature& each) { return each.type == "PMBR"; });
  }
  return all;
}

Result<void, std::string> add_partitions(int fd, DiskSignatures& signatures) {
  TRY(const Probe probe, probe_of(fd));
  blkid_partlist const list = blkid_probe_get_partitions(probe.get());
  if (list == nullptr) return boost::outcome_v2::success();
  const int count = std::min(blkid_partlist_numof_partitions(list), most_partitions);
  for (int at = 0; at < count; ++at) {
    blkid_partition const part = blkid_partlist_get_partition(list, at);
    if (part == nullptr || blkid_partition_is_extended(part) != 0) continue;
    ++signatures.partitions;
    const blkid_loff_t size = blkid_partition_get_size(part);
    if (size <= 0) continue;
    const auto inside =
        probe_of(fd, blkid_partition_get_start(part) * partition_unit, size * partition_unit);
    // One that ends behind the disk is not looked into; the table stands against it anyway.
    if (!inside) continue;
    const auto found = signatures_of(inside.value().get());
    if (!found) continue;
    signatures.in_partitions.insert(signatures.in_partitions.end(), found.value().begin(),
                                    found.value().end());
  }
  return boost::outcome_v2::success();
}

// By how its name is spoken.
const char* article(const std::string& type) {
  constexpr std::array spelled{"xfs", "f2fs", "ntfs", "hfs", "LVM", "mp"};
  const bool is_spelled = std::any_of(spelled.begin(), spelled.end(), [&type](const char* begin) {
    return type.starts_with(begin);
  });
  return is_spelled || std::string_view("aeioAEIO").find(type.front()) != std::string_view::npos
             ? "an "
             : "a ";
}

const char* kind_text(ForeignSignature::Kind kind) {
  switch (kind) {
    case ForeignSignature::Kind::file_system:
      return " file system";
    case ForeignSignature::Kind::partition_table:
      return " partition table";
    case ForeignSignature::Kind::raid:
    case ForeignSignature::Kind::encrypted:
    case ForeignSignature::Kind::other:
      return " signature";
  }
  return " signature";
}

}  // namespace

std::string text(const ForeignSignature& signature) {
  std::string sentence = article(signature.type) + signature.type + kind_text(signature.kind);
  if (!signature.label.empty()) sentence += " \"" + signature.label + "\"";
  if (!signature.uuid.empty()) sentence += " (UUID " + signature.uuid + ")";
  return sentence;
}

Result<DiskSignatures, std::string> read_signatures(int fd) {
  DiskSignatures signatures;
  TRY(const Probe probe, probe_of(fd));
  TRY(signatures.found, signatures_of(probe.get()));
  TRY(add_partitions(fd, signatures));
  return signatures;
}

Result<void, std::string> wipe_signatures(int fd,
                                          FunctionRef<bool(const ForeignSignature&)> may_wipe) {
  TRY(const Probe probe, probe_of(fd));
  const auto wipe = [&may_wipe](const ForeignSignature& found,
                                blkid_probe at) -> Result<void, std::string> {
    if (!may_wipe(found)) return "holds also " + text(found) + ", which must be named, too";
    if (blkid_do_wipe(at, /*dryrun=*/0) != 0) {
      return text(found) + " on it cannot be removed; remove it with wipefs";
    }
    return boost::outcome_v2::success();
  };
  const auto wiped = search(probe.get(), wipe);
  // Also what was removed before an error.
  if (fsync(fd) != 0) return "cannot be flushed: " + std::generic_category().message(errno);
  TRY(wiped);
  TRY(const DiskSignatures left, read_signatures(fd));
  if (left.found.empty()) return boost::outcome_v2::success();
  return "still holds " + text(left.found.front()) + "; remove it with wipefs";
}

}  // namespace engine
