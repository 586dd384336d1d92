// Which block it was, after a media error.
#include "target/scsi/block_commands.h"
#include "target/scsi/itl_nexus.h"

namespace target::scsi {

namespace sense = protocol::scsi::sense;
using engine::IoStatus;

// INFORMATION tells the host the first block that cannot be read: it takes what lies before, or
// repairs it. The engine says only that there is one among those asked for; so it is looked for.
// `rest` holds the first bad one, and nothing before it is bad.
void BlockCommands::find_bad_block(Task& task) {
  TaskCounters::add(task.itl->counters.media_errors);
  task.rest = {task.request.io.lba, task.request.io.lba + task.request.io.blocks};
  bad_block_probed(task.request, IoStatus::ok);
}

void BlockCommands::bad_block_probed(Request& request, IoStatus outcome) noexcept {
  Task& task = task_of(request);
  BlockCommands& self = BlockCommands::self(request);
  const engine::Lba probed = request.io.lba + request.io.blocks;
  if (outcome == IoStatus::media_error) {
    task.rest.end = probed;
  } else if (outcome != IoStatus::ok) {
    return self.finish(task, sense::unrecovered_read_error);
  } else if (probed < task.rest.end) {
    task.rest.begin = probed;
  }
  const std::uint64_t blocks = (task.rest.end - task.rest.begin).value;
  if (blocks == 1 || task.aborted) {
    return self.finish(task, sense::unrecovered_read_error.with_information(task.rest.begin.value));
  }
  request.io.kind = engine::VolumeIo::Kind::verify;
  request.io.lba = task.rest.begin;
  request.io.blocks = engine::BlockCount{blocks / 2};
  request.io.data = {};
  request.io.sums = {};
  if (!self.requests_.submit_verify(request, &bad_block_probed)) {
    self.finish(task, sense::unrecovered_read_error);
  }
}

}  // namespace target::scsi
