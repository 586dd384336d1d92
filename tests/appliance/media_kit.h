// Cache files for the real forebay-media, and what it says about them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "engine/media/open_pmem.h"
#include "tests/end_to_end/harness/process.h"
#include "tests/engine/cache/written_cache.h"
#include "tests/engine/file_content.h"

namespace media::test {

using engine::file_content;
using engine::test::WrittenCache;

inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

// A directory of its own, gone afterwards.
class MediaTest : public testing::Test {
 protected:
  MediaTest() {
    std::string name = "/var/tmp/forebay-media-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  ~MediaTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  [[nodiscard]] std::string path(std::string_view name) const {
    return directory_ + "/" + std::string(name);
  }
  // The cache at rest, as a file.
  std::string file_of(WrittenCache& cache, std::string_view name = "cache") {
    const std::string file = path(name);
    const auto content = cache.pmem().content();
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()),
               static_cast<std::streamsize>(content.size()));
    return file;
  }
  // Cache-line granularity, as the caches above have been formatted for.
  [[nodiscard]] static end_to_end::Outcome media(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), FOREBAY_MEDIA);
    return end_to_end::run(
        {.arguments = std::move(arguments), .environment = {"PMEM2_FORCE_GRANULARITY=CACHE_LINE"}});
  }
  // The output with this machine's own taken out, held against tests/appliance/golden/NAME. With
  // FOREBAY_WRITE_GOLDEN set it is written there instead: look at the difference.
  void expect_golden(const std::string& name, std::string output) const {
    replace_all(output, directory_ + "/", "");
    for (const char* medium : {"tmpfs", "file"}) {
      replace_all(output, "cache line (emulated on " + std::string(medium) + ", not durable)",
                  "GUARANTEE");
    }
    const std::string golden = std::string(FOREBAY_GOLDEN) + "/" + name;
    if (std::getenv("FOREBAY_WRITE_GOLDEN") != nullptr) {
      std::ofstream(golden) << output;
      return;
    }
    EXPECT_EQ(output, file_content(golden)) << output;
  }

 private:
  std::string directory_;
};

}  // namespace media::test
