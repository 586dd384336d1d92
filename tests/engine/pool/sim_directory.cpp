#include "tests/engine/pool/sim_directory.h"

#include <algorithm>
#include <cerrno>

namespace engine {

using boost::outcome_v2::success;

void SimDirectoryDisk::crash(SeededRandom& random) {
  for (const auto& operation : unsynced) {
    if (random.chance(1, 2)) continue;
    for (const Change& change : operation) {
      if (change.file) {
        durable_names[change.name] = *change.file;
      } else {
        durable_names.erase(change.name);
      }
    }
  }
  unsynced.clear();
  names = durable_names;
  for (auto& [number, file] : files) {
    if (!file.synced) file.length = random.below(file.length + 1);
    file.synced = true;
    if (!file.before) continue;
    file.before->resize(file.bytes.size());
    for (std::size_t at = 0; at < file.bytes.size(); at += sector_bytes) {
      if (random.chance(1, 2)) continue;
      const std::size_t count = std::min<std::size_t>(sector_bytes, file.bytes.size() - at);
      std::copy_n(file.before->begin() + static_cast<std::ptrdiff_t>(at), count,
                  file.bytes.begin() + static_cast<std::ptrdiff_t>(at));
    }
    file.before.reset();
  }
  locked = false;
}

SimDirectory::~SimDirectory() {
  if (holds_lock_) disk_.locked = false;
}

FileResult<void> SimDirectory::step() {
  if (++disk_.steps != fault_.step) return success();
  if (fault_.error == 0) throw SimCrash{};
  return FileError{fault_.error};
}

void SimDirectory::change(std::vector<SimDirectoryDisk::Change> changes) {
  for (const auto& one : changes) {
    if (one.file) {
      disk_.names[one.name] = *one.file;
    } else {
      disk_.names.erase(one.name);
    }
  }
  disk_.unsynced.push_back(std::move(changes));
}

std::uint64_t SimDirectory::create(const std::string& name) {
  const std::uint64_t file = ++disk_.last_file;
  disk_.files[file] = {};
  change({{.name = name, .file = file}});
  return file;
}

FileResult<std::vector<std::string>> SimDirectory::list() {
  TRY(step());
  std::vector<std::string> all;
  for (const auto& [name, file] : disk_.names) all.push_back(name);
  return all;
}

FileResult<std::vector<std::byte>> SimDirectory::read(const std::string& name, std::size_t limit) {
  TRY(step());
  const auto found = disk_.names.find(name);
  if (found == disk_.names.end()) return FileError{ENOENT};
  auto bytes = disk_.files[found->second].bytes;
  if (bytes.size() > limit) bytes.resize(limit);
  return bytes;
}

class SimDirectory::InPlace final : public PoolFile {
 public:
  InPlace(SimDirectory& directory, SimDirectoryDisk::File& file)
      : directory_(directory), file_(file) {}

  FileResult<std::size_t> read(MediaOffset offset, std::span<std::byte> bytes) override {
    TRY(directory_.step());
    if (offset.value >= file_.length) return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(bytes.size(), file_.length - offset.value);
    for (std::size_t at = 0; at < count; ++at) {
      const std::size_t from = offset.value + at;
      bytes[at] = from < file_.bytes.size() ? file_.bytes[from] : std::byte{};
    }
    return count;
  }
  FileResult<void> write(MediaOffset offset, std::span<const std::byte> bytes) override {
    if (!file_.before) file_.before = file_.bytes;
    if (file_.bytes.size() < offset.value + bytes.size()) {
      file_.bytes.resize(offset.value + bytes.size());
    }
    std::ranges::copy(bytes, file_.bytes.begin() + static_cast<std::ptrdiff_t>(offset.value));
    file_.length = std::max<std::uint64_t>(file_.length, file_.bytes.size());
    return directory_.step();
  }
  FileResult<void> zero(MediaOffset offset, ByteCount length) override {
    return write(offset, std::vector<std::byte>(static_cast<std::size_t>(length.value)));
  }
  FileResult<void> sync() override {
    TRY(directory_.step());
    file_.before.reset();
    file_.synced = true;
    return success();
  }

 private:
  SimDirectory& directory_;
  SimDirectoryDisk::File& file_;
};

FileResult<std::unique_ptr<PoolFile>> SimDirectory::open(const std::string& name) {
  TRY(step());
  const auto found = disk_.names.find(name);
  if (found == disk_.names.end()) return FileError{ENOENT};
  std::unique_ptr<PoolFile> opened = std::make_unique<InPlace>(*this, disk_.files[found->second]);
  return opened;
}

FileResult<void> SimDirectory::write(const std::string& name, std::span<const std::byte> bytes) {
  TRY(step());
  const auto found = disk_.names.find(name);
  const std::uint64_t number = found != disk_.names.end() ? found->second : create(name);
  // Truncated, then filled: the old contents are gone at once, the new come in any part.
  auto& file = disk_.files[number];
  const std::size_t part = random_.below(bytes.size() + 1);
  file.bytes.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(part));
  file.length = part;
  TRY(step());
  file.bytes.assign(bytes.begin(), bytes.end());
  file.length = bytes.size();
  return success();
}

FileResult<void> SimDirectory::allocate(const std::string& name, ByteCount size,
                                        Provisioning provisioning) {
  const bool is_sparse = provisioning == Provisioning::thin;
  TRY(step());
  if (disk_.names.contains(name)) return FileError{EEXIST};
  const std::uint64_t number = create(name);
  disk_.files[number].length = random_.below(size.value);
  const auto allocated = step();
  if (!allocated || (!is_sparse && size.value > disk_.free_bytes)) {
    change({{.name = name, .file = std::nullopt}});
    return allocated ? FileError{ENOSPC} : allocated.error();
  }
  disk_.files[number].length = size.value;
  disk_.files[number].synced = false;
  disk_.files[number].is_sparse = is_sparse;
  return success();
}

FileResult<void> SimDirectory::extend(const std::string& name, ByteCount from, ByteCount size,
                                      Provisioning provisioning) {
  const bool is_sparse = provisioning == Provisioning::thin;
  TRY(step());
  const auto found = disk_.names.find(name);
  if (found == disk_.names.end()) return FileError{ENOENT};
  auto& file = disk_.files[found->second];
  const std::uint64_t before = file.length;
  if (before < from.value) return FileError{EINVAL};
  file.length = std::max(before, from.value + random_.below((size - from).value));
  const auto extended = step();
  if (!extended || (!is_sparse && size.value - from.value > disk_.free_bytes)) {
    file.length = before;
    return extended ? FileError{ENOSPC} : extended.error();
  }
  file.length = std::max(before, size.value);
  return success();
}

FileResult<std::optional<ByteCount>> SimDirectory::size_of(const std::string& name) {
  TRY(step());
  const auto found = disk_.names.find(name);
  if (found == disk_.names.end()) return std::optional<ByteCount>();
  return std::optional(ByteCount{disk_.files[found->second].length});
}

FileResult<void> SimDirectory::rename(const std::string& from, const std::string& to,
                                      bool replace) {
  TRY(step());
  const auto found = disk_.names.find(from);
  if (found == disk_.names.end()) return FileError{ENOENT};
  if (!replace && disk_.names.contains(to)) return FileError{EEXIST};
  change({{.name = to, .file = found->second}, {.name = from, .file = std::nullopt}});
  return success();
}

FileResult<void> SimDirectory::remove(const std::string& name) {
  TRY(step());
  if (disk_.names.contains(name)) change({{.name = name, .file = std::nullopt}});
  return success();
}

FileResult<void> SimDirectory::sync() {
  TRY(step());
  disk_.unsynced.clear();
  disk_.durable_names = disk_.names;
  return success();
}

FileResult<void> SimDirectory::sync_allocated() {
  TRY(step());
  for (auto& [number, file] : disk_.files) file.synced = true;
  return success();
}

FileResult<ByteCount> SimDirectory::allocated(const std::string& name) {
  TRY(const auto size, size_of(name));
  const auto found = disk_.names.find(name);
  if (found != disk_.names.end() && disk_.files[found->second].is_sparse) return ByteCount{};
  return size.value_or(ByteCount{});
}

FileResult<PoolDirectory::LockAnswer> SimDirectory::lock(const std::string& name,
                                                         const PoolDirectory*) {
  TRY(step());
  if (disk_.locked) return LockAnswer{.locked = false, .holder = 4711};
  if (!disk_.names.contains(name)) (void)create(name);
  disk_.locked = true;
  holds_lock_ = true;
  return LockAnswer{.locked = true};
}

}  // namespace engine
