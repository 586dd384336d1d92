// What durable 4 KiB writes to a cache in an ordinary file cost, beside pwrite and fdatasync.
#pragma once

#include <string>

namespace engine {

// Prints the figures of page granularity. `directory`: where the files go, on an ordinary file
// system; nothing is left behind.
void measure_pages(const std::string& directory);

}  // namespace engine
