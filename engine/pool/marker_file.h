// The file beside an image that says which moment of its volume the image holds.
// docs/pool-format.md, "Marker".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/media/backing_marker.h"
#include "engine/pool/pool_directory.h"
#include "engine/pool/pool_error.h"

namespace engine {

inline constexpr std::size_t marker_slot_bytes = 4096;
inline constexpr std::size_t marker_bytes = 2 * marker_slot_bytes;
// Of a batch in a journal, and of what lies before it: no marker that says more is believed.
inline constexpr ByteCount most_journal_bytes{std::uint64_t{1} << 50};

// No image is called so: their names end in .raw.
[[nodiscard]] inline std::string marker_name(const std::string& image) { return image + ".marker"; }

struct StoredMark {
  BackingMark mark;
  std::uint64_t sequence = 0;
  friend bool operator==(const StoredMark&, const StoredMark&) = default;
};

// For the operator: what the image, with its journal, is without `cache`, and how much is lost with
// that, as far as it was written down. "as it was at ... . Lost with it: ... ."
[[nodiscard]] std::string what_is_left(const BackingMark& mark, const Uuid& cache);

// One of the two slots.
[[nodiscard]] std::vector<std::byte> encode_marker_slot(const StoredMark& stored, unsigned slot);
// The whole file: what the newest whole slot says. Slot 0 is durable before slot 1 is written, so
// whichever is not whole, the other one holds. Errors: damaged (neither is whole; another volume's;
// impossible), unsupported (either; a newer one must not be overwritten).
[[nodiscard]] Result<StoredMark, PoolError> decode_marker(std::span<const std::byte> bytes,
                                                          const Uuid& volume);

// nullopt: there is no such file. Errors: as above, io.
[[nodiscard]] Result<std::optional<StoredMark>, PoolError> read_marker(PoolDirectory& directory,
                                                                       const std::string& image,
                                                                       const Uuid& volume);
// Makes the file, or replaces it as a whole; durable on return. Errors: no_space, io.
[[nodiscard]] Result<void, PoolError> make_marker(PoolDirectory& directory,
                                                  const std::string& image,
                                                  const StoredMark& stored);

}  // namespace engine
