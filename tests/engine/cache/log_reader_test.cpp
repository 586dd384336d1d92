// Logs under systematic damage: every byte of one copy, every byte of both, every tear of the last.
#include "engine/cache/log_reader.h"

#include <gtest/gtest.h>

#include "engine/cache/log_heal.h"
#include "tests/engine/cache/cache_kit.h"
#include "tests/engine/cache/log_reading.h"

namespace engine::test {
namespace {

constexpr std::uint64_t last_kset = 9;

// Ksets 1 to 9 in three chunks, of different sizes.
struct Log {
  std::unique_ptr<SimPmem> pmem = formatted_pmem();
  std::unique_ptr<CacheDevice> device = open_device(*pmem);
  std::unique_ptr<LogAuthor> author;
  std::vector<LogAuthor::Written> ksets;

  Log() {
    auto writer = must(DurableWriter::make(*pmem));
    must(device->volumes().attach(writer, new_volume(1)));
    author = std::make_unique<LogAuthor>(*device, 0);
    author->begin_epoch();
    for (std::uint64_t kset = 1; kset <= last_kset; ++kset) {
      if (kset == 4 || kset == 7) author->new_chunk();
      ksets.push_back(author->append(kset % 3 + 1));
    }
  }
  LogReading read() { return read_log(*open_device(*pmem, CacheDevice::Access::inspect), 0); }
};

TEST(LogReader, AnyBitOfOneCopyIsHealed) {
  Log log;
  for (const auto& kset : log.ksets) {
    const std::uint64_t length = kset_bytes(kset.sequence % 3 + 1, 32);
    for (std::uint64_t byte = 0; byte < length; ++byte) {
      for (std::size_t copy = 0; copy < 2; ++copy) {
        const MediaOffset place = kset.place(copy) + ByteCount{byte};
        flip_bit(*log.pmem, place, static_cast<unsigned>(byte));
        const LogReading reading = log.read();
        ASSERT_EQ(reading.verdict, "end 9") << kset.sequence << " " << byte;
        ASSERT_EQ(reading.notes.size(), 1U);
        EXPECT_EQ(reading.notes[0].sequence, kset.sequence);
        EXPECT_EQ(reading.notes[0].copy, copy);
        flip_bit(*log.pmem, place, static_cast<unsigned>(byte));
      }
    }
  }
}

TEST(LogReader, AnyBitOfBothCopiesIsDamageAndNoSilentEnd) {
  Log log;
  for (const auto& kset : log.ksets) {
    if (kset.sequence == last_kset) continue;  // see LogTruth: cannot be told from a torn one
    const std::uint64_t length = kset_bytes(kset.sequence % 3 + 1, 32);
    for (std::uint64_t byte = 0; byte < length; ++byte) {
      const std::uint64_t other = (byte * 7 + 3) % length;
      flip_bit(*log.pmem, kset.place(0) + ByteCount{byte}, 3);
      flip_bit(*log.pmem, kset.place(1) + ByteCount{other}, 5);
      const LogReading reading = log.read();
      ASSERT_EQ(reading.verdict.substr(0, 11), "lost_kset " + std::to_string(kset.sequence))
          << byte << " " << other;
      EXPECT_EQ(reading.sequences.size(), kset.sequence - 1);
      flip_bit(*log.pmem, kset.place(0) + ByteCount{byte}, 3);
      flip_bit(*log.pmem, kset.place(1) + ByteCount{other}, 5);
    }
  }
  EXPECT_EQ(log.read().verdict, "end 9");
}

// Any multiple of eight bytes of each copy has reached the media, in any order of the two.
TEST(LogReader, TornLastKsetIsTheEndOrWhole) {
  Log log;
  const auto next = log.author->place(3);
  const auto encoded = log.author->encode(next.sequence, 1, 3);
  const std::vector<std::byte> bytes(encoded.begin(), encoded.end());
  const std::size_t used = 32 + 3 * 32;
  for (std::size_t first = 0; first <= used; first += 8) {
    for (std::size_t second = 0; second <= used; second += 8) {
      wipe(*log.pmem, next.place(0), next.length);
      wipe(*log.pmem, next.place(1), next.length);
      poke(*log.pmem, next.place(0), std::span(bytes).first(first));
      // The other copy has its end only.
      poke(*log.pmem, next.place(1) + ByteCount{used - second},
           std::span(bytes).subspan(used - second, second));
      const LogReading reading = log.read();
      const bool whole = first == used || second == used;
      // The last 8 bytes of the last key are zeros: without them it is whole too.
      const bool nearly = first + 8 >= used;
      if (!whole && nearly) continue;
      ASSERT_EQ(reading.verdict, whole ? "end 10" : "end 9") << first << " " << second;
    }
  }
}

TEST(LogReader, HealingMakesBothCopiesEqual) {
  Log log;
  flip_bit(*log.pmem, log.ksets[1].place(0) + ByteCount{33});
  log.pmem->poison(log.ksets[4].place(1), ByteCount{64});
  flip_bit(*log.pmem, log.ksets[7].place(1) + ByteCount{5});
  {
    const auto device = open_device(*log.pmem);
    auto writer = must(DurableWriter::make(*log.pmem));
    const LogReading reading = read_log(*device, 0);
    ASSERT_EQ(reading.notes.size(), 3U);
    const auto& chunks = device->chunks_of(0).chunks;
    must(settle_log_end(writer, device->layout(), chunks, reading.end));
    for (const LogNote& note : reading.notes) {
      must(heal_kset(writer, *log.pmem, device->layout(), device->seal(), chunks[note.chunk - 1],
                     note));
    }
    must(writer.settle());
  }
  const LogReading reading = log.read();
  EXPECT_EQ(reading.verdict, "end 9");
  EXPECT_TRUE(reading.notes.empty());
}

TEST(LogReader, KeysAreThoseWritten) {
  Log log;
  const auto device = open_device(*log.pmem);
  const LogView view{.volume = device->volumes()[0], .of = device->chunks_of(0)};
  LogReader reader(device->region(), device->layout(), device->seal(), view, {});
  while (const auto kset = must(reader.next())) {
    const std::uint64_t sequence = kset->view.stamp.sequence;
    ASSERT_EQ(kset->view.keys.size(), sequence % 3 + 1);
    EXPECT_EQ(kset->view.keys[0].sector, sequence * 8);
    EXPECT_EQ(kset->view.stamp.time_ms, LogAuthor::time_of(sequence));
    EXPECT_EQ(kset->view.stamp.epoch, 1U);
  }
  EXPECT_EQ(reader.end().chunk, 3U);
  EXPECT_EQ(reader.last_time_ms(), LogAuthor::time_of(9));
}

// The same over media of page granularity, where ksets have a page each.
TEST(LogReader, PageGranularity) {
  SimPmemPages pages({1U << 20});
  FormatOptions options = small_format();
  options.layout.chunk_bytes = 16U << 10;
  must(format_cache(pages, options));
  const auto device = open_device(pages);
  EXPECT_EQ(device->layout().kset_alignment, 4096U);
  auto writer = must(DurableWriter::make(pages));
  must(device->volumes().attach(writer, new_volume(1)));
  LogAuthor author(*device, 0);
  author.begin_epoch();
  for (int kset = 0; kset < 7; ++kset) (void)author.append(128);
  pages.poison(author.chunks()[1].places[1], ByteCount{4096});
  const auto reopened = open_device(pages);
  EXPECT_EQ(read_log(*reopened, 0).verdict, "end 7");
  // The header on the unreadable page is there again.
  EXPECT_TRUE(open_device(pages)->findings().empty());
}

}  // namespace
}  // namespace engine::test
