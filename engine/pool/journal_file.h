// The file beside an image that holds the batch of write-back which is on its way to it.
// docs/pool-format.md, "Journal".
#pragma once

#include <span>
#include <string>

#include "engine/foundation/function_ref.h"
#include "engine/media/backing_journal.h"
#include "engine/pool/pool_directory.h"
#include "engine/pool/pool_error.h"

namespace engine {

// No image is called so: their names end in .raw.
[[nodiscard]] inline std::string journal_name(const std::string& image) {
  return image + ".journal";
}
// Has its space from the beginning: a batch of the largest usual size. It grows where that is not
// enough, and stays so.
inline constexpr ByteCount journal_room = 72_MiB;
inline constexpr ByteCount most_frame_bytes = 2_MiB;

// Fills the head of the frame in io.buffer; everything else of it is there.
void encode_journal_head(const JournalIo& io);

// Calls `visit` for each piece of the batch that `mark` (journalled) speaks of, in order, with its
// data (empty: zeros), which is whole; stops with the error that it returns. Errors: damaged (the
// file is not that batch: some pieces may have been visited before), io.
using JournalVisitor =
    FunctionRef<Result<void, PoolError>(const JournalPiece&, std::span<const std::byte>)>;
[[nodiscard]] Result<void, PoolError> read_journal(PoolFile& journal, const BackingMark& mark,
                                                   JournalVisitor visit);

// Brings an image of `size`, to which nobody writes, to the moment `mark.to`; durable on return.
// May be repeated, also after a crash in the middle. Errors: damaged, io; damaged: nothing has been
// changed.
[[nodiscard]] Result<void, PoolError> apply_journal(PoolFile& journal, PoolFile& image,
                                                    ByteCount size, const BackingMark& mark);

}  // namespace engine
