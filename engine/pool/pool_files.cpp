#include "engine/pool/pool_files.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "engine/foundation/clock.h"

namespace engine {
namespace {

using Kind = PoolError::Kind;

PoolError at(const PoolDirectory& directory, PoolError error) {
  return {error.kind, directory.path() + ": " + error.text};
}

struct ReplicaState {
  std::optional<VolumeTable> table;
  std::optional<PoolError> error;  // why there is none
};

Result<ReplicaState, PoolError> read_replica(PoolDirectory& directory, const char* name,
                                             const Uuid& pool) {
  const auto bytes = directory.read(name, longest_volume_table());
  ReplicaState state;
  if (!bytes) {
    if (bytes.error().code != ENOENT) return pool_io_error(directory, name, bytes.error());
    state.error = PoolError{Kind::damaged, std::string("there is no ") + name};
    return state;
  }
  auto table = decode_volume_table(bytes.value());
  if (!table) {
    // What a newer version has written must not be overwritten from an older replica.
    if (table.error().kind == Kind::unsupported) return at(directory, table.error());
    state.error = table.error();
  } else if (table.value().pool_uuid != pool) {
    state.error = PoolError{
        Kind::damaged, std::string(name) + " belongs to pool " + table.value().pool_uuid.text()};
  } else {
    state.table = std::move(table.value());
  }
  return state;
}

}  // namespace

std::string temporary_name(const std::string& name) { return "." + name + ".new"; }
bool is_temporary_name(const std::string& name) {
  return name.size() > 5 && name.front() == '.' && name.ends_with(".new");
}

ByteCount image_length(ByteCount size) {
  constexpr std::uint64_t block = 4096;
  return {(size.value + block - 1) / block * block};
}

FileResult<void> replace_file(PoolDirectory& directory, const std::string& name,
                              std::span<const std::byte> bytes) {
  TRY(directory.write(temporary_name(name), bytes));
  TRY(directory.rename(temporary_name(name), name, /*replace=*/true));
  return directory.sync();
}

std::uint64_t wall_clock_ms() {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, SystemClock().wall().count()));
}

PoolError pool_io_error(const PoolDirectory& directory, const std::string& what, FileError error) {
  const bool full = error.code == ENOSPC || error.code == EDQUOT;
  return {full ? Kind::no_space : Kind::io, directory.path() + ": " + what + ": " + error.text()};
}

PoolError pool_opening_error(const std::string& path, FileError error) {
  if (error.code == ENOENT) {
    return {Kind::missing, path + " does not exist; is the file system mounted?"};
  }
  return {Kind::io, path + " cannot be opened: " + error.text()};
}

FileResult<void> write_volume_table(PoolDirectory& directory, const VolumeTable& table) {
  const auto bytes = encode(table);
  const std::size_t first = table.sequence % 2;
  TRY(replace_file(directory, volume_table_names[first], bytes));
  return replace_file(directory, volume_table_names[1 - first], bytes);
}

Result<PoolLabel, PoolError> read_pool_label(PoolDirectory& directory,
                                             std::optional<Uuid> expected) {
  const auto bytes = directory.read(pool_label_name, 4097);
  if (!bytes) {
    if (bytes.error().code != ENOENT)
      return pool_io_error(directory, pool_label_name, bytes.error());
    return PoolError{Kind::not_labelled,
                     "no Forebay label in " + directory.path() +
                         (expected ? " (expected pool " + expected->text() + ")" : "") +
                         "; is the file system mounted? (A new pool is made with: "
                         "forebayctl pool init " +
                         directory.path() + ")"};
  }
  auto label = decode_pool_label(bytes.value());
  if (!label) return at(directory, label.error());
  if (expected && *expected != label.value().pool_uuid) {
    return PoolError{Kind::wrong_pool,
                     directory.path() + " holds pool " + label.value().pool_uuid.text() +
                         ", expected " + expected->text() + "; is the right file system mounted?"};
  }
  return label;
}

namespace {

struct ChosenTable {
  VolumeTable table;
  const char* stale_replica = nullptr;  // the one to be repaired; null if both are equal
  std::string damage{};                 // what is wrong with that; empty: it is older
};

Result<ChosenTable, PoolError> choose_volume_table(PoolDirectory& directory, const Uuid& pool) {
  std::array<ReplicaState, 2> replicas;
  for (std::size_t at_replica = 0; at_replica < 2; ++at_replica) {
    TRY(replicas[at_replica], read_replica(directory, volume_table_names[at_replica], pool));
  }
  auto& [first, second] = replicas;
  if (!first.table && !second.table) {
    return at(directory,
              {Kind::damaged, first.error->text + ", and so is its replica; restore one of them (" +
                                  volume_table_names[0] + ", " + volume_table_names[1] +
                                  ") from a backup; the images are untouched"});
  }
  const bool use_second =
      !first.table || (second.table && second.table->sequence > first.table->sequence);
  const bool equal = first.table == second.table;
  const auto& stale = use_second ? first : second;
  return ChosenTable{.table = use_second ? *second.table : *first.table,
                     .stale_replica = equal ? nullptr : volume_table_names[use_second ? 0 : 1],
                     .damage = stale.error ? stale.error->text : std::string()};
}

}  // namespace

Result<VolumeTable, PoolError> read_volume_table(PoolDirectory& directory, const Uuid& pool,
                                                 HealedReplicas* healed) {
  TRY(auto chosen, choose_volume_table(directory, pool));
  if (chosen.stale_replica != nullptr) {
    const auto written = replace_file(directory, chosen.stale_replica, encode(chosen.table));
    if (!written)
      return pool_io_error(directory, "the volume table cannot be repaired", written.error());
    if (healed != nullptr && !chosen.damage.empty()) {
      ++healed->rotten;
      healed->texts.push_back(directory.path() + ": a replica of the volume table was damaged (" +
                              chosen.damage +
                              "); the other one serves, and it has been written anew; look at the "
                              "disk");
    }
  }
  return std::move(chosen.table);
}

Result<VolumeTable, PoolError> peek_volume_table(PoolDirectory& directory, const Uuid& pool) {
  TRY(auto chosen, choose_volume_table(directory, pool));
  return std::move(chosen.table);
}

}  // namespace engine
