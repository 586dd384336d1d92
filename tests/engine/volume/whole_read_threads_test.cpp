// Who reads while others write sees of each write all or nothing.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>

#include "engine/foundation/clock.h"
#include "tests/engine/cache/volume_cache_kit.h"

namespace engine::test::whole_read_threads {
namespace {

// Across the border of two stripes, so that it becomes visible in two steps.
constexpr SectorRange written{{stripe_sectors - 1}, {2}};
constexpr std::uint64_t writes = 20'000;

struct Done final : CompletionSink {
  void complete(CommitRecord& /*record*/) override { ++count; }
  std::atomic<std::uint64_t> count{0};
};

std::uint64_t number_of(std::span<const std::byte> sector) {
  std::uint64_t number = 0;
  std::memcpy(&number, sector.data(), sizeof(number));
  return number;
}

class WholeRead : public testing::Test {
 protected:
  WholeRead() {
    (void)must(device->volumes().attach(writer, new_volume(1)));
    volume = must(recover_volume(*device, 0, memory, clock, writer)).cache;
  }

  void write_all() {
    const auto actor = must(CacheActor::make(*device));
    Done done;
    CommitRecord record(done);
    std::array<std::byte, 1024> data{};
    for (std::uint64_t number = 1; number <= writes; ++number) {
      for (const std::size_t at : {0U, 512U}) {
        std::memcpy(data.data() + at, &number, sizeof(number));
      }
      ASSERT_TRUE(volume->write(*actor, record, written, data));
      while (actor->end_turn() || done.count < number) std::this_thread::yield();
    }
  }
  // While it goes on; both numbers of what is read.
  template <class Read>
  void read_meanwhile(Read read) {
    std::atomic<bool> is_over{false};
    std::jthread host([&] {
      write_all();
      is_over = true;
    });
    std::uint64_t torn = 0;
    std::uint64_t last = 0;
    while (!is_over) {
      const auto found = read();
      torn += found[0] != found[1] ? 1 : 0;
      EXPECT_GE(found[0], last);
      last = found[0];
    }
    EXPECT_EQ(torn, 0U);
  }

  const std::unique_ptr<PmemRegion> region = threads_pmem();
  const SystemClock clock;
  IndexMemory memory{64_MiB};
  const std::unique_ptr<CacheDevice> device = open_device(*region);
  DurableWriter writer = must(DurableWriter::make(*region));
  std::unique_ptr<VolumeCache> volume;
};

TEST_F(WholeRead, CopiesAreOfOneMoment) {
  read_meanwhile([&] {
    std::array<std::byte, 1024> bytes{};
    volume->read(written, bytes, ExtentIndex::Heat::keep, [](const CacheGap&) {});
    return std::array{number_of(std::span(bytes).first(512)),
                      number_of(std::span(bytes).last(512))};
  });
}

TEST_F(WholeRead, PinsAreOfOneMoment) {
  read_meanwhile([&] {
    std::array<VolumeCache::Hit, 2> hits;
    std::array<std::uint64_t, 2> numbers{};
    const std::size_t count = volume->pin_front(written, hits);
    EXPECT_TRUE(count == 0 || count == 2) << count;
    for (std::size_t at = 0; at < count; ++at) {
      const auto bytes = region->view({hits[at].value.place.value * 512}, {512});
      EXPECT_TRUE(bytes);
      if (bytes) numbers[at] = number_of(bytes.value());
    }
    return numbers;
  });
}

}  // namespace
}  // namespace engine::test::whole_read_threads
