// The guard removed: writes never wait for each other. io_queue_test must then see old data come
// back.
#include "target/block/write_order.h"

namespace target::block {

bool WriteOrder::enter(OrderedWrite&) { return true; }
void WriteOrder::leave(OrderedWrite&) {}
bool WriteOrder::cancel(OrderedWrite&) { return false; }
bool WriteOrder::idle() const { return true; }

}  // namespace target::block
