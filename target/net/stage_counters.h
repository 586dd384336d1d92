// StageCounters: where the reads and writes of one reactor spend their time.
#pragma once

#include "target/reactor/latency_counters.h"

namespace target {

// By the reactor's turns: what begins and ends in one of them took nothing.
struct StageCounters {
  LatencyCounters receive;  // until all of its data and a buffer are there
  LatencyCounters engine;   // until its volume has done it: order, cache, commit, disks
  LatencyCounters send;     // until the end of the turn that has handed its answer to the socket
};

}  // namespace target
