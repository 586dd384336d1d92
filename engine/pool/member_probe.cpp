#include "engine/pool/member_probe.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "engine/format/cache_format.h"
#include "engine/format/device_pool_format.h"
#include "engine/format/pool_format.h"
#include "engine/media/file_descriptor.h"

namespace engine {
namespace {

using Kind = PoolError::Kind;

PoolError because(const std::string& path, const char* what, int error) {
  const Kind kind = error == ENOENT || error == ENXIO || error == ENODEV ? Kind::missing : Kind::io;
  return {kind, path + " " + what + ": " + std::generic_category().message(error)};
}

// `flags` beside O_RDONLY or O_RDWR. An exclusive open of a block device that somebody else has
// fails; of a regular file O_EXCL means nothing.
Result<FileDescriptor, int> open_member(const std::string& path, int flags) {
  FileDescriptor file(open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file) return errno;
  return file;
}

MemberProbe::Ours ours_on(int fd) {
  std::array<char, format::pool_label_magic.size()> magic{};
  if (pread(fd, magic.data(), magic.size(), 0) != static_cast<ssize_t>(magic.size())) {
    return MemberProbe::Ours::nothing;
  }
  if (magic == format::pool_label_magic) return MemberProbe::Ours::pool_label;
  if (magic == format::member_label_magic) return MemberProbe::Ours::member_label;
  if (magic == format::cache_magic) return MemberProbe::Ours::cache_device;
  return MemberProbe::Ours::nothing;
}

Result<void, PoolError> measure_device(int fd, MemberProbe& probe) {
  std::uint64_t bytes = 0;
  int logical = 0;
  unsigned physical = 0;
  int read_only = 0;
  if (ioctl(fd, BLKGETSIZE64, &bytes) != 0 || ioctl(fd, BLKSSZGET, &logical) != 0 ||
      ioctl(fd, BLKPBSZGET, &physical) != 0 || ioctl(fd, BLKROGET, &read_only) != 0) {
    return because(probe.path, "cannot be measured", errno);
  }
  probe.size = {bytes};
  probe.logical_block_bytes = static_cast<std::uint32_t>(logical);
  probe.physical_block_bytes = physical;
  probe.is_read_only = read_only != 0;
  return boost::outcome_v2::success();
}

Result<MemberProbe, PoolError> probe_open(const std::string& path, int fd,
                                          const SystemRoots& roots) {
  MemberProbe probe;
  probe.path = path;
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  probe.node = error ? path : real.string();
  struct stat status {};
  if (fstat(fd, &status) != 0) return because(path, "cannot be examined", errno);
  if (S_ISBLK(status.st_mode)) {
    probe.kind = MemberProbe::Kind::block_device;
    TRY(measure_device(fd, probe));
    if (const auto device = SysBlock::find(status.st_rdev, roots)) {
      probe.identity = identity_of(*device, roots);
      probe.uses = uses_of(*device, roots);
      probe.is_host_managed = device->disk().attribute("queue/zoned") == "host-managed";
      for (const SysBlock& part : device->partitions()) probe.partitions.push_back(part.name());
    }
  } else if (S_ISREG(status.st_mode)) {
    probe.size = {static_cast<std::uint64_t>(status.st_size)};
    probe.uses = uses_of(status, roots);
    // Root may write whatever the mode says, but not to a file system that is read-only.
    probe.is_read_only = faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0;
  } else {
    return PoolError{Kind::io, path + " is neither a block device nor a regular file"};
  }
  if (probe.size.value == 0) return PoolError{Kind::io, path + " is empty: it has no bytes"};
  probe.ours = ours_on(fd);
  auto signatures = read_signatures(fd);
  if (!signatures) return PoolError{Kind::io, probe.name() + " " + signatures.error()};
  probe.signatures = std::move(signatures.value());
  return probe;
}

// As much as a disk that becomes a member must have of zeros at either end.
constexpr std::uint64_t zeroed_bytes = std::uint64_t{1} << 20;

Result<void, int> write_zeros(int fd, std::uint64_t from, std::uint64_t end) {
  const std::vector<std::byte> zeros(static_cast<std::size_t>(end - from));
  while (from < end) {
    const ssize_t count =
        pwrite(fd, zeros.data(), static_cast<std::size_t>(end - from), static_cast<off_t>(from));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? errno : EIO;
    from += static_cast<std::uint64_t>(count);
  }
  return boost::outcome_v2::success();
}

Result<void, int> zero_ends(int fd, std::uint64_t size) {
  const std::uint64_t part = std::min(size, zeroed_bytes);
  TRY(write_zeros(fd, 0, part));
  TRY(write_zeros(fd, size - part, size));
  if (fsync(fd) != 0) return errno;
  return boost::outcome_v2::success();
}

std::string with_part(const MemberProbe& probe, const DiskUse& use) {
  const bool is_part = !use.device.empty() && use.device != probe.identity.kernel_name;
  return is_part ? " (" + use.device + ")" : "";
}

std::string text(const MemberProbe& probe, const DiskUse& use) {
  switch (use.kind) {
    case DiskUse::Kind::boot:
      return "is what this system runs from: " + use.what + " is on " + use.device;
    case DiskUse::Kind::mounted:
      return "is mounted at " + use.what + with_part(probe, use);
    case DiskUse::Kind::swap:
      return "is in use as swap" + with_part(probe, use);
    case DiskUse::Kind::held:
      return "is held by " + use.what + with_part(probe, use);
  }
  return "is in use";
}

std::string contents(const MemberProbe& probe, const ForeignSignature& signature) {
  std::string sentence = "holds " + text(signature);
  if (signature.kind != ForeignSignature::Kind::partition_table) return sentence;
  const std::size_t count = probe.signatures.partitions;
  if (count != 0) {
    sentence += " with " + std::to_string(count) + (count == 1 ? " partition" : " partitions");
  }
  const char* separator = ", in it: ";
  for (const ForeignSignature& inside : probe.signatures.in_partitions) {
    sentence += separator + text(inside);
    separator = ", ";
  }
  return sentence;
}

bool names(std::span<const std::string> permitted, const std::string& permission) {
  return std::find(permitted.begin(), permitted.end(), permission) != permitted.end();
}

bool has_partition_table(const DiskSignatures& signatures) {
  return std::any_of(signatures.found.begin(), signatures.found.end(),
                     [](const ForeignSignature& each) {
                       return each.kind == ForeignSignature::Kind::partition_table;
                     });
}

}  // namespace

std::string MemberProbe::name() const {
  if (kind == Kind::regular_file) return path;
  std::string known;
  if (!identity.links.empty()) {
    known = identity.links.front();
  } else if (!identity.serial.empty()) {
    known = identity.model.empty() ? identity.serial : identity.model + " " + identity.serial;
  }
  return known.empty() ? node : known + " (" + node + ")";
}

Result<MemberProbe, PoolError> probe_member(const std::string& path, const SystemRoots& roots) {
  const auto exclusive = open_member(path, O_RDONLY | O_EXCL);
  if (exclusive) return probe_open(path, exclusive.value().get(), roots);
  if (exclusive.error() != EBUSY) return because(path, "cannot be opened", exclusive.error());
  const auto shared = open_member(path, O_RDONLY);
  if (!shared) return because(path, "cannot be opened", shared.error());
  TRY(auto probe, probe_open(path, shared.value().get(), roots));
  probe.is_exclusively_open = true;
  return probe;
}

std::string permission_for(const MemberProbe& probe, const ForeignSignature& signature) {
  if (!signature.uuid.empty()) return signature.uuid;
  const std::string& serial = probe.identity.serial;
  return signature.type + "@" + (serial.empty() ? probe.path : serial);
}

std::optional<std::string> refusal(const MemberProbe& probe,
                                   std::span<const std::string> permitted) {
  const std::string name = probe.name();
  if (!probe.uses.empty()) return name + " " + text(probe, probe.uses.front()) + "; refused.";
  if (probe.is_read_only) return name + " is read-only; refused.";
  if (probe.is_exclusively_open) {
    return name +
           " is held exclusively by another program, or mounted where this one does not "
           "see it; refused.";
  }
  if (probe.is_host_managed) {
    return name + " is a host-managed zoned disk, which cannot be written at any place; refused.";
  }
  if (probe.ours == MemberProbe::Ours::cache_device) {
    return name +
           " is a cache device of Forebay, which may hold data that nobody else has; "
           "refused. Inspect: forebay-media inspect " +
           probe.path;
  }
  std::string missing;
  std::string unpermitted;
  for (const ForeignSignature& signature : probe.signatures.found) {
    const std::string permission = permission_for(probe, signature);
    if (names(permitted, permission)) continue;
    unpermitted += (unpermitted.empty() ? "" : "; it ") + contents(probe, signature);
    missing += " --overwrite " + permission;
  }
  if (!missing.empty()) {
    return name + " " + unpermitted + "; refused. If it may be destroyed, add" + missing;
  }
  // Whose table somebody has overwritten, or that were made by hand.
  if (!probe.partitions.empty() && !has_partition_table(probe.signatures)) {
    return name + " has the partition " + probe.partitions.front() +
           " but no partition table that is known; refused. Should that be stale: blockdev "
           "--rereadpt " +
           probe.node;
  }
  return std::nullopt;
}

std::string foreign_contents(const std::string& path) {
  const auto file = open_member(path, O_RDONLY);
  if (!file) return {};
  auto signatures = read_signatures(file.value().get());
  if (!signatures) return {};
  MemberProbe probe;
  probe.signatures = std::move(signatures.value());
  std::string all;
  for (const ForeignSignature& signature : probe.signatures.found) {
    all += (all.empty() ? " It " : "; it ") + contents(probe, signature);
  }
  return all.empty() ? all : all + ".";
}

Result<void, PoolError> wipe_member(const std::string& path, std::span<const std::string> permitted,
                                    const SystemRoots& roots) {
  const auto file = open_member(path, O_RDWR | O_EXCL);
  if (!file) {
    // Who has it, or that it is read-only, says the probe.
    TRY(const MemberProbe probe, probe_member(path, roots));
    if (auto refused = refusal(probe, permitted)) return PoolError{Kind::not_empty, *refused};
    return because(path, "cannot be opened for writing", file.error());
  }
  const int fd = file.value().get();
  TRY(const MemberProbe probe, probe_open(path, fd, roots));
  if (auto refused = refusal(probe, permitted)) return PoolError{Kind::not_empty, *refused};
  if (probe.signatures.found.empty()) return boost::outcome_v2::success();

  const bool had_gpt = std::any_of(probe.signatures.found.begin(), probe.signatures.found.end(),
                                   [](const ForeignSignature& each) { return each.type == "gpt"; });
  const auto may_wipe = [&](const ForeignSignature& signature) {
    return names(permitted, permission_for(probe, signature)) ||
           (had_gpt && signature.type == "PMBR");
  };
  const auto wiped = wipe_signatures(fd, may_wipe);
  if (!wiped) return PoolError{Kind::io, probe.name() + " " + wiped.error()};
  if (const auto zeroed = zero_ends(fd, probe.size.value); !zeroed) {
    return because(probe.name(), "cannot be written", zeroed.error());
  }
  if (!probe.partitions.empty() && ioctl(fd, BLKRRPART) != 0) {
    return because(probe.name(), "keeps its partitions", errno);
  }
  return boost::outcome_v2::success();
}

}  // namespace engine
