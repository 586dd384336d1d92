// Making a directory a pool.
#include <algorithm>
#include <utility>

#include "engine/pool/file_pool.h"
#include "engine/pool/pool_files.h"

namespace engine {

using Kind = PoolError::Kind;

Result<Uuid, PoolError> init_file_pool(const std::string& directory) {
  auto opened = open_pool_directory(directory);
  if (!opened) return pool_opening_error(directory, opened.error());
  return init_file_pool(*opened.value());
}

Result<Uuid, PoolError> init_file_pool(PoolDirectory& directory) {
  const auto names = directory.list();
  if (!names) return pool_io_error(directory, "cannot be listed", names.error());
  const auto is = [&names](const std::string& name) {
    return std::find(names.value().begin(), names.value().end(), name) != names.value().end();
  };
  if (is(pool_label_name)) {
    const auto label = read_pool_label(directory);
    return PoolError{Kind::already_labelled,
                     directory.path() + " is a pool already" +
                         (label ? " (" + label.value().pool_uuid.text() + ")" : "") + "; refused"};
  }
  for (const std::string& name : names.value()) {
    const bool own =
        name == volume_table_names[0] || name == volume_table_names[1] || is_temporary_name(name);
    if (own) {  // of an interrupted init: then no volume was ever made
      const auto bytes = directory.read(name, longest_volume_table());
      const auto table =
          bytes ? decode_volume_table(bytes.value()) : PoolError{Kind::io, bytes.error().text()};
      if (!table || table.value().records.empty()) continue;
    }
    if (name != "lost+found") {
      return PoolError{Kind::not_empty, directory.path() + " is not empty (\"" + name +
                                            "\"); refused: a pool needs a directory of its own"};
    }
  }
  // The label comes last: with it the pool is whole.
  const Uuid uuid = Uuid::random();
  const auto bytes = encode(PoolLabel{.pool_uuid = uuid, .created_ms = wall_clock_ms()});
  auto written = write_volume_table(directory, {.pool_uuid = uuid, .sequence = 1, .records = {}});
  if (written) written = directory.write(temporary_name(pool_label_name), bytes);
  if (written)
    written = directory.rename(temporary_name(pool_label_name), pool_label_name, /*replace=*/false);
  if (written) written = directory.sync();
  if (!written) return pool_io_error(directory, "cannot be made a pool", written.error());
  return uuid;
}

}  // namespace engine
