// The files of a pool beside its images: their names, and reading and replacing them whole.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "engine/pool/member_state.h"
#include "engine/pool/pool_directory.h"
#include "engine/pool/pool_error.h"
#include "engine/pool/pool_label.h"
#include "engine/pool/volume_table.h"

namespace engine {

inline constexpr const char* pool_label_name = "forebay-pool.label";
inline constexpr const char* pool_lock_name = "forebay-pool.lock";
inline constexpr std::array<const char*, 2> volume_table_names{"forebay-pool.volumes.0",
                                                               "forebay-pool.volumes.1"};

// What a file is called until it is whole; and whether `name` may be such a name.
[[nodiscard]] std::string temporary_name(const std::string& name);
[[nodiscard]] bool is_temporary_name(const std::string& name);

// How long the image of a volume of so much is at least: file systems differ in how a file may end,
// and whole blocks of 4096 bytes suit all of them.
[[nodiscard]] ByteCount image_length(ByteCount size);

// Replaces the whole file, or leaves the old one: durable on return.
[[nodiscard]] FileResult<void> replace_file(PoolDirectory& directory, const std::string& name,
                                            std::span<const std::byte> bytes);

// Milliseconds since 1970-01-01 UTC.
[[nodiscard]] std::uint64_t wall_clock_ms();

// "PATH: what: the error's text"; no_space for ENOSPC and EDQUOT, else io.
[[nodiscard]] PoolError pool_io_error(const PoolDirectory& directory, const std::string& what,
                                      FileError error);
// For a directory that cannot even be opened: missing or io.
[[nodiscard]] PoolError pool_opening_error(const std::string& path, FileError error);

// Errors: not_labelled, wrong_pool (another than `expected`), damaged, unsupported, io.
[[nodiscard]] Result<PoolLabel, PoolError> read_pool_label(PoolDirectory& directory,
                                                           std::optional<Uuid> expected = {});
// The newest valid replica; equal in both on return. `healed`: told of one that was none, which no
// crash leaves: files are replaced whole. Errors: damaged (both), unsupported (either), io.
[[nodiscard]] Result<VolumeTable, PoolError> read_volume_table(PoolDirectory& directory,
                                                               const Uuid& pool,
                                                               HealedReplicas* healed = nullptr);
// The same, and nothing is repaired.
[[nodiscard]] Result<VolumeTable, PoolError> peek_volume_table(PoolDirectory& directory,
                                                               const Uuid& pool);
// Both replicas, one after the other, so that a good one exists at every moment; durable on return.
// After an error either may be old or new.
[[nodiscard]] FileResult<void> write_volume_table(PoolDirectory& directory,
                                                  const VolumeTable& table);

}  // namespace engine
