// Listeners of both protocols: what belongs to one of them is refused to the other.
#include "config/listener_reader.h"

#include <gtest/gtest.h>

#include "tests/config/complaints.h"

namespace config {
namespace {

using std::chrono::milliseconds;

TEST(ListenerReader, TlsRecordsAreTheKernelsUnlessToldOtherwise) {
  const ParseOutcome outcome = parse_text(
      std::string(heading) +
          "listeners:\n"
          "  usual: {protocol: nvme-tcp, address: 10.0.0.1, tls: required}\n"
          "  own: {protocol: nvme-tcp, address: 10.0.0.2, tls: required, tls_kernel: false}\n",
      "f.yaml");
  ASSERT_TRUE(outcome.config.has_value());
  EXPECT_TRUE(outcome.config->listeners.at("usual").nvme_tcp.tls_kernel);
  EXPECT_FALSE(outcome.config->listeners.at("own").nvme_tcp.tls_kernel);
}

TEST(ListenerReader, IscsiOptionsArrive) {
  const ParseOutcome outcome = parse_text(
      std::string(heading) +
          "listeners:\n"
          "  l: {protocol: iscsi, address: 10.0.0.1, portal_group: 65535, max_connections: 9,\n"
          "      idle_timeout: 7s,\n"
          "      iscsi: {header_digest: required, data_digest: refused, initial_r2t: true,\n"
          "              immediate_data: false, first_burst: 8KiB, max_burst: 12KiB,\n"
          "              max_recv_data_segment: 16KiB, max_outstanding_r2t: 2, queue_depth: 3,\n"
          "              login_timeout: 4s, nop_interval: 5s, nop_timeout: 6s}}\n"
          "  other: {protocol: iscsi, address: 10.0.0.2, port: 1, iscsi: {}}\n",
      "f.yaml");
  ASSERT_TRUE(outcome.config.has_value());
  const Listener& l = outcome.config->listeners.at("l");
  EXPECT_EQ(l.protocol, Protocol::iscsi);
  EXPECT_EQ(l.port.value, 3260);
  EXPECT_EQ(l.port.at.line, 0U) << "the default";
  EXPECT_EQ(l.portal_group, 65535U);
  EXPECT_EQ(l.max_connections, 9U);
  EXPECT_EQ(l.idle_timeout, milliseconds{7'000});
  EXPECT_EQ(l.iscsi.header_digest, Digests::required);
  EXPECT_EQ(l.iscsi.data_digest, Digests::refused);
  EXPECT_TRUE(l.iscsi.initial_r2t);
  EXPECT_FALSE(l.iscsi.immediate_data);
  EXPECT_EQ(l.iscsi.first_burst, 8_KiB);
  EXPECT_EQ(l.iscsi.max_burst, 12_KiB);
  EXPECT_EQ(l.iscsi.max_recv_data_segment, 16_KiB);
  EXPECT_EQ(l.iscsi.max_outstanding_r2t, 2U);
  EXPECT_EQ(l.iscsi.queue_depth, 3U);
  EXPECT_EQ(l.iscsi.login_timeout, milliseconds{4'000});
  EXPECT_EQ(l.iscsi.nop_interval, milliseconds{5'000});
  EXPECT_EQ(l.iscsi.nop_timeout, milliseconds{6'000});
  EXPECT_EQ(outcome.config->listeners.at("other").port.value, 1);
}

TEST(ListenerReader, KeysOfTheOtherProtocolAreRefused) {
  expect_complaints({
      {"listeners:\n  l: {protocol: iscsi, address: 10.0.0.1, digests: required, discovery: "
       "only}\n",
       {"f.yaml:4:43: listeners.l.digests: a listener of protocol iscsi has none; remove it.",
        "f.yaml:4:62: listeners.l.discovery: a listener of protocol iscsi has none; remove it."}},
      {"listeners:\n  l: {protocol: nvme-tcp, address: 10.0.0.1, portal_group: 1, iscsi: {}}\n",
       {"f.yaml:4:46: listeners.l.portal_group: a listener of protocol nvme-tcp has none; remove "
        "it.",
        "f.yaml:4:63: listeners.l.iscsi: a listener of protocol nvme-tcp has none; remove it."}},
  });
}

TEST(ListenerReader, OptionsOutsideTheirLimitsAreTold) {
  expect_complaints({
      {"listeners:\n  l:\n    protocol: iscsi\n    address: 10.0.0.1\n    portal_group: 65536\n"
       "    iscsi:\n      first_burst: 2KiB\n      max_burst: 5000KB\n"
       "      max_recv_data_segment: 6KiB\n      max_outstanding_r2t: 9\n      queue_depth: 1025\n"
       "      nop_timeout: 0s\n      header_digests: required\n      data_digest: crc32c\n",
       {"f.yaml:7:19: listeners.l.portal_group: \"65536\" is not a whole number from 1 to 65535.",
        "f.yaml:9:20: listeners.l.iscsi.first_burst: 2KiB is outside 4KiB to 64KiB. What comes "
        "unasked must find room, however short memory is.",
        "f.yaml:10:18: listeners.l.iscsi.max_burst: 5000KB is outside 4KiB to 2MiB.",
        "f.yaml:11:30: listeners.l.iscsi.max_recv_data_segment: is not a multiple of 4KiB; write "
        "8KiB.",
        "f.yaml:12:28: listeners.l.iscsi.max_outstanding_r2t: \"9\" is not a whole number from 1 "
        "to 8.",
        "f.yaml:13:20: listeners.l.iscsi.queue_depth: \"1025\" is not a whole number from 1 to "
        "1024.",
        "f.yaml:14:20: listeners.l.iscsi.nop_timeout: 0s is outside 1s to 1h.",
        "f.yaml:15:7: listeners.l.iscsi.header_digests: unknown key; did you mean "
        "\"header_digest\"?",
        "f.yaml:16:20: listeners.l.iscsi.data_digest: unknown value \"crc32c\"; use one of "
        "permitted, required, refused."}},
      {"listeners: {l: {protocol: iscsi, address: 10.0.0.1, iscsi: 5}}\n",
       {"f.yaml:3:60: listeners.l.iscsi: is a single value; write keys and values below it."}},
  });
}

TEST(ListenerReader, TheFirstBurstIsNoLongerThanAnyBurst) {
  const auto with = [](std::string_view options) {
    return complaints("listeners:\n  l: {protocol: iscsi, address: 10.0.0.1, iscsi: {" +
                      std::string(options) + "}}\n");
  };
  EXPECT_THAT(with("first_burst: 64KiB, max_burst: 64KiB"), testing::IsEmpty());
  EXPECT_THAT(with("first_burst: 12KiB, max_burst: 8KiB"),
              testing::ElementsAre("f.yaml:4:51: listeners.l.iscsi: first_burst (12KiB) is more "
                                   "than max_burst (8KiB); lower the one, or raise the other."));
  EXPECT_THAT(with("max_burst: 32KiB"),
              testing::ElementsAre(
                  "f.yaml:4:51: listeners.l.iscsi: first_burst (64KiB by default) is more than "
                  "max_burst (32KiB); lower the one, or raise the other."));
}

TEST(ListenerReader, BothProtocolsShareTheMachinesPorts) {
  expect_complaints({
      {"listeners:\n  m: {protocol: nvme-tcp, address: 10.0.0.1, port: 3260}\n"
       "  s: {protocol: iscsi, address: 10.0.0.1}\n",
       {"f.yaml:5:33: listeners.s.address: 10.0.0.1 port 3260 is taken by listener \"m\" (line 4, "
        "10.0.0.1); use another address or port."}},
      {"listeners:\n  m: {protocol: nvme-tcp, address: 10.0.0.1}\n"
       "  s: {protocol: iscsi, address: 10.0.0.1}\n",
       {}},
  });
}

}  // namespace
}  // namespace config
