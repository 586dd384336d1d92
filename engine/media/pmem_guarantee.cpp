#include "engine/media/pmem_guarantee.h"

namespace engine {

const char* text(PmemGranularity granularity) {
  switch (granularity) {
    case PmemGranularity::byte:
      return "byte";
    case PmemGranularity::cache_line:
      return "cache line";
    case PmemGranularity::page:
      return "page";
  }
  return "unknown";
}

const char* text(PmemMedium medium) {
  switch (medium) {
    case PmemMedium::devdax:
      return "devdax";
    case PmemMedium::fsdax_file:
      return "fsdax file";
    case PmemMedium::tmpfs:
      return "tmpfs";
    case PmemMedium::file:
      return "file";
    case PmemMedium::anonymous:
      return "memory";
  }
  return "unknown";
}

std::string PmemGuarantee::text() const {
  std::string line = engine::text(granularity);
  line += emulated ? " (emulated on " : " (";
  line += engine::text(medium);
  if (!survives_power_loss()) line += ", not durable";
  return line + ")";
}

}  // namespace engine
