#include "config/qos_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace config {
namespace {

using std::string_view;

constexpr std::array<string_view, 6> limit_keys{"read_iops",      "write_iops",      "iops",
                                                "read_bandwidth", "write_bandwidth", "bandwidth"};

// A command is counted in both: the limit of its kind and that of both kinds.
void check_below(SectionReader& reader, string_view kind, std::uint64_t of_kind, string_view both,
                 std::uint64_t of_both) {
  if (of_kind == 0 || of_both == 0 || of_kind < of_both) return;
  reader.report().warning(reader.at(kind), reader.path_of(kind),
                          fmt::format("is never reached, since {} is not higher; lower or remove "
                                      "one of them.",
                                      both));
}

}  // namespace

VolumeQos read_qos(SectionReader& volume) {
  VolumeQos qos;
  if (!volume.has("qos")) return qos;
  SectionReader reader = volume.below("qos", "volumes.*.qos");
  reader.check_keys();
  if (std::ranges::all_of(limit_keys, [&](string_view key) { return reader.lacks(key); })) {
    reader.report().error(reader.at(), reader.path(),
                          "limits nothing; add write_iops: 20000 or bandwidth: 200MiB/s, for "
                          "example, or remove it.");
  }
  assign(qos.read_iops, reader.integer("read_iops"));
  assign(qos.write_iops, reader.integer("write_iops"));
  assign(qos.iops, reader.integer("iops"));
  const auto rate = [&reader](engine::ByteCount& option, string_view key) {
    if (const auto value = reader.rate(key)) option = value->value;
  };
  rate(qos.read_bandwidth, "read_bandwidth");
  rate(qos.write_bandwidth, "write_bandwidth");
  rate(qos.bandwidth, "bandwidth");
  assign(qos.burst, reader.duration("burst"));
  check_below(reader, "read_iops", qos.read_iops, "iops", qos.iops);
  check_below(reader, "write_iops", qos.write_iops, "iops", qos.iops);
  check_below(reader, "read_bandwidth", qos.read_bandwidth.value, "bandwidth", qos.bandwidth.value);
  check_below(reader, "write_bandwidth", qos.write_bandwidth.value, "bandwidth",
              qos.bandwidth.value);
  return qos;
}

}  // namespace config
