#include "engine/pool/file_journal.h"

#include "engine/pool/pool_files.h"

namespace engine {
namespace {

using boost::outcome_v2::success;

// Its name is durable, and so is its space; what it holds does not count until a marker says so.
Result<void, PoolError> make_room(PoolDirectory& directory, const std::string& name) {
  const auto has = directory.size_of(name);
  if (!has) return pool_io_error(directory, name, has.error());
  if (has.value() && *has.value() >= journal_room) return success();
  FileResult<void> made = success();
  if (has.value()) {
    made = directory.extend(name, *has.value(), journal_room, Provisioning::thick);
  } else {
    made = directory.allocate(name, journal_room, Provisioning::thick);
    if (made) made = directory.sync_allocated();
  }
  if (made) made = directory.sync();
  if (!made) return pool_io_error(directory, name + " cannot be made", made.error());
  return success();
}

}  // namespace

Result<std::unique_ptr<FileJournal>, PoolError> FileJournal::open(PoolDirectory& directory,
                                                                  const std::string& image,
                                                                  IoSource source) {
  const std::string name = journal_name(image);
  TRY(make_room(directory, name));
  const std::string path = directory.path() + "/" + name;
  auto file = OpenFile::open(path, journal_room);
  if (!file) return PoolError{PoolError::Kind::io, path + ": " + file.error()};
  return std::make_unique<FileJournal>(std::move(file.value()), source);
}

void FileJournal::submit(IoLane& lane, JournalIo& io) {
  io.file = {.fd = file_.fd(), .source = source_, .context = &io};
  if (io.kind == JournalIo::Kind::sync) {
    io.file.kind = FileOperation::Kind::sync;
  } else {
    encode_journal_head(io);
    io.file.kind = FileOperation::Kind::write;
    io.file.offset = io.place;
    io.file.buffer = io.buffer;
  }
  io.file.done = [](FileOperation& operation, int result) noexcept {
    auto& ended = *static_cast<JournalIo*>(operation.context);
    if (result < 0) return ended.done(ended, io_status_of_errno(-result));
    // Of what a file system that becomes full has taken a part.
    const bool is_short = static_cast<std::size_t>(result) < operation.buffer.size();
    ended.done(ended, is_short ? IoStatus::capacity_exceeded : IoStatus::ok);
  };
  lane.start(io.file);
}

}  // namespace engine
