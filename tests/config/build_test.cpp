// What each key may be: unknown and missing keys, types, units, limits, YAML 1.1's traps, later
// features.
#include "config/build.h"

#include <gtest/gtest.h>

#include "tests/config/complaints.h"

namespace config {
namespace {

using testing::ElementsAre;

TEST(Build, AnotherVersionsFileGetsOneMessage) {
  EXPECT_THAT(complaints_about_text("apiVersion: forebay/v2\nnoise: 1\n"),
              ElementsAre("f.yaml:1:13: apiVersion: \"forebay/v2\" is not known; this version of "
                          "Forebay reads forebay/v1."));
  EXPECT_THAT(complaints_about_text("apiVersion: 1\nnoise: 1\n"),
              ElementsAre("f.yaml:1:13: apiVersion: 1 is a number; write \"1\" in quotes."));
  EXPECT_THAT(complaints_about_text("log: {}\n"),
              ElementsAre("f.yaml:1:1: \"apiVersion\" is missing; add apiVersion: forebay/v1.",
                          "f.yaml:1:1: \"node\" is missing; add node: store1."));
}

TEST(Build, UnknownKeysAreNamedWithTheNearestKnownOne) {
  expect_complaints({
      {"volume:\n  db01: {}\n", {"f.yaml:3:1: volume: unknown key; did you mean \"volumes\"?"}},
      {"pools:\n  p: {kind: file, directory: /p}\nvolumes:\n  db01:\n    pool: p\n    sise: 2TiB\n",
       {"f.yaml:8:5: volumes.db01.sise: unknown key; did you mean \"size\"?"}},
      {"pools: {p: {kind: file, dir: /p}}\n",
       {"f.yaml:3:25: pools.p.dir: unknown key; did you mean \"directory\"?"}},
      {"log: {colour: blue}\n", {"f.yaml:3:7: log.colour: unknown key; known: level."}},
      {"reactors: {cpu: 1, Count: 2}\n",
       {"f.yaml:3:12: reactors.cpu: unknown key; did you mean \"cpus\"?",
        "f.yaml:3:20: reactors.Count: unknown key; did you mean \"count\"?"}},
      {"control: {sockets: /run/s}\n",
       {"f.yaml:3:11: control.sockets: unknown key; did you mean \"socket\"?"}},
      {"hosts: {a: {ngn: x}}\n", {"f.yaml:3:13: hosts.a.ngn: unknown key; did you mean \"nqn\"?"}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1, max-r2t: 1}}\n",
       {"f.yaml:3:56: listeners.a.max-r2t: unknown key; did you mean \"max_r2t\"?"}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1}}\nsubsystems:\n  "
       "nqn.2026-11.com.example:a:\n"
       "    listeners: [a]\n    host: [b]\n    namespaces: {1: {volumes: v}}\n",
       {"f.yaml:7:5: subsystems.nqn.2026-11.com.example:a.host: unknown key; did you mean "
        "\"hosts\"?",
        "f.yaml:8:22: subsystems.nqn.2026-11.com.example:a.namespaces.1.volumes: unknown key; did "
        "you mean \"volume\"?"}},
  });
}

TEST(Build, MissingKeysAreNamedWithAnExample) {
  expect_complaints({
      {"listeners:\n  a:\n",
       {"f.yaml:4:3: listeners.a: \"protocol\" is missing; add protocol: nvme-tcp.",
        "f.yaml:4:3: listeners.a: \"address\" is missing; add address: 192.0.2.1."}},
      {"listeners: {a: {port: 1}}\n",
       {"f.yaml:3:13: listeners.a: \"protocol\" is missing; add protocol: nvme-tcp.",
        "f.yaml:3:13: listeners.a: \"address\" is missing; add address: 192.0.2.1."}},
      {"pools: {p: {}}\n", {"f.yaml:3:9: pools.p: \"kind\" is missing; add kind: file."}},
      {"pools: {p: {kind: file}}\n",
       {"f.yaml:3:9: pools.p: \"directory\" is missing; add directory: /srv/forebay/NAME."}},
      {"volumes: {v: {}}\n",
       {"f.yaml:3:11: volumes.v: \"pool\" is missing; add pool: NAME.",
        "f.yaml:3:11: volumes.v: \"size\" is missing; add size: 100GiB."}},
      {"hosts: {h: {}}\n",
       {"f.yaml:3:9: hosts.h: \"nqn\" or \"iqn\" is missing; add nqn: "
        "nqn.2014-08.org.nvmexpress:uuid:..., from /etc/nvme/hostnqn, or iqn: "
        "iqn.1993-08.org.debian:01:..., from /etc/iscsi/initiatorname.iscsi."}},
      {"subsystems:\n  nqn.2026-11.com.example:a: {}\n",
       {"f.yaml:4:3: subsystems.nqn.2026-11.com.example:a: \"listeners\" is missing; add "
        "listeners: [NAME].",
        "f.yaml:4:3: subsystems.nqn.2026-11.com.example:a: \"hosts\" is missing; add hosts: "
        "[NAME], or allow_any_host: true."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1}}\nsubsystems:\n  "
       "nqn.2026-11.com.example:a:\n"
       "    listeners: [a]\n    allow_any_host: false\n    namespaces: {1: }\n",
       {"f.yaml:5:3: subsystems.nqn.2026-11.com.example:a: \"hosts\" is missing; add hosts: "
        "[NAME], or allow_any_host: true.",
        "f.yaml:8:18: subsystems.nqn.2026-11.com.example:a.namespaces.1: \"volume\" is missing; "
        "add volume: NAME."}},
  });
}

TEST(Build, EmptySectionsAreEmptyMaps) {
  expect_complaints(
      {{"reactors:\nlisteners:\ncache_devices:\npools:\nvolumes:\nhosts:\nsubsystems:\ntargets:"
        "\niscsi:\nmetrics:\ncontrol:\nscrub:\nlog:\n",
        {}}});
}

TEST(Build, ValuesOfTheWrongShapeAreRefused) {
  expect_complaints({
      {"reactors: 2\n",
       {"f.yaml:3:11: reactors: is a single value; write keys and values below it."}},
      {"reactors: [1, 2]\n", {"f.yaml:3:11: reactors: is a list; write keys and values below it."}},
      {"listeners: [a, b]\n",
       {"f.yaml:3:12: listeners: is not a map; write \"NAME: ...\" entries below it."}},
      {"volumes: db01\n",
       {"f.yaml:3:10: volumes: is not a map; write \"NAME: ...\" entries below it."}},
      {"volumes: {v: 1GiB}\n",
       {"f.yaml:3:14: volumes.v: is a single value; write keys and values below it."}},
      {"memory: {size: 1GiB}\n", {"f.yaml:3:9: memory: is a map; write one value."}},
      {"memory: [1GiB]\n", {"f.yaml:3:9: memory: is a list; write one value."}},
      {"memory:\n", {"f.yaml:3:1: memory: has no value; write one, or remove the key."}},
      {"memory: ~\n", {"f.yaml:3:1: memory: has no value; write one, or remove the key."}},
      {"memory: \"1GiB\"\n", {}},
      {"log: {level: {a: b}}\n", {"f.yaml:3:14: log.level: is a map; write one value."}},
      {"control: {group: }\n",
       {"f.yaml:3:11: control.group: has no value; write one, or remove the key."}},
      {"reactors: {cpus: [2, 3]}\n", {"f.yaml:3:18: reactors.cpus: is a list; write one value."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1}}\nsubsystems:\n  "
       "nqn.2026-11.com.example:a:\n"
       "    listeners: a\n    hosts: {h: 1}\n    cntlid_range: 5\n    namespaces: [v]\n",
       {"f.yaml:6:16: subsystems.nqn.2026-11.com.example:a.listeners: is not a list; write names "
        "in brackets, for example [NAME], or [] for none.",
        "f.yaml:7:12: subsystems.nqn.2026-11.com.example:a.hosts: is not a list; write names in "
        "brackets, for example [NAME], or [] for none.",
        "f.yaml:8:19: subsystems.nqn.2026-11.com.example:a.cntlid_range: is not a range; write two "
        "numbers in brackets, for example [1, 65519].",
        "f.yaml:9:17: subsystems.nqn.2026-11.com.example:a.namespaces: is not a map; write \"1: "
        "{volume: NAME}\" entries below it."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1}}\nsubsystems:\n  "
       "nqn.2026-11.com.example:a:\n"
       "    listeners:\n    hosts: [[a], ~, {b: 1}]\n    cntlid_range: [1, 2, 3]\n    namespaces: "
       "{1: [v]}\n",
       {"f.yaml:6:5: subsystems.nqn.2026-11.com.example:a.listeners: is not a list; write names in "
        "brackets, for example [NAME], or [] for none.",
        "f.yaml:7:13: subsystems.nqn.2026-11.com.example:a.hosts[0]: is a list; write one value.",
        "f.yaml:7:18: subsystems.nqn.2026-11.com.example:a.hosts[1]: has no value; write one, or "
        "remove the key.",
        "f.yaml:7:21: subsystems.nqn.2026-11.com.example:a.hosts[2]: is a map; write one value.",
        "f.yaml:8:19: subsystems.nqn.2026-11.com.example:a.cntlid_range: is not a range; write two "
        "numbers in brackets, for example [1, 65519].",
        "f.yaml:9:21: subsystems.nqn.2026-11.com.example:a.namespaces.1: is a list; write keys and "
        "values below it."}},
  });
}

TEST(Build, NumbersWithoutUnitAreRefused) {
  expect_complaints({
      {"pools: {p: {kind: file, directory: /p}}\nvolumes:\n  db01:\n    pool: p\n    size: 2000\n",
       {"f.yaml:7:11: volumes.db01.size: \"2000\" has no unit; write 2000MiB, 2000GiB ... (KiB MiB "
        "GiB TiB, or KB MB GB TB)."}},
      {"memory: 4294967296\n",
       {"f.yaml:3:9: memory: \"4294967296\" has no unit; write 4294967296MiB, 4294967296GiB ... "
        "(KiB MiB GiB TiB, or KB MB GB TB)."}},
      {"memory: 4G\n",
       {"f.yaml:3:9: memory: unknown unit \"G\"; did you mean 4GiB? (KiB MiB GiB TiB, or KB MB GB "
        "TB)"}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1, idle_timeout: 60, icreq_timeout: 1 "
       "s}}\n",
       {"f.yaml:3:70: listeners.a.idle_timeout: \"60\" has no unit; write 60s, 60m ... (ms s m h "
        "d).",
        "f.yaml:3:89: listeners.a.icreq_timeout: \"1 s\" has a blank before the unit; write 1s."}},
  });
}

TEST(Build, Yaml11TrapsGetTheirOwnMessage) {
  expect_complaints({
      {"reactors: {count: 0755}\n",
       {"f.yaml:3:19: reactors.count: 0755 is octal in YAML 1.1 and decimal in YAML 1.2; write 755 "
        "without the leading zero."}},
      {"reactors: {count: 0x10}\n",
       {"f.yaml:3:19: reactors.count: 0x10 is not a plain decimal number; write only the digits 0 "
        "to 9."}},
      {"reactors: {count: 1:30}\n",
       {"f.yaml:3:19: reactors.count: 1:30 is a base-60 number in YAML 1.1; write a plain decimal "
        "number."}},
      {"reactors: {count: on}\n",
       {"f.yaml:3:19: reactors.count: \"on\" is not a whole number from 1 to 256."}},
      {"reactors: {count: \"2\"}\n",
       {"f.yaml:3:19: reactors.count: \"2\" is a string; write 2 without quotes."}},
      {"reactors: {cpus: 1:30}\n",
       {"f.yaml:3:18: reactors.cpus: 1:30 is a base-60 number in YAML 1.1; write \"1:30\" in "
        "quotes."}},
      {"memory: 1:30\n",
       {"f.yaml:3:9: memory: 1:30 is a base-60 number in YAML 1.1, not a size; write 90MiB, for "
        "example (KiB MiB GiB TiB, or KB MB GB TB)."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1, idle_timeout: 1:30}}\n",
       {"f.yaml:3:70: listeners.a.idle_timeout: 1:30 is a base-60 number in YAML 1.1, not a "
        "duration; write 90s, for example (ms s m h d)."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1, c2h_success: on}}\n",
       {"f.yaml:3:69: listeners.a.c2h_success: on is a boolean in YAML 1.1 and a string in YAML "
        "1.2; write true."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1, c2h_success: No}}\n",
       {"f.yaml:3:69: listeners.a.c2h_success: No is a boolean in YAML 1.1 and a string in YAML "
        "1.2; write false."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1, c2h_success: \"true\"}}\n",
       {"f.yaml:3:69: listeners.a.c2h_success: \"true\" is a string; write true without quotes."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1, digests: off}}\n",
       {"f.yaml:3:65: listeners.a.digests: off is a boolean in YAML 1.1; use one of permitted, "
        "required, refused."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 1:2:3:4:5:6:7:8}}\n",
       {"f.yaml:3:46: listeners.a.address: 1:2:3:4:5:6:7:8 is a base-60 number in YAML 1.1; write "
        "\"1:2:3:4:5:6:7:8\" in quotes."}},
      {"listeners: {on: {protocol: nvme-tcp, address: 10.0.0.1}}\n",
       {"f.yaml:3:13: listeners.on: on is a boolean in YAML 1.1; write \"on\" in quotes."}},
      {"listeners: {\"on\": {protocol: nvme-tcp, address: 10.0.0.1}}\n", {}},
      {"listeners: {1: {protocol: nvme-tcp, address: 10.0.0.1}}\n",
       {"f.yaml:3:13: listeners.1: \"1\" is not a name; begin with a letter and use only letters, "
        "digits, \".\", \"_\" and \"-\"."}},
      {"control: {group: yes}\n",
       {"f.yaml:3:18: control.group: yes is a boolean in YAML 1.1; write \"yes\" in quotes."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1}}\nsubsystems:\n  "
       "nqn.2026-11.com.example:a:\n"
       "    listeners: [a]\n    allow_any_host: yes\n    serial: 0012\n    model: 2026-11-20\n    "
       "namespaces: {01: {volume: off}}\n",
       {"f.yaml:7:21: subsystems.nqn.2026-11.com.example:a.allow_any_host: yes is a boolean in "
        "YAML 1.1 and a string in YAML 1.2; write true.",
        "f.yaml:8:13: subsystems.nqn.2026-11.com.example:a.serial: 0012 is a number; write "
        "\"0012\" in quotes.",
        "f.yaml:9:12: subsystems.nqn.2026-11.com.example:a.model: 2026-11-20 is a date in YAML "
        "1.1; write \"2026-11-20\" in quotes.",
        "f.yaml:10:18: subsystems.nqn.2026-11.com.example:a.namespaces.01: NSID 01 is octal in "
        "YAML 1.1 and decimal in YAML 1.2; write 1 without the leading zero.",
        "f.yaml:10:31: subsystems.nqn.2026-11.com.example:a.namespaces.01.volume: off is a boolean "
        "in YAML 1.1; write \"off\" in quotes."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1}}\nsubsystems:\n  "
       "nqn.2026-11.com.example:a:\n"
       "    listeners: [a, no]\n    hosts: [y, 12]\n",
       {"f.yaml:6:20: subsystems.nqn.2026-11.com.example:a.listeners[1]: no is a boolean in YAML "
        "1.1; write \"no\" in quotes.",
        "f.yaml:7:13: subsystems.nqn.2026-11.com.example:a.hosts[0]: y is a boolean in YAML 1.1; "
        "write \"y\" in quotes.",
        "f.yaml:7:16: subsystems.nqn.2026-11.com.example:a.hosts[1]: no host \"12\"; add it under "
        "\"hosts\"."}},
  });
  EXPECT_THAT(
      complaints_about_text("apiVersion: forebay/v1\nnode: no\n"),
      ElementsAre("f.yaml:2:7: node: no is a boolean in YAML 1.1; write \"no\" in quotes."));
}

TEST(Build, LimitsAreToldWithTheValue) {
  expect_complaints({
      {"memory: 1MiB\n", {"f.yaml:3:9: memory: 1MiB is outside 64MiB to 16TiB."}},
      {"memory: 17TiB\n", {"f.yaml:3:9: memory: 17TiB is outside 64MiB to 16TiB."}},
      {"reactors: {count: 0}\n",
       {"f.yaml:3:19: reactors.count: \"0\" is not a whole number from 1 to 256."}},
      {"reactors: {count: 257}\n",
       {"f.yaml:3:19: reactors.count: \"257\" is not a whole number from 1 to 256."}},
      {"reactors: {count: 3, cpus: \"2-3\"}\n",
       {"f.yaml:3:28: reactors.cpus: names 2 CPUs for 3 reactors; name one CPU for each (at most "
        "256)."}},
      {"reactors: {cpus: \"0-256\"}\n",
       {"f.yaml:3:18: reactors.cpus: names 257 CPUs for 257 reactors; name one CPU for each (at "
        "most 256)."}},
      {"reactors: {cpus: \"a\"}\n",
       {"f.yaml:3:18: reactors.cpus: \"a\" is not a list of CPUs; write numbers and ranges, for "
        "example \"2-3,6\"."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1, port: 65536, max_r2t: 0, "
       "max_connections: 65536}}\n",
       {"f.yaml:3:62: listeners.a.port: \"65536\" is not a whole number from 1 to 65535.",
        "f.yaml:3:78: listeners.a.max_r2t: \"0\" is not a whole number from 1 to 8.",
        "f.yaml:3:98: listeners.a.max_connections: \"65536\" is not a whole number from 1 to "
        "65535."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1, in_capsule_data: 128KiB, "
       "max_h2c_data: 2MiB}}\n",
       {"f.yaml:3:73: listeners.a.in_capsule_data: 128KiB is outside 4KiB to 64KiB.",
        "f.yaml:3:95: listeners.a.max_h2c_data: 2MiB is outside 4KiB to 1MiB."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1, in_capsule_data: 5KiB, "
       "max_h2c_data: 50KB}}\n",
       {"f.yaml:3:73: listeners.a.in_capsule_data: is not a multiple of 4KiB; write 8KiB.",
        "f.yaml:3:93: listeners.a.max_h2c_data: is not a multiple of 4KiB; write 52KiB."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1, connect_timeout: 1ms, idle_timeout: "
       "2d}}\n",
       {"f.yaml:3:73: listeners.a.connect_timeout: 1ms is outside 100ms to 1h.",
        "f.yaml:3:92: listeners.a.idle_timeout: 2d is outside 1s to 1d."}},
      {"pools: {p: {kind: file, directory: /p}}\nvolumes:\n  a: {pool: p, size: 1KiB}\n  b: {pool: "
       "p, size: 2000TiB}\n"
       "  c: {pool: p, size: 250MB}\n  d: {pool: p, size: 1GiB, block_size: 1024}\n  e: {pool: p, "
       "size: 1GiB, block_size: 8192}\n",
       {"f.yaml:5:22: volumes.a.size: 1KiB is outside 1MiB to 1024TiB.",
        "f.yaml:6:22: volumes.b.size: 2000TiB is outside 1MiB to 1024TiB.",
        "f.yaml:7:22: volumes.c.size: is not a multiple of 4KiB; write 244144KiB.",
        "f.yaml:8:40: volumes.d.block_size: 1024 is not possible; use one of 512, 4096.",
        "f.yaml:9:40: volumes.e.block_size: 8192 is not possible; use one of 512, 4096."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1}}\nsubsystems:\n  "
       "nqn.2026-11.com.example:a:\n"
       "    listeners: [a]\n    hosts: []\n    max_io_queues: 129\n    max_queue_depth: 1\n    "
       "mdts: 384KiB\n"
       "    cntlid_range: [0, 65520]\n    serial: \"123456789012345678901\"\n    model: \"\"\n",
       {"f.yaml:7:5: warning: subsystems.nqn.2026-11.com.example:a.hosts: is empty: no host may "
        "connect; name the hosts that may.",
        "f.yaml:8:20: subsystems.nqn.2026-11.com.example:a.max_io_queues: \"129\" is not a whole "
        "number from 1 to 128.",
        "f.yaml:9:22: subsystems.nqn.2026-11.com.example:a.max_queue_depth: \"1\" is not a whole "
        "number from 2 to 1024.",
        "f.yaml:10:11: subsystems.nqn.2026-11.com.example:a.mdts: is not a power of two; write "
        "128KiB, 256KiB, 512KiB, 1MiB ...",
        "f.yaml:11:20: subsystems.nqn.2026-11.com.example:a.cntlid_range[0]: \"0\" is not a whole "
        "number from 1 to 65519.",
        "f.yaml:11:23: subsystems.nqn.2026-11.com.example:a.cntlid_range[1]: \"65520\" is not a "
        "whole number from 1 to 65519.",
        "f.yaml:12:13: subsystems.nqn.2026-11.com.example:a.serial: \"123456789012345678901\" does "
        "not fit; write 1 to 20 printable ASCII characters, no blank at either end.",
        "f.yaml:13:12: subsystems.nqn.2026-11.com.example:a.model: \"\" does not fit; write 1 to "
        "40 printable ASCII characters, no blank at either end."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1}}\nsubsystems:\n  "
       "nqn.2026-11.com.example:a:\n"
       "    listeners: [a]\n    hosts: []\n    mdts: 32KiB\n    cntlid_range: [9, 2]\n"
       "    namespaces: {0: {volume: v}, 4294967295: {volume: v}, 4294967294: {volume: v}, one: "
       "{volume: v}, -1: {volume: v}}\n"
       "pools: {p: {kind: file, directory: /p}}\nvolumes: {v: {pool: p, size: 1GiB}}\n",
       {"f.yaml:7:5: warning: subsystems.nqn.2026-11.com.example:a.hosts: is empty: no host may "
        "connect; name the hosts that may.",
        "f.yaml:8:11: subsystems.nqn.2026-11.com.example:a.mdts: 32KiB is outside 64KiB to 2MiB. "
        "With less, a Linux host cannot read the ANA log in one piece and does without ANA.",
        "f.yaml:9:19: subsystems.nqn.2026-11.com.example:a.cntlid_range: the range is empty; write "
        "[2, 9].",
        "f.yaml:10:18: subsystems.nqn.2026-11.com.example:a.namespaces.0: NSID \"0\" is not a "
        "whole number from 1 to 4294967294.",
        "f.yaml:10:34: subsystems.nqn.2026-11.com.example:a.namespaces.4294967295: NSID "
        "\"4294967295\" is not a whole number from 1 to 4294967294.",
        "f.yaml:10:84: subsystems.nqn.2026-11.com.example:a.namespaces.one: NSID \"one\" is not a "
        "whole number from 1 to 4294967294.",
        "f.yaml:10:102: subsystems.nqn.2026-11.com.example:a.namespaces.-1: NSID \"-1\" is not a "
        "whole number from 1 to 4294967294."}},
      {"control: {socket: run/x, group: 0x10}\n",
       {"f.yaml:3:19: control.socket: \"run/x\" is not an absolute path; begin with \"/\".",
        "f.yaml:3:33: control.group: \"0x10\" is not a group's name; write one from /etc/group, "
        "for example forebay."}},
      {"log: {level: warning}\n",
       {"f.yaml:3:14: log.level: unknown value \"warning\"; did you mean \"warn\"?"}},
      {"log: {level: loud}\n",
       {"f.yaml:3:14: log.level: unknown value \"loud\"; use one of error, warn, info, debug."}},
  });
  EXPECT_THAT(
      complaints("control: {socket: /" + std::string(107, 'x') + "}\n"),
      ElementsAre("f.yaml:3:19: control.socket: the path has 108 bytes; at most 107 are allowed."));
}

TEST(Build, NamesAreFitForFilesAndLabels) {
  expect_complaints({
      {"pools: {p: {kind: file, directory: /p}}\nvolumes:\n  ../../etc/passwd: {pool: p, size: "
       "1GiB}\n"
       "  a b: {pool: p, size: 1GiB}\n  .hidden: {pool: p, size: 1GiB}\n",
       {"f.yaml:5:3: volumes.../../etc/passwd: \"../../etc/passwd\" is not a name; begin with a "
        "letter and use only letters, digits, \".\", \"_\" and \"-\".",
        "f.yaml:6:3: volumes.a b: \"a b\" is not a name; begin with a letter and use only letters, "
        "digits, \".\", \"_\" and \"-\".",
        "f.yaml:7:3: volumes..hidden: \".hidden\" is not a name; begin with a letter and use only "
        "letters, digits, \".\", \"_\" and \"-\"."}},
      {"pools: {\"p/q\": {kind: file, directory: /p}}\n",
       {"f.yaml:3:9: pools.p/q: \"p/q\" is not a name; begin with a letter and use only letters, "
        "digits, \".\", \"_\" and \"-\"."}},
      {"hosts: {h: {nqn: host1}}\n",
       {"f.yaml:3:18: hosts.h.nqn: \"host1\" is not an NQN; write "
        "nqn.YYYY-MM.REVERSED.DOMAIN:NAME, for example nqn.2026-11.com.example:store1.db."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1}}\nsubsystems:\n  db:\n    "
       "listeners: [a]\n    hosts: []\n",
       {"f.yaml:5:3: subsystems.db: \"db\" is not an NQN; write nqn.YYYY-MM.REVERSED.DOMAIN:NAME, "
        "for example nqn.2026-11.com.example:store1.db.",
        "f.yaml:7:5: warning: subsystems.db.hosts: is empty: no host may connect; name the hosts "
        "that may."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1}}\nsubsystems:\n  "
       "nqn.2014-08.org.nvmexpress.discovery:\n"
       "    listeners: [a]\n    hosts: []\n",
       {"f.yaml:5:3: subsystems.nqn.2014-08.org.nvmexpress.discovery: "
        "\"nqn.2014-08.org.nvmexpress.discovery\" is the discovery NQN, which every target serves "
        "by itself; choose another.",
        "f.yaml:7:5: warning: subsystems.nqn.2014-08.org.nvmexpress.discovery.hosts: is empty: no "
        "host may connect; name the hosts that may."}},
      {"listeners: {a: {protocol: nvme-tcp, address: localhost}}\n",
       {"f.yaml:3:46: listeners.a.address: \"localhost\" is not an IP address; write an IPv4 or "
        "IPv6 address, or \"*\" for every address."}},
      {"pools: {p: {kind: file, directory: bulk}}\n",
       {"f.yaml:3:36: pools.p.directory: \"bulk\" is not an absolute path; begin with \"/\"."}},
  });
  EXPECT_THAT(complaints_about_text("apiVersion: forebay/v1\nnode: store 1\n"),
              ElementsAre("f.yaml:2:7: node: \"store 1\" is not a name; begin with a letter and "
                          "use only letters, digits, "
                          "\".\", \"_\" and \"-\"."));
}

TEST(Build, AccessIsNamedHostsOrAnyNeverBoth) {
  const std::string begin =
      "listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1}}\nhosts: {h: {nqn: "
      "nqn.2026-11.com.example:h}}\n"
      "subsystems:\n  nqn.2026-11.com.example:a:\n    listeners: [a]\n";
  const std::string path = "subsystems.nqn.2026-11.com.example:a";
  EXPECT_THAT(complaints(begin + "    allow_any_host: true\n    hosts: [h]\n"),
              ElementsAre("f.yaml:9:5: " + path +
                          ": allow_any_host and hosts exclude each other; remove one."));
  EXPECT_THAT(complaints(begin + "    hosts: [h]\n    allow_any_host: true\n"),
              ElementsAre("f.yaml:9:5: " + path +
                          ": allow_any_host and hosts exclude each other; remove one."));
  EXPECT_THAT(complaints(begin + "    hosts: [h]\n    allow_any_host: false\n"), ElementsAre());
  EXPECT_THAT(complaints(begin + "    allow_any_host: true\n"), ElementsAre());
  EXPECT_THAT(complaints(begin),
              ElementsAre("f.yaml:6:3: " + path +
                          ": \"hosts\" is missing; add hosts: [NAME], or allow_any_host: true."));
  EXPECT_THAT(complaints(begin + "    hosts: []\n"),
              ElementsAre("f.yaml:8:5: warning: " + path +
                          ".hosts: is empty: no host may connect; name the hosts that may."));
}

TEST(Build, IdentitiesAreUnique) {
  expect_complaints({
      {"hosts:\n  a: {nqn: nqn.2026-11.com.example:h}\n  b: {nqn: nqn.2026-11.com.example:h}\n",
       {"f.yaml:5:12: hosts.b.nqn: is the NQN of host \"a\" already; give each host its own."}},
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1}}\nsubsystems:\n"
       "  nqn.2026-11.com.example:a: {listeners: [a], allow_any_host: true, serial: S1}\n"
       "  nqn.2026-11.com.example:b: {listeners: [a], allow_any_host: true, serial: S1}\n",
       {"f.yaml:6:77: subsystems.nqn.2026-11.com.example:b.serial: is the serial of "
        "nqn.2026-11.com.example:a already; give each subsystem its own."}},
  });
}

TEST(Build, MemoryPoolsAreForTests) {
  expect_complaints({
      {"pools: {p: {kind: memory}}\n",
       {"f.yaml:3:19: warning: pools.p.kind: memory loses everything at each stop; use it for "
        "tests and benchmarks only."}},
      {"pools: {p: {kind: memory, directory: /p}}\n",
       {"f.yaml:3:19: warning: pools.p.kind: memory loses everything at each stop; use it for "
        "tests and benchmarks only.",
        "f.yaml:3:27: pools.p.directory: a pool of kind memory has none; remove it."}},
  });
}

TEST(Build, TooManyNamespacesAreRefused) {
  const auto with = [](int count) {
    std::string body =
        "listeners: {l: {protocol: nvme-tcp, address: 10.0.0.1}}\npools: {p: {kind: file, "
        "directory: /p}}\nvolumes:\n";
    for (int i = 1; i <= count; ++i)
      body += "  v" + std::to_string(i) + ": {pool: p, size: 1GiB}\n";
    body +=
        "subsystems:\n  nqn.2026-11.com.example:a:\n    listeners: [l]\n    allow_any_host: true\n "
        "   namespaces:\n";
    for (int i = 1; i <= count; ++i)
      body += "      " + std::to_string(i) + ": {volume: v" + std::to_string(i) + "}\n";
    return body;
  };
  EXPECT_THAT(complaints(with(1024)), ElementsAre());
  EXPECT_THAT(complaints(with(1025)),
              ElementsAre("f.yaml:1035:5: subsystems.nqn.2026-11.com.example:a.namespaces: has "
                          "1025 namespaces; at most 1024 "
                          "are possible in one subsystem."));
}

// What a slip in one word must not hide, and what is said of words that mean something else.
TEST(Build, AMistypedChoiceHidesNoOtherErrorOfItsEntry) {
  expect_complaints({
      {"listeners:\n  a: {protocol: nvmetcp, address: localhost, port: 0}\n",
       {"f.yaml:4:17: listeners.a.protocol: unknown value \"nvmetcp\"; did you mean \"nvme-tcp\"?",
        "f.yaml:4:35: listeners.a.address: \"localhost\" is not an IP address; write an IPv4 or "
        "IPv6 "
        "address, or \"*\" for every address.",
        "f.yaml:4:52: listeners.a.port: \"0\" is not a whole number from 1 to 65535."}},
      {"pools:\n  p: {kind: files, directory: bulk, warn: 1}\n",
       {"f.yaml:4:13: pools.p.kind: unknown value \"files\"; did you mean \"file\"?",
        "f.yaml:4:31: pools.p.directory: \"bulk\" is not an absolute path; begin with \"/\".",
        "f.yaml:4:37: pools.p.warn: unknown key; did you mean \"warn_at\"?"}},
  });
}

TEST(Build, AThinPoolHasAReserveAndAWarning) {
  const auto pool = [](std::string_view keys) {
    const auto outcome = parse_text(
        std::string(heading) + "pools: {p: {kind: file, directory: /p" + std::string(keys) + "}}\n",
        "f.yaml");
    EXPECT_TRUE(outcome.config.has_value()) << keys;
    return outcome.config ? outcome.config->pools.at("p") : Pool{};
  };
  using Provisioning = Pool::Provisioning;
  EXPECT_EQ(pool("").provisioning.value, Provisioning::thick);
  EXPECT_EQ(pool("").reserve.value, engine::ByteCount{});
  EXPECT_FALSE(pool("").warn_at.has_value());
  EXPECT_EQ(pool(", reserve: 1GiB, warn_at: 90%").reserve.value, 1_GiB);
  EXPECT_EQ(pool(", reserve: 1GiB, warn_at: 90%").warn_at->value, 90U);
  const Pool thin = pool(", provisioning: thin, reserve: 20GiB");
  EXPECT_EQ(thin.provisioning.value, Provisioning::thin);
  EXPECT_EQ(thin.reserve.value, 20_GiB);
  EXPECT_EQ(thin.warn_at->value, 80U);
  EXPECT_EQ(pool(", provisioning: thin, reserve: 1MiB, warn_at: 5%").warn_at->value, 5U);
  EXPECT_FALSE(pool("").queue_depth.has_value());
  EXPECT_EQ(pool(", queue_depth: 4096").queue_depth->value, 4096U);
  expect_complaints({
      {"pools:\n  p: {kind: file, directory: /p, queue_depth: 4097}\n",
       {"f.yaml:4:47: pools.p.queue_depth: \"4097\" is not a whole number from 1 to 4096."}},
      {"pools:\n  p: {kind: file, directory: /p, queue_depth: 0}\n",
       {"f.yaml:4:47: pools.p.queue_depth: \"0\" is not a whole number from 1 to 4096."}},
      {"pools:\n  p: {kind: file, directory: /p, provisioning: thin}\n",
       {"f.yaml:4:48: pools.p.provisioning: thin needs a reserve, which stays free so that what "
        "has "
        "been answered can always be written; add reserve: 20GiB."}},
      {"pools:\n  p: {kind: file, directory: /p, provisioning: thin, reserve: 1KiB, warn_at: 80}\n",
       {"f.yaml:4:63: pools.p.reserve: 1KiB is outside 1MiB to 1024TiB.",
        "f.yaml:4:78: pools.p.warn_at: \"80\" has no unit; write 80%."}},
      {"pools:\n  p: {kind: memory, reserve: 1GiB, warn_at: 80%, queue_depth: 8}\n",
       {"f.yaml:4:13: warning: pools.p.kind: memory loses everything at each stop; use it for "
        "tests and "
        "benchmarks only.",
        "f.yaml:4:21: pools.p.reserve: a pool of kind memory has none; remove it.",
        "f.yaml:4:36: pools.p.warn_at: a pool of kind memory has none; remove it.",
        "f.yaml:4:50: pools.p.queue_depth: a pool of kind memory has none; remove it."}},
  });
}

TEST(Build, ABlockSizeThatIsNoneNamesTheTwo) {
  expect_complaints({
      {"pools: {p: {kind: file, directory: /p}}\nvolumes:\n  a: {pool: p, size: 1GiB, block_size: "
       "4KiB}\n  b: {pool: p, size: 1GiB, block_size: \"512\"}\n",
       {"f.yaml:5:40: volumes.a.block_size: 4KiB is not possible; use one of 512, 4096.",
        "f.yaml:6:40: volumes.b.block_size: \"512\" is a string; write 512 without quotes."}},
  });
}

TEST(Build, NamespacesAsAListAreShownAsAMap) {
  expect_complaints({
      {"listeners: {a: {protocol: nvme-tcp, address: 10.0.0.1}}\nsubsystems:\n  "
       "nqn.2026-11.com.example:a:\n"
       "    listeners: [a]\n    allow_any_host: true\n    namespaces: [db01]\n",
       {"f.yaml:8:17: subsystems.nqn.2026-11.com.example:a.namespaces: is not a map; write \"1: "
        "{volume: NAME}\" entries below it."}},
  });
}

TEST(Build, AKeyThatMeansNoValueIsNamed) {
  expect_complaints({
      {"volumes:\n  null: {pool: p, size: 1GiB}\n",
       {"f.yaml:4:3: null means no value in YAML; write \"null\" in quotes."}},
      {"volumes: {~: {pool: p, size: 1GiB}}\n",
       {"f.yaml:3:11: ~ means no value in YAML; write \"~\" in quotes."}},
  });
}

TEST(Build, CapitalLettersInAHostsUuidAreWarnedOf) {
  expect_complaints({
      {"hosts: {h: {nqn: "
       "\"nqn.2014-08.org.nvmexpress:uuid:1B4E28BA-2fa1-11d2-883f-0016d3cca427\"}}\n",
       {"f.yaml:3:18: warning: hosts.h.nqn: capital letters count, and Linux hosts send the UUID "
        "in "
        "small ones; write nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427 if "
        "the host's /etc/nvme/hostnqn does."}},
  });
}

TEST(Build, NamesOfHostsAndAddressesAreToldWhereTheyGoWrong) {
  const std::string long_name(64, 'a');
  EXPECT_THAT(complaints("pools: {" + long_name + ": {kind: file, directory: /p}}\n"),
              ElementsAre("f.yaml:3:9: pools." + long_name + ": the name \"" + long_name +
                          "\" has 64 characters; at most 63 are allowed."));
  expect_complaints({
      {"hosts: {a: {nqn: \"nqn.26-11.com.example:x\"}}\n",
       {"f.yaml:3:18: hosts.a.nqn: \"nqn.26-11.com.example:x\" has no year and month after "
        "\"nqn.\"; write nqn.YYYY-MM.REVERSED.DOMAIN:NAME, for example "
        "nqn.2026-11.com.example:store1.db."}},
      {"hosts: {a: {nqn: \"nqn.2026-11.-:x\"}}\n",
       {"f.yaml:3:18: hosts.a.nqn: \"nqn.2026-11.-:x\" has no reversed domain name after the date, "
        "or no name after \":\"; write nqn.YYYY-MM.REVERSED.DOMAIN:NAME, for example "
        "nqn.2026-11.com.example:store1.db."}},
      {"listeners: {a: {protocol: nvme-tcp, address: \"10.0.0.1 x\"}}\n",
       {"f.yaml:3:46: listeners.a.address: \"10.0.0.1 x\" is not an IP address; write only the "
        "address."}},
  });
}

TEST(Build, APoolsUuidIsRead) {
  const ParseOutcome outcome = parse_text(
      std::string(heading) +
          "pools: {p: {kind: file, directory: /p, uuid: 6F0C7f9e-5a53-4b0e-9c51-2f4f4d1e7a10}}\n",
      "f.yaml");
  ASSERT_TRUE(outcome.config.has_value());
  EXPECT_EQ(outcome.config->pools.at("p").uuid->value.text(),
            "6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10");
  EXPECT_EQ(outcome.config->pools.at("p").uuid->at, (Position{3, 46}));
  expect_complaints({
      {"pools: {p: {kind: file, directory: /p, uuid: 5c0e}}\n",
       {"f.yaml:3:46: pools.p.uuid: \"5c0e\" is not a UUID; write one like "
        "1b4e28ba-2fa1-11d2-883f-0016d3cca427."}},
  });
}

}  // namespace
}  // namespace config
