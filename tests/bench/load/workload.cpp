#include "tests/bench/load/workload.h"

namespace bench {

Operation Workload::next() {
  Operation operation;
  operation.read =
      read_percent_ == 100 || (read_percent_ != 0 && random_.below(100) < read_percent_);
  if (pattern_ == Pattern::random) {
    operation.unit = region_.first + random_.below(region_.units);
  } else {
    operation.unit = region_.first + next_;
    next_ = next_ + 1 == region_.units ? 0 : next_ + 1;
  }
  return operation;
}

}  // namespace bench
