// What each key of a cache device and of a volume's cache may be.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/config/complaints.h"

namespace config {
namespace {

using testing::ElementsAre;

TEST(Build, CacheDevicesHaveAPathAndWhatIsAskedOfIt) {
  expect_complaints({
      {"cache_devices:\n  a: {path: /dev/dax0.0}\n  b: {path: /b, uuid: "
       "6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10, require: byte, payload_crc: false}\n"
       "  c: {path: /c, require: page}\n",
       {}},
      {"cache_device:\n  c: {path: /c}\n",
       {"f.yaml:3:1: cache_device: unknown key; did you mean \"cache_devices\"?"}},
      {"cache_devices: [c]\n",
       {"f.yaml:3:16: cache_devices: is not a map; write \"NAME: ...\" entries below it."}},
      {"cache_devices:\n  c: /dev/dax0.0\n",
       {"f.yaml:4:6: cache_devices.c: is a single value; write keys and values below it."}},
      {"cache_devices: {on: {path: /c}}\n",
       {"f.yaml:3:17: cache_devices.on: on is a boolean in YAML 1.1; write \"on\" in quotes."}},
      {"cache_devices: {c: }\n",
       {"f.yaml:3:17: cache_devices.c: \"path\" is missing; add path: /dev/dax0.0, or a file."}},
      {"cache_devices:\n  c: {pth: /c, uid: x, requires: page, crc: true}\n",
       {"f.yaml:4:7: cache_devices.c.pth: unknown key; did you mean \"path\"?",
        "f.yaml:4:16: cache_devices.c.uid: unknown key; did you mean \"uuid\"?",
        "f.yaml:4:24: cache_devices.c.requires: unknown key; did you mean \"require\"?",
        "f.yaml:4:40: cache_devices.c.crc: unknown key; known: path, uuid, require, "
        "payload_crc."}},
      {"cache_devices:\n  c: {path: dax0.0, uuid: 6f0c, require: cacheline, payload_crc: yes}\n",
       {"f.yaml:4:13: cache_devices.c.path: \"dax0.0\" is not an absolute path; begin with \"/\".",
        "f.yaml:4:27: cache_devices.c.uuid: \"6f0c\" is not a UUID; write one like "
        "1b4e28ba-2fa1-11d2-883f-0016d3cca427.",
        "f.yaml:4:42: cache_devices.c.require: unknown value \"cacheline\"; did you mean "
        "\"cache-line\"?",
        "f.yaml:4:66: cache_devices.c.payload_crc: yes is a boolean in YAML 1.1 and a string in "
        "YAML 1.2; write true."}},
      {"cache_devices:\n  c: {path: /a/../b, require: fsync, payload_crc: \"true\"}\n",
       {"f.yaml:4:13: cache_devices.c.path: \"/a/../b\" goes back with \"..\"; write the path "
        "without it.",
        "f.yaml:4:31: cache_devices.c.require: unknown value \"fsync\"; use one of byte, "
        "cache-line, page.",
        "f.yaml:4:51: cache_devices.c.payload_crc: \"true\" is a string; write true without "
        "quotes."}},
      {"cache_devices:\n  c:\n    path:\n    uuid: ~\n    require: [page]\n",
       {"f.yaml:5:5: cache_devices.c.path: has no value; write one, or remove the key.",
        "f.yaml:6:5: cache_devices.c.uuid: has no value; write one, or remove the key.",
        "f.yaml:7:14: cache_devices.c.require: is a list; write one value."}},
  });
  EXPECT_THAT(complaints("cache_devices: {c: {path: /" + std::string(4095, 'x') + "}}\n"),
              ElementsAre("f.yaml:3:27: cache_devices.c.path: the path has 4096 bytes; at most "
                          "4095 are allowed."));
}

// The messages about one volume with this cache. It stands in line 5, and its value begins in
// column 43.
std::vector<std::string> complaints_about_cache(const std::string& cache) {
  return complaints(
      "pools: {p: {kind: file, directory: /p}}\ncache_devices: {c: {path: /c}}\n"
      "volumes: {v: {pool: p, size: 1GiB, cache: " +
      cache + "}}\n");
}

TEST(Build, CachesOfVolumesNameTheirDevice) {
  EXPECT_THAT(complaints_about_cache("{device: c}"), ElementsAre());
  EXPECT_THAT(
      complaints_about_cache("c"),
      ElementsAre(
          "f.yaml:5:43: volumes.v.cache: is a single value; write keys and values below it."));
  for (const char* empty : {"", "~", "{}"}) {
    EXPECT_THAT(
        complaints_about_cache(empty),
        ElementsAre("f.yaml:5:36: volumes.v.cache: \"device\" is missing; add device: NAME."))
        << empty;
  }
  EXPECT_THAT(
      complaints_about_cache("{devise: c, mod: write-back, max: 1GiB, age: 1s}"),
      ElementsAre("f.yaml:5:44: volumes.v.cache.devise: unknown key; did you mean \"device\"?",
                  "f.yaml:5:55: volumes.v.cache.mod: unknown key; did you mean \"mode\"?",
                  "f.yaml:5:72: volumes.v.cache.max: unknown key; did you mean \"maximum\"?",
                  "f.yaml:5:83: volumes.v.cache.age: unknown key; known: device, mode, "
                  "guaranteed, maximum, dirty_low, dirty_high, max_dirty_age, ordered."));
}

TEST(Build, CachesOfVolumesHaveAModeThatThereIs) {
  const auto with_mode = [](const std::string& mode) {
    return complaints_about_cache("{device: c, mode: " + mode + "}");
  };
  const std::string place = "f.yaml:5:61: volumes.v.cache.mode: ";
  for (const std::string mode :
       {"write-back", "write-through", "write-around", "pass-through", "read-only"}) {
    EXPECT_THAT(with_mode(mode), ElementsAre());
  }
  EXPECT_THAT(with_mode("writeback"),
              ElementsAre(place + "unknown value \"writeback\"; did you mean \"write-back\"?"));
  EXPECT_THAT(with_mode("fast"), ElementsAre(place + "unknown value \"fast\"; use one of "
                                                     "write-back, write-through, write-around, "
                                                     "pass-through, read-only."));
}

TEST(Build, VolumesSayWhatTheyNeedOfTheirCache) {
  const auto with = [](const std::string& volume) {
    return complaints(
        "pools: {p: {kind: file, directory: /p}}\ncache_devices: {c: {path: /c}}\n"
        "volumes: {v: {pool: p, size: 1GiB, atomic: " +
        volume + "}}\n");
  };
  const std::string place = "f.yaml:5:44: volumes.v.atomic: ";
  for (const char* good :
       {"offered", "offered, cache: {device: c, mode: write-around}",
        "required, cache: {device: c}", "required, cache: {device: c, mode: write-through}",
        "required, cache: {device: c, mode: read-only}"}) {
    EXPECT_THAT(with(good), ElementsAre()) << good;
  }
  EXPECT_THAT(with("always"),
              ElementsAre(place + "unknown value \"always\"; use one of offered, required."));
  EXPECT_THAT(
      with("required"),
      ElementsAre(place + "writes of several blocks are whole when power fails only through "
                          "a cache; give the volume one, or remove atomic."));
  for (const std::string mode : {"write-around", "pass-through"}) {
    EXPECT_THAT(with("required, cache: {device: c, mode: " + mode + "}"),
                ElementsAre(place + "in mode " + mode +
                            " writes go straight to the pool, where power failure may tear them; "
                            "take write-back or write-through, or remove atomic."));
  }
}

TEST(Build, CachesOfVolumesAreToldTheirLimits) {
  EXPECT_THAT(
      complaints_about_cache("{device: c, guaranteed: 512KiB, maximum: 129TiB, dirty_low: 0%, "
                             "dirty_high: 101%, max_dirty_age: 999ms}"),
      ElementsAre("f.yaml:5:67: volumes.v.cache.guaranteed: 512KiB is outside 1MiB to 128TiB.",
                  "f.yaml:5:84: volumes.v.cache.maximum: 129TiB is outside 1MiB to 128TiB.",
                  "f.yaml:5:103: volumes.v.cache.dirty_low: 0% is outside 1% to 100%.",
                  "f.yaml:5:119: volumes.v.cache.dirty_high: 101% is outside 1% to 100%.",
                  "f.yaml:5:140: volumes.v.cache.max_dirty_age: 999ms is outside 1s to 1d."));
  EXPECT_THAT(
      complaints_about_cache("{device: c, guaranteed: 1, maximum: 0GiB, dirty_low: 40, "
                             "dirty_high: half, max_dirty_age: 25h}"),
      ElementsAre("f.yaml:5:67: volumes.v.cache.guaranteed: \"1\" has no unit; write 1MiB, 1GiB "
                  "... (KiB MiB GiB TiB, or KB MB GB TB).",
                  "f.yaml:5:79: volumes.v.cache.maximum: 0GiB is outside 1MiB to 128TiB.",
                  "f.yaml:5:96: volumes.v.cache.dirty_low: \"40\" has no unit; write 40%.",
                  "f.yaml:5:112: volumes.v.cache.dirty_high: \"half\" is not a percentage; write "
                  "a whole number and %, for example 40%.",
                  "f.yaml:5:133: volumes.v.cache.max_dirty_age: 25h is outside 1s to 1d."));
}

TEST(Build, GuaranteedIsAtMostTheMaximum) {
  EXPECT_THAT(complaints_about_cache("{device: c, guaranteed: 1GiB, maximum: 1GiB}"),
              ElementsAre());
  EXPECT_THAT(complaints_about_cache("{device: c, guaranteed: 2GiB, maximum: 1GiB}"),
              ElementsAre("f.yaml:5:82: volumes.v.cache: guaranteed (2GiB) is more than maximum "
                          "(1GiB); lower it, or raise maximum."));
  EXPECT_THAT(complaints_about_cache("{device: c, maximum: 1GiB, guaranteed: 1.5GiB}"),
              ElementsAre("f.yaml:5:82: volumes.v.cache: guaranteed (1536MiB) is more than "
                          "maximum (1GiB); lower it, or raise maximum."));
}

TEST(Build, DirtyLowIsBelowDirtyHigh) {
  const std::string what_to_do = "; lower the one, or raise the other.";
  EXPECT_THAT(complaints_about_cache("{device: c, dirty_low: 99%, dirty_high: 100%}"),
              ElementsAre());
  EXPECT_THAT(complaints_about_cache("{device: c, dirty_high: 60%, dirty_low: 60%}"),
              ElementsAre("f.yaml:5:83: volumes.v.cache: dirty_low (60%) is not below dirty_high "
                          "(60%)" +
                          what_to_do));
  EXPECT_THAT(complaints_about_cache("{device: c, dirty_high: 40%}"),
              ElementsAre("f.yaml:5:67: volumes.v.cache: dirty_low (40% by default) is not below "
                          "dirty_high (40%)" +
                          what_to_do));
  EXPECT_THAT(complaints_about_cache("{device: c, dirty_low: 60%}"),
              ElementsAre("f.yaml:5:66: volumes.v.cache: dirty_low (60%) is not below dirty_high "
                          "(60% by default)" +
                          what_to_do));
  // What was meant is not known.
  EXPECT_THAT(complaints_about_cache("{device: c, dirty_low: 70%, dirty_high: 60}"),
              ElementsAre("f.yaml:5:83: volumes.v.cache.dirty_high: \"60\" has no unit; write "
                          "60%."));
}

}  // namespace
}  // namespace config
