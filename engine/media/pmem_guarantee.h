// PmemGuarantee: what a region of persistent memory really promises, as detected, and as an
// operator reads it.
#pragma once

#include <cstdint>
#include <string>

namespace engine {

// What becomes persistent at a time, finest first.
enum class PmemGranularity : std::uint8_t {
  byte,        // CPU caches survive power loss (eADR)
  cache_line,  // what was flushed from the CPU cache, or went round it, survives
  page,        // only what was written to the file and synced survives
};
[[nodiscard]] const char* text(PmemGranularity granularity);

enum class PmemMedium : std::uint8_t {
  devdax,      // a character device of persistent memory
  fsdax_file,  // a file that is mapped without page cache (dax)
  tmpfs,       // a file in DRAM: outlives the process, not the power
  file,        // an ordinary file, through the page cache
  anonymous,   // memory of this process
};
[[nodiscard]] const char* text(PmemMedium medium);

struct PmemGuarantee {
  PmemGranularity granularity = PmemGranularity::page;
  PmemMedium medium = PmemMedium::file;
  // The granularity is claimed, not true: forced by PMEM2_FORCE_GRANULARITY, or plain memory.
  bool emulated = false;

  // Whether what a fence or sync has promised is there after power loss.
  [[nodiscard]] bool survives_power_loss() const {
    return !emulated && medium != PmemMedium::tmpfs && medium != PmemMedium::anonymous;
  }
  // "cache line (devdax)", "cache line (emulated on tmpfs, not durable)".
  [[nodiscard]] std::string text() const;
  friend bool operator==(const PmemGuarantee&, const PmemGuarantee&) = default;
};

// True when `is` does for somebody who needs `required`.
[[nodiscard]] constexpr bool fine_enough(PmemGranularity is, PmemGranularity required) {
  return is <= required;
}

}  // namespace engine
