#include "engine/media/backing_device.h"

#include <cerrno>

namespace engine {

const char* text(IoStatus status) {
  switch (status) {
    case IoStatus::ok:
      return "ok";
    case IoStatus::media_error:
      return "media error";
    case IoStatus::out_of_range:
      return "out of range";
    case IoStatus::capacity_exceeded:
      return "capacity exceeded";
    case IoStatus::unavailable:
      return "unavailable";
    case IoStatus::sync_failed:
      return "an earlier flush failed";
    case IoStatus::cancelled:
      return "cancelled";
    case IoStatus::timed_out:
      return "timed out";
    case IoStatus::read_only:
      return "read-only";
    case IoStatus::no_room:
      return "no room";
    case IoStatus::no_answer:
      return "no answer";
    case IoStatus::formatting:
      return "being formatted";
  }
  return "unknown";
}

IoStatus io_status_of_errno(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return IoStatus::capacity_exceeded;
    case EROFS:
    case EPERM:
    case EACCES:
      return IoStatus::read_only;
    case ETIMEDOUT:
    case ETIME:
      return IoStatus::timed_out;
    case ECANCELED:
      return IoStatus::cancelled;
    case ENODEV:
    case ENXIO:
    case ESHUTDOWN:
    case ENOLINK:
    case ESTALE:
    case EAGAIN:
    case ENOMEM:
      return IoStatus::unavailable;
    default:
      return IoStatus::media_error;
  }
}

}  // namespace engine
