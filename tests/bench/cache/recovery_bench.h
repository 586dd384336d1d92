// How fast logs become indexes again, by one thread and by two.
#pragma once

namespace engine {

void measure_recovery();

}  // namespace engine
