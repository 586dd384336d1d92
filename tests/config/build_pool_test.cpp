// Pools of kind device: what they have, and what they must not have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/config/complaints.h"

namespace config {
namespace {

TEST(BuildPool, DevicePoolsHaveALayoutAndMembers) {
  expect_complaints({
      {"pools:\n  a: {kind: device, layout: single, members: [/dev/a]}\n"
       "  b: {kind: device, layout: linear, members: [/dev/b, /dev/c]}\n"
       "  c: {kind: device, layout: stripe, chunk_size: 64KiB, members: [/dev/d, /dev/e]}\n",
       {}},
      {"pools:\n  p: {kind: device, members: [/dev/a]}\n",
       {"f.yaml:4:3: pools.p: \"layout\" is missing; add layout: single, linear or stripe."}},
      {"pools:\n  p: {kind: device, layout: single}\n",
       {"f.yaml:4:3: pools.p: \"members\" is missing; add members: [/dev/disk/by-id/...]."}},
      {"pools:\n  p: {kind: device, layout: single, members: [/dev/a, /dev/b]}\n",
       {"f.yaml:4:37: pools.p.members: layout single has exactly one member."}},
      {"pools:\n  p: {kind: device, layout: stripe, members: [/dev/a]}\n",
       {"f.yaml:4:37: pools.p.members: layout stripe has at least two members."}},
      {"pools:\n  p: {kind: device, layout: linear, members: []}\n",
       {"f.yaml:4:46: pools.p.members: is not a list of 1 to 64 paths; write them in brackets."}},
      {"pools:\n  p: {kind: device, layout: linear, members: [dev, /dev/a, /dev//a]}\n",
       {"f.yaml:4:47: pools.p.members[0]: \"dev\" is not an absolute path; begin with \"/\".",
        "f.yaml:4:60: pools.p.members[2]: \"/dev/a\" is named twice; remove one."}},
      {"pools:\n  p: {kind: device, layout: linear, chunk_size: 64KiB, members: [/dev/a]}\n",
       {"f.yaml:4:37: pools.p.chunk_size: layout linear has none; remove it."}},
      {"pools:\n  p: {kind: device, layout: stripe, chunk_size: 96KiB, members: [/dev/a, "
       "/dev/b]}\n",
       {"f.yaml:4:49: pools.p.chunk_size: is not a power of two; use for example 256KiB."}},
      {"pools:\n  p: {kind: device, layout: single, directory: /p, members: [/dev/a]}\n",
       {"f.yaml:4:37: pools.p.directory: a pool of kind device has none; remove it."}},
      {"pools:\n  p: {kind: file, directory: /p, layout: single}\n",
       {"f.yaml:4:34: pools.p.layout: a pool of kind file has none; remove it."}},
      {"pools:\n  p: {kind: device, layout: single, members: [/dev/a]}\n"
       "  q: {kind: device, layout: single, members: [/dev/a]}\n",
       {"f.yaml:5:47: pools.q.members[0]: is a member of pool \"p\" already; remove one."}},
      {"cache_devices: {c: {path: /dev/a}}\npools:\n"
       "  p: {kind: device, layout: single, members: [/dev/a]}\n",
       {"f.yaml:5:47: pools.p.members[0]: is the path of cache device \"c\" (line 3); remove "
        "one."}},
  });
}

}  // namespace
}  // namespace config
