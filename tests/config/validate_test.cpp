// What needs two places of the file to judge.
#include "config/validate.h"

#include <gtest/gtest.h>

#include "tests/config/complaints.h"

namespace config {
namespace {

using testing::ElementsAre;

TEST(Validate, ReferencesToNothingNameWhatThereIs) {
  const std::string body =
      "listeners: {san-a: {protocol: nvme-tcp, address: 10.0.0.1}}\n"
      "pools: {bulk: {kind: file, directory: /p}}\n"
      "volumes: {db01: {pool: bulk, size: 1GiB}}\n"
      "hosts:\n"
      "  dbhost1: {nqn: nqn.2026-11.com.example:h1}\n"
      "  dbhost2: {nqn: nqn.2026-11.com.example:h2}\n"
      "  hyper1: {nqn: nqn.2026-11.com.example:h3}\n"
      "subsystems:\n"
      "  nqn.2026-11.com.example:store1.db:\n"
      "    listeners: [san-b]\n"
      "    hosts: [dbhost1, dbhost3]\n"
      "    namespaces: {1: {volume: db02}, 2: {volume: db01, hosts: [dbhost4]}}\n";
  const std::string path = "subsystems.nqn.2026-11.com.example:store1.db";
  EXPECT_THAT(
      complaints(body),
      ElementsAre(
          "f.yaml:12:17: " + path + ".listeners[0]: no listener \"san-b\"; known: san-a.",
          "f.yaml:13:22: " + path +
              ".hosts[1]: no host \"dbhost3\"; known: dbhost1, dbhost2, hyper1.",
          "f.yaml:14:30: " + path + ".namespaces.1.volume: no volume \"db02\"; known: db01.",
          "f.yaml:14:63: " + path +
              ".namespaces.2.hosts[0]: no host \"dbhost4\"; known: dbhost1, dbhost2, hyper1."));
  expect_complaints({
      {"volumes: {v: {pool: bulk, size: 1GiB}}\n",
       {"f.yaml:3:21: volumes.v.pool: no pool \"bulk\"; add it under \"pools\"."}},
      {"pools:\n  a: {kind: file, directory: /a}\n  b: {kind: file, directory: /b}\nvolumes: {v: "
       "{pool: c, size: 1GiB}}\n",
       {"f.yaml:6:21: volumes.v.pool: no pool \"c\"; known: a, b."}},
  });
}

TEST(Validate, LongListsOfWhatThereIsAreCut) {
  std::string body = "pools:\n";
  for (int i = 0; i < 40; ++i) {
    body += "  p" + std::to_string(i) + ": {kind: file, directory: /p" + std::to_string(i) + "}\n";
  }
  EXPECT_THAT(complaints(body + "volumes: {v: {pool: x, size: 1GiB}}\n"),
              ElementsAre("f.yaml:44:21: volumes.v.pool: no pool \"x\"; known: p0, p1, p2, p3, p4, "
                          "p5, p6, p7, p8, p9, p10, p11, "
                          "... (40 in all)."));
}

TEST(Validate, AVolumeHasHadANameOfNobodyElse) {
  const std::string pool = "pools: {p: {kind: file, directory: /p}}\n";
  expect_complaints({
      {pool + "volumes:\n  a: {was: b, pool: p, size: 1GiB}\n  b: {pool: p, size: 1GiB}\n",
       {"f.yaml:5:12: volumes.a.was: volume \"b\" is another one of this file; remove `was`, or "
        "that."}},
      {pool + "volumes: {a: {was: a, pool: p, size: 1GiB}}\n",
       {"f.yaml:4:20: volumes.a.was: volume \"a\" is another one of this file; remove `was`, or "
        "that."}},
      {pool + "volumes:\n  a: {was: c, pool: p, size: 1GiB}\n  b: {was: c, pool: p, size: "
              "1GiB}\n",
       {"f.yaml:6:12: volumes.b.was: volume \"a\" was called so, too; remove `was` from one of "
        "them."}},
  });
}

TEST(Validate, APoolOfDisksHasNoPlaceForAJournal) {
  const std::string body =
      "cache_devices: {d: {path: /dev/dax0.0}}\n"
      "pools:\n"
      "  disks: {kind: device, layout: single, members: [/dev/sdb]}\n"
      "  files: {kind: file, directory: /p}\n"
      "volumes:\n"
      "  a: {pool: files, size: 1GiB, cache: {device: d, ordered: journal}}\n"
      "  b: {pool: disks, size: 1GiB, cache: {device: d, ordered: batch}}\n"
      "  c: {pool: disks, size: 1GiB, cache: {device: d, ordered: journal}}\n";
  EXPECT_THAT(complaints(body),
              ElementsAre("f.yaml:10:32: volumes.c.cache.ordered: pool \"disks\" is of disks "
                          "(kind: device), which have no place for a journal beside a volume; use "
                          "ordered: batch, or a pool in a directory (kind: file)."));
}

TEST(Validate, ReferencesToBrokenEntriesAreNotASecondMistake) {
  expect_complaints({
      {"pools: {p: {kind: device}}\nvolumes: {v: {pool: p, size: 1GiB}}\n",
       {"f.yaml:3:9: pools.p: \"layout\" is missing; add layout: single, linear or stripe.",
        "f.yaml:3:9: pools.p: \"members\" is missing; add members: [/dev/disk/by-id/...]."}},
      {"pools: {p: {kind: file, directory: /p}}\nvolumes: {v: {pool: p, size: 1}}\nlisteners: {l: "
       "{protocol: fc}}\n"
       "hosts: {h: {nqn: x}}\nsubsystems:\n  nqn.2026-11.com.example:a:\n    listeners: [l]\n    "
       "hosts: [h]\n"
       "    namespaces: {1: {volume: v}}\n",
       {"f.yaml:4:30: volumes.v.size: \"1\" has no unit; write 1MiB, 1GiB ... (KiB MiB GiB TiB, or "
        "KB MB GB TB).",
        "f.yaml:5:13: listeners.l: \"address\" is missing; add address: 192.0.2.1.",
        "f.yaml:5:27: listeners.l.protocol: unknown value \"fc\"; use one of nvme-tcp, iscsi.",
        "f.yaml:6:18: hosts.h.nqn: \"x\" is not an NQN; write nqn.YYYY-MM.REVERSED.DOMAIN:NAME, "
        "for example nqn.2026-11.com.example:store1.db."}},
      {"volumes: {v: {size: 1GiB}}\n",
       {"f.yaml:3:11: volumes.v: \"pool\" is missing; add pool: NAME."}},
  });
}

TEST(Validate, NamesInAListStandOnce) {
  expect_complaints({
      {"listeners: {l: {protocol: nvme-tcp, address: 10.0.0.1}}\nhosts: {h: {nqn: "
       "nqn.2026-11.com.example:h}}\n"
       "subsystems:\n  nqn.2026-11.com.example:a:\n    listeners: [l, l]\n    hosts: [h, h]\n",
       {"f.yaml:7:20: subsystems.nqn.2026-11.com.example:a.listeners[1]: \"l\" is named twice; "
        "remove one.",
        "f.yaml:8:16: subsystems.nqn.2026-11.com.example:a.hosts[1]: \"h\" is named twice; remove "
        "one."}},
      {"subsystems:\n  nqn.2026-11.com.example:a:\n    listeners: []\n    allow_any_host: true\n",
       {"f.yaml:5:5: subsystems.nqn.2026-11.com.example:a.listeners: is empty; name at least one "
        "listener."}},
  });
}

TEST(Validate, SocketsThatCannotBothBeBoundAreRefused) {
  expect_complaints({
      {"listeners:\n  a: {protocol: nvme-tcp, address: 10.0.0.1}\n  b: {protocol: nvme-tcp, "
       "address: 10.0.0.1}\n",
       {"f.yaml:5:36: listeners.b.address: 10.0.0.1 port 4420 is taken by listener \"a\" (line 4, "
        "10.0.0.1); use another address or port."}},
      {"listeners:\n  b: {protocol: nvme-tcp, address: \"*\"}\n  a: {protocol: nvme-tcp, address: "
       "10.0.0.1}\n",
       {"f.yaml:5:36: listeners.a.address: 10.0.0.1 port 4420 is taken by listener \"b\" (line 4, "
        "*); use another address or port."}},
      {"listeners:\n  a: {protocol: nvme-tcp, address: \"fd00::1\"}\n  b: {protocol: nvme-tcp, "
       "address: \"fd00:0::0:1\"}\n",
       {"f.yaml:5:36: listeners.b.address: fd00::1 port 4420 is taken by listener \"a\" (line 4, "
        "fd00::1); use another address or port."}},
      {"listeners:\n  a: {protocol: nvme-tcp, address: \"::\"}\n  b: {protocol: nvme-tcp, address: "
       "0.0.0.0}\n",
       {}},
      {"listeners:\n  a: {protocol: nvme-tcp, address: \"*\", port: 9930}\n"
       "metrics: {address: 127.0.0.1}\n",
       {"f.yaml:5:20: metrics.address: 127.0.0.1 port 9930 is taken by listener \"a\" (line 4, *); "
        "use another address or port."}},
      {"metrics: {address: 10.0.0.1, port: 4420}\n"
       "listeners:\n  a: {protocol: nvme-tcp, address: 10.0.0.1}\n",
       {"f.yaml:5:36: listeners.a.address: 10.0.0.1 port 4420 is taken by metrics (line 3, "
        "10.0.0.1); use another address or port."}},
      {"listeners:\n  a: {protocol: nvme-tcp, address: 10.0.0.1}\n  b: {protocol: nvme-tcp, "
       "address: 10.0.0.1, port: 8009}\n",
       {}},
      {"listeners:\n  a: {protocol: nvme-tcp, address: 10.0.0.1, port: x}\n  b: {protocol: "
       "nvme-tcp, address: 10.0.0.1}\n",
       {"f.yaml:4:52: listeners.a.port: \"x\" is not a whole number from 1 to 65535."}},
  });
}

TEST(Validate, TwoPoolsInOneDirectoryAreRefused) {
  expect_complaints({
      {"pools:\n  z: {kind: file, directory: /srv/p}\n  a: {kind: file, directory: /srv//p/}\n",
       {"f.yaml:5:30: pools.a.directory: is the directory of pool \"z\" already (line 4); give "
        "each pool its own."}},
  });
}

TEST(Validate, CachesReferToWhatThereIs) {
  constexpr std::string_view pool = "pools: {p: {kind: file, directory: /p}}\n";
  constexpr std::string_view volume = "volumes: {v: {pool: p, size: 1GiB, cache: {device: c}}}\n";
  const auto with = [&](std::string_view devices) {
    return complaints(std::string(pool) + std::string(devices) + std::string(volume));
  };
  EXPECT_THAT(with(""), ElementsAre("f.yaml:4:52: volumes.v.cache.device: no cache device \"c\"; "
                                    "add it under \"cache_devices\"."));
  EXPECT_THAT(with("cache_devices: {a: {path: /a}, b: {path: /b}}\n"),
              ElementsAre("f.yaml:5:52: volumes.v.cache.device: no cache device \"c\"; known: a, "
                          "b."));
  EXPECT_THAT(with("cache_devices: {c: {path: c}}\n"),
              ElementsAre("f.yaml:4:27: cache_devices.c.path: \"c\" is not an absolute path; begin "
                          "with \"/\"."))
      << "a broken entry is there all the same";
  EXPECT_THAT(with("cache_devices: {c: {path: /c}, spare: {path: /d}}\n"), ElementsAre())
      << "nothing has to use a device";
}

TEST(Validate, ACacheDevicesPathIsItsOwn) {
  expect_complaints({
      {"cache_devices:\n  z: {path: /dev/dax0.0}\n  a: {path: //dev/./dax0.0}\n",
       {"f.yaml:5:13: cache_devices.a.path: is the path of cache device \"z\" already (line 4); "
        "give each cache device its own."}},
      {"cache_devices:\n  a: {path: /srv/p/c}\n  b: {path: /srv/p}\n  c: {path: /srv/pool}\n"
       "  d: {path: /srv/c}\npools: {p: {kind: file, directory: /srv/p}}\n",
       {"f.yaml:4:13: cache_devices.a.path: lies in the directory of pool \"p\" (line 8), which "
        "holds nothing but the pool; use another path.",
        "f.yaml:5:13: cache_devices.b.path: lies in the directory of pool \"p\" (line 8), which "
        "holds nothing but the pool; use another path."}},
  });
}

TEST(Validate, AVolumeOfAMemoryPoolHasNoCache) {
  const std::string warning =
      "f.yaml:3:19: warning: pools.p.kind: memory loses everything at each stop; use it for tests "
      "and benchmarks only.";
  expect_complaints({
      {"pools: {p: {kind: memory}}\ncache_devices: {c: {path: /c}}\n"
       "volumes: {v: {pool: p, size: 1GiB, cache: {device: c}}}\n",
       {warning,
        "f.yaml:5:36: volumes.v.cache: pool \"p\" is of kind memory: its volumes are new at each "
        "start, and nothing that a cache keeps would be theirs; remove the cache."}},
  });
}

TEST(Validate, AVolumeIsInASubsystemOnce) {
  expect_complaints({
      {"listeners: {l: {protocol: nvme-tcp, address: 10.0.0.1}}\npools: {p: {kind: file, "
       "directory: /p}}\n"
       "volumes: {v: {pool: p, size: 1GiB}}\nsubsystems:\n  nqn.2026-11.com.example:a:\n    "
       "listeners: [l]\n"
       "    allow_any_host: true\n    namespaces:\n      1: {volume: v}\n      7: {volume: v}\n",
       {"f.yaml:12:19: subsystems.nqn.2026-11.com.example:a.namespaces.7.volume: volume \"v\" is "
        "NSID 1 of this subsystem already; remove one."}},
  });
}

TEST(Validate, AHostThatWouldSeeAVolumeTwiceIsWarnedOf) {
  const std::string begin =
      "listeners: {l: {protocol: nvme-tcp, address: 10.0.0.1}}\npools: {p: {kind: file, directory: "
      "/p}}\n"
      "volumes: {v: {pool: p, size: 1GiB}}\n"
      "hosts: {h: {nqn: nqn.2026-11.com.example:h}, i: {nqn: "
      "nqn.2026-11.com.example:i}}\nsubsystems:\n";
  const auto both = [&](const std::string& a, const std::string& b) {
    return complaints(begin + "  nqn.2026-11.com.example:a: {listeners: [l], " + a + "}\n" +
                      "  nqn.2026-11.com.example:b: {listeners: [l], " + b + "}\n");
  };
  EXPECT_THAT(
      both("hosts: [h], namespaces: {1: {volume: v}}", "hosts: [h], namespaces: {2: {volume: v}}"),
      ElementsAre("f.yaml:9:84: warning: subsystems.nqn.2026-11.com.example:b.namespaces.2.volume: "
                  "volume \"v\" is also NSID 1 "
                  "of nqn.2026-11.com.example:a; a host that connects to both ignores the second. "
                  "Export it once to "
                  "each host."));
  EXPECT_EQ(both("allow_any_host: true, namespaces: {1: {volume: v}}",
                 "hosts: [h], namespaces: {2: {volume: v}}")
                .size(),
            1U);
  EXPECT_EQ(both("allow_any_host: true, namespaces: {1: {volume: v}}",
                 "allow_any_host: true, namespaces: {2: {volume: v}}")
                .size(),
            1U);
  EXPECT_THAT(
      both("hosts: [h], namespaces: {1: {volume: v}}", "hosts: [i], namespaces: {1: {volume: v}}"),
      ElementsAre());
  EXPECT_THAT(both("hosts: [h, i], namespaces: {1: {volume: v, hosts: [h]}}",
                   "hosts: [h, i], namespaces: {1: {volume: v, hosts: [i]}}"),
              ElementsAre());
  EXPECT_THAT(both("allow_any_host: true, namespaces: {1: {volume: v, hosts: []}}",
                   "allow_any_host: true, namespaces: {1: {volume: v}}"),
              ElementsAre());
}

TEST(Validate, MaskingNamesOnlyHostsThatMayConnect) {
  const std::string begin =
      "listeners: {l: {protocol: nvme-tcp, address: 10.0.0.1}}\npools: {p: {kind: file, directory: "
      "/p}}\n"
      "volumes: {v: {pool: p, size: 1GiB}}\n"
      "hosts: {h: {nqn: nqn.2026-11.com.example:h}, i: {nqn: "
      "nqn.2026-11.com.example:i}}\nsubsystems:\n"
      "  nqn.2026-11.com.example:a:\n    listeners: [l]\n    namespaces: {1: {volume: v, hosts: "
      "[i]}}\n";
  EXPECT_THAT(
      complaints(begin + "    hosts: [h]\n"),
      ElementsAre("f.yaml:10:41: subsystems.nqn.2026-11.com.example:a.namespaces.1.hosts[0]: host "
                  "\"i\" may not connect to "
                  "this subsystem; add it to the subsystem's hosts, or remove it here."));
  EXPECT_THAT(complaints(begin + "    hosts: [h, i]\n"), ElementsAre());
  EXPECT_THAT(complaints(begin + "    allow_any_host: true\n"), ElementsAre());
}

TEST(Validate, DiscoveryOnlyListenersServeNoSubsystem) {
  expect_complaints({
      {"listeners: {d: {protocol: nvme-tcp, address: \"*\", port: 8009, discovery: "
       "only}}\nsubsystems:\n"
       "  nqn.2026-11.com.example:a:\n    listeners: [d]\n    allow_any_host: true\n",
       {"f.yaml:6:17: subsystems.nqn.2026-11.com.example:a.listeners[0]: listener \"d\" serves "
        "discovery only; name another, or change its discovery to also."}},
  });
}

TEST(Validate, AnyHostOnEveryAddressIsWarnedOf) {
  expect_complaints({
      {"listeners: {l: {protocol: nvme-tcp, address: \"*\"}}\nsubsystems:\n  "
       "nqn.2026-11.com.example:a:\n"
       "    listeners: [l]\n    allow_any_host: true\n",
       {"f.yaml:7:21: warning: subsystems.nqn.2026-11.com.example:a.allow_any_host: on listener "
        "\"l\" (*) whoever reaches any address of this machine may read and write; name the hosts, "
        "or give the listener one address."}},
      {"listeners: {l: {protocol: nvme-tcp, address: \"::\"}}\nsubsystems:\n  "
       "nqn.2026-11.com.example:a:\n"
       "    listeners: [l]\n    allow_any_host: true\n",
       {"f.yaml:7:21: warning: subsystems.nqn.2026-11.com.example:a.allow_any_host: on listener "
        "\"l\" (::) whoever reaches any address of this machine may read and write; name the "
        "hosts, or give the listener one address."}},
      {"listeners: {l: {protocol: nvme-tcp, address: 127.0.0.1}}\nsubsystems:\n  "
       "nqn.2026-11.com.example:a:\n"
       "    listeners: [l]\n    allow_any_host: true\n",
       {}},
  });
}

TEST(Validate, AllMessagesComeAtOnceSortedByLine) {
  expect_complaints({
      {"log: {level: loud}\nvolumes:\n  b: {pool: x, size: 5}\n  a: {pool: y, sise: 1GiB, size: "
       "1GiB}\nmemory: 1\n",
       {"f.yaml:3:14: log.level: unknown value \"loud\"; use one of error, warn, info, debug.",
        "f.yaml:5:13: volumes.b.pool: no pool \"x\"; add it under \"pools\".",
        "f.yaml:5:22: volumes.b.size: \"5\" has no unit; write 5MiB, 5GiB ... (KiB MiB GiB TiB, or "
        "KB MB GB TB).",
        "f.yaml:6:13: volumes.a.pool: y is a boolean in YAML 1.1; write \"y\" in quotes.",
        "f.yaml:6:16: volumes.a.sise: unknown key; did you mean \"size\"?",
        "f.yaml:7:9: memory: \"1\" has no unit; write 1MiB, 1GiB ... (KiB MiB GiB TiB, or KB MB GB "
        "TB)."}},
  });
}

TEST(Validate, MemoryThatCannotServeTheReactorsIsRefused) {
  constexpr std::string_view subsystem =
      "listeners: {l: {protocol: nvme-tcp, address: 10.0.0.1}}\nsubsystems:\n  "
      "nqn.2026-11.com.example:a: {listeners: [l], allow_any_host: true, mdts: 2MiB}\n";
  const auto with = [&](std::string_view head) {
    return complaints(std::string(head) + std::string(subsystem));
  };
  EXPECT_THAT(with("reactors: {count: 17}\nmemory: 64MiB\n"),
              testing::ElementsAre("f.yaml:4:9: memory: 64MiB cannot serve 17 reactors with "
                                   "transfers of 2MiB (mdts); write 68MiB or more, or lower "
                                   "reactors.count."));
  EXPECT_THAT(with("reactors: {count: 16}\nmemory: 64MiB\n"), testing::IsEmpty());
  EXPECT_THAT(with("reactors: {count: 256}\n"), testing::IsEmpty()) << "the default is enough";
}

TEST(Validate, MemoryThatCannotServeIscsiIsRefused) {
  constexpr std::string_view target =
      "listeners: {l: {protocol: iscsi, address: 10.0.0.1}}\ntargets:\n"
      "  iqn.2026-11.com.example:a: {listeners: [l], allow_any_host: true}\n";
  const auto with = [&](std::string_view head) {
    return complaints(std::string(head) + std::string(target));
  };
  EXPECT_THAT(with("reactors: {count: 17}\nmemory: 64MiB\n"),
              testing::ElementsAre("f.yaml:4:9: memory: 64MiB cannot serve 17 reactors with "
                                   "transfers of 2MiB (of iSCSI); write 68MiB or more, or lower "
                                   "reactors.count."));
  EXPECT_THAT(with("reactors: {count: 16}\nmemory: 64MiB\n"), testing::IsEmpty());
}

}  // namespace
}  // namespace config
