#include "engine/media/pmem_error.h"

namespace engine {

const char* text(PmemError error) {
  switch (error) {
    case PmemError::not_found:
      return "no such file or device";
    case PmemError::no_permission:
      return "no permission";
    case PmemError::not_supported:
      return "not supported";
    case PmemError::already_there:
      return "there is something of that name";
    case PmemError::no_space:
      return "not enough space";
    case PmemError::sparse:
      return "the file is not fully written";
    case PmemError::too_small:
      return "too small";
    case PmemError::granularity_insufficient:
      return "granularity is coarser than required";
    case PmemError::in_use:
      return "in use";
    case PmemError::io:
      return "the system reports an error";
    case PmemError::media_error:
      return "media error";
    case PmemError::sync_failed:
      return "a sync failed";
    case PmemError::out_of_range:
      return "out of range";
  }
  return "unknown";
}

}  // namespace engine
