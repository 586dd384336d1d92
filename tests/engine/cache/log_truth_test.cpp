// The truth table of the end of a log: each row says how it ends or is damaged, and the verdict.
#include <gtest/gtest.h>

#include <functional>

#include "tests/engine/cache/log_case.h"

namespace engine::test {
namespace {

struct TruthRow {
  const char* how;
  std::function<void(LogCase&)> make;
  std::string verdict;
  std::size_t notes = 0;
};

void check(const std::vector<TruthRow>& rows) {
  for (const TruthRow& row : rows) {
    SCOPED_TRACE(row.how);
    LogCase log;
    row.make(log);
    const LogReading reading = log.read();
    EXPECT_EQ(reading.verdict, row.verdict);
    EXPECT_EQ(reading.notes.size(), row.notes);
    // Whatever the verdict: what was read has no hole.
    for (std::size_t at = 1; at < reading.sequences.size(); ++at) {
      EXPECT_EQ(reading.sequences[at], reading.sequences[at - 1] + 1);
    }
  }
}

TEST(LogTruth, LegalEnds) {
  check({
      {"whole", [](LogCase&) {}, "end 7"},
      {"the next chunk begun, nothing in it", [](LogCase& log) { log.author().new_chunk(); },
       "end 7"},
      {"kset 8 torn in both copies",
       [](LogCase& log) { log.put(log.author().encode(8, 1, 3).first(64)); }, "end 7"},
      {"kset 8 torn in one, whole in the other",
       [](LogCase& log) {
         log.put(0, log.author().encode(8, 1, 3).first(64));
         log.put(1, log.author().encode(8, 1, 3));
       },
       "end 8", 1},
      {"zeros where kset 8 would be", [](LogCase& log) { log.put(std::vector<std::byte>(64)); },
       "end 7"},
      {"a stale kset of another volume there",
       [](LogCase& log) { log.put(log.author().encode(8, 1, 1, 99)); }, "end 7"},
      {"a stale kset of this volume and epoch there",
       [](LogCase& log) { log.put(log.author().encode(5, 1)); }, "end 7"},
      {"one copy unreadable there", [](LogCase& log) { log.pmem().poison(log.slot(1), {64}); },
       "end 7", 1},
      {"both unreadable behind a clean stop",
       [](LogCase& log) {
         log.set_epoch([](LogEpoch& epoch) { epoch.clean_end = 7; });
         log.pmem().poison(log.slot(0), {64});
         log.pmem().poison(log.slot(1), {64});
       },
       "end 7", 2},
      {"clean stop", [](LogCase& log) { log.set_epoch([](LogEpoch& e) { e.clean_end = 7; }); },
       "end 7"},
      {"known to be durable to the end",
       [](LogCase& log) { log.set_epoch([](LogEpoch& e) { e.known_durable = 7; }); }, "end 7"},
      {"the last kset bad in both, not known to be durable: cannot be told from a torn one",
       [](LogCase& log) { log.rot(7); }, "end 6"},
      {"a new epoch without a chunk", [](LogCase& log) { log.next_epoch(8); }, "end 7"},
  });
}

TEST(LogTruth, OneCopyIsEnough) {
  check({
      {"kset 3 rotted in copy 0", [](LogCase& log) { log.rot(3, 0); }, "end 7", 1},
      {"kset 3 rotted in copy 1", [](LogCase& log) { log.rot(3, 1); }, "end 7", 1},
      {"kset 3 unreadable in copy 0", [](LogCase& log) { log.poison(3, 0); }, "end 7", 1},
      {"kset 1 of 128 keys rotted in copy 0", [](LogCase& log) { log.rot(1, 0); }, "end 7", 1},
      {"the last kset rotted in copy 1", [](LogCase& log) { log.rot(7, 1); }, "end 7", 1},
      {"different ksets in different copies",
       [](LogCase& log) { log.rot(2, 0), log.rot(4, 1), log.rot(6, 0); }, "end 7", 3},
      {"header of chunk 2 gone in copy 0",
       [](LogCase& log) { log.erase_header(log.kset(5).chunk, 0); }, "end 7"},
      {"header of chunk 1 gone in copy 1",
       [](LogCase& log) { log.erase_header(log.kset(1).chunk, 1); }, "end 7"},
      {"one header gone, and the last kset rotted in the other copy",
       [](LogCase& log) { log.erase_header(log.kset(5).chunk, 1), log.rot(7, 0); }, "end 7", 1},
  });
}

TEST(LogTruth, LostKsets) {
  check({
      {"kset 3 bad in both", [](LogCase& log) { log.rot(3); }, "lost_kset 3 (5)"},
      {"kset 3 rotted in one, unreadable in the other",
       [](LogCase& log) { log.rot(3, 0), log.poison(3, 1); }, "lost_kset 3 (5)"},
      {"kset 4, the last of its chunk", [](LogCase& log) { log.rot(4); }, "lost_kset 4 (5)"},
      {"kset 1 of 128 keys", [](LogCase& log) { log.rot(1); }, "lost_kset 1 (5)"},
      {"kset 6, in the last chunk", [](LogCase& log) { log.rot(6); }, "lost_kset 6 (7)"},
      {"kset 6, and 7 is left in one copy only", [](LogCase& log) { log.rot(6), log.rot(7, 1); },
       "lost_kset 6 (7)"},
      {"kset 7, and a chunk behind it", [](LogCase& log) { log.author().new_chunk(), log.rot(7); },
       "lost_kset 7 (8)"},
      {"kset 9 where 8 belongs", [](LogCase& log) { log.put(log.author().encode(9, 1)); },
       "lost_kset 8 (9)"},
      {"both copies unreadable at the end",
       [](LogCase& log) {
         log.pmem().poison(log.slot(0), {64});
         log.pmem().poison(log.slot(1), {64});
       },
       "unreadable_end 8"},
      {"the last kset bad in both, known to be durable",
       [](LogCase& log) { log.set_epoch([](LogEpoch& e) { e.known_durable = 7; }), log.rot(7); },
       "ends_early 7 (7)"},
      {"the last kset bad in both, written back",
       [](LogCase& log) { log.set_tails([](LogTails& t) { t.dirty_tail = 7; }), log.rot(7); },
       "ends_early 7 (7)"},
      {"the last kset bad in both, meant to be written back",
       [](LogCase& log) { log.set_tails([](LogTails& t) { t.writeback_target = 7; }), log.rot(7); },
       "ends_early 7 (7)"},
      {"the last kset bad in both, of an earlier epoch",
       [](LogCase& log) { log.next_epoch(8), log.rot(7); }, "ends_early 7 (7)"},
      {"the last kset bad in both, after a clean stop",
       [](LogCase& log) { log.set_epoch([](LogEpoch& e) { e.clean_end = 7; }), log.rot(7); },
       "ends_early 7 (7)"},
      {"a kset behind a clean stop",
       [](LogCase& log) {
         log.set_epoch([](LogEpoch& e) { e.clean_end = 7; });
         log.put(log.author().encode(8, 1));
       },
       "beyond_clean_end 8 (8)"},
      {"a kset further behind a clean stop",
       [](LogCase& log) {
         log.set_epoch([](LogEpoch& e) { e.clean_end = 7; });
         poke(log.pmem(), log.slot(0) + ByteCount{640}, log.author().encode(12, 1));
       },
       "beyond_clean_end 8 (12)"},
      {"time goes back",
       [](LogCase& log) {
         const std::array keys{data_key(0)};
         std::array<std::byte, 64> space{};
         log.put(encode_kset(log.device().seal(),
                             {.volume_tag = 1, .epoch = 1, .sequence = 8, .time_ms = 5}, keys, 64,
                             space));
       },
       "time_went_back 8"},
      {"two different ksets 8",
       [](LogCase& log) {
         log.put(0, log.author().encode(8, 1, 1));
         log.put(1, log.author().encode(8, 1, 2));
       },
       "copies_differ 8"},
      {"kset 8 in one copy, 9 in the other",
       [](LogCase& log) {
         log.put(0, log.author().encode(8, 1));
         log.put(1, log.author().encode(9, 1));
       },
       "copies_differ 8"},
  });
}

TEST(LogTruth, LostAndWrongChunks) {
  check({
      {"the only chunk of a gap: both headers of chunk 1",
       [](LogCase& log) {
         log.erase_header(log.kset(1).chunk, 0), log.erase_header(log.kset(1).chunk, 1);
       },
       "missing_chunk 1 (5)"},
      {"both headers of chunk 2, between others",
       [](LogCase& log) {
         log.author().new_chunk();
         log.erase_header(log.kset(5).chunk, 0), log.erase_header(log.kset(5).chunk, 1);
       },
       "missing_chunk 5 (8)"},
      {"both headers of the last chunk: its ksets give it away",
       [](LogCase& log) {
         log.erase_header(log.kset(5).chunk, 0), log.erase_header(log.kset(5).chunk, 1);
       },
       "missing_chunk 5 (5)"},
      {"both headers of the last chunk, unreadable",
       [](LogCase& log) {
         log.pmem().poison(log.kset(5).chunk.places[0], {64});
         log.pmem().poison(log.kset(5).chunk.places[1], {64});
       },
       "missing_chunk 5 (5)"},
      {"a chunk of a coming epoch",
       [](LogCase& log) {
         LogChunk chunk = log.author().new_chunk();
         chunk.epoch = 2;
         log.write_header(chunk, 0), log.write_header(chunk, 1);
       },
       "chunk_disorder 8 (8)"},
      {"a chunk of a past epoch in this one",
       [](LogCase& log) {
         log.next_epoch(8);
         LogChunk chunk = log.author().new_chunk();
         chunk.epoch = 1;
         log.write_header(chunk, 0), log.write_header(chunk, 1);
       },
       "chunk_disorder 8 (8)"},
      {"a chunk that begins before the one before it",
       [](LogCase& log) {
         LogChunk chunk = log.author().new_chunk();
         chunk.first_sequence = 3;
         log.write_header(chunk, 0), log.write_header(chunk, 1);
       },
       "chunk_disorder 8 (3)"},
      {"a chunk that begins within the one before it",
       [](LogCase& log) {
         LogChunk chunk = log.author().new_chunk();
         chunk.first_sequence = 7;
         log.write_header(chunk, 0), log.write_header(chunk, 1);
       },
       "chunk_disorder 8 (7)"},
      {"two headers of one ordinal and copy",
       [](LogCase& log) {
         LogChunk chunk = log.author().new_chunk();
         chunk.ordinal = 2;
         log.write_header(chunk, 0), log.write_header(chunk, 1);
       },
       "chunk_disorder 5 (5)"},
      {"headers of one chunk that do not agree",
       [](LogCase& log) {
         LogChunk chunk = log.kset(5).chunk;
         chunk.first_sequence = 6;
         log.write_header(chunk, 1);
       },
       "chunk_disorder 5 (5)"},
  });
}

// F1: what an earlier epoch has left must not come back, even with the right sequence.
TEST(LogTruth, StaleKsetsOfAnEarlierEpoch) {
  check({
      {"kset 8 of epoch 1 turns up after epoch 2 began with 8, no chunk yet",
       [](LogCase& log) { log.next_epoch(8), log.put(log.author().encode(8, 1)); }, "end 7"},
      {"the same, and ksets of epoch 2",
       [](LogCase& log) {
         log.author().begin_epoch(8);
         log.author().new_chunk();
         log.author().append(), log.author().append();
         log.put(log.author().encode(8, 1));
       },
       "end 9"},
      {"kset 9 of epoch 1 lies where kset 9 of epoch 2 will be",
       [](LogCase& log) {
         log.author().begin_epoch(8);
         log.author().new_chunk();
         log.author().append();
         const auto next = log.author().place(1);
         for (std::size_t copy = 0; copy < 2; ++copy) {
           poke(log.pmem(), next.place(copy), log.author().encode(9, 1));
         }
       },
       "end 8"},
      {"ksets 9 and 10 of epoch 1 behind it",
       [](LogCase& log) {
         log.author().begin_epoch(8);
         log.author().new_chunk();
         log.author().append();
         for (std::uint64_t sequence : {9U, 10U}) {
           const auto next = log.author().place(1);
           for (std::size_t copy = 0; copy < 2; ++copy) {
             poke(log.pmem(), next.place(copy), log.author().encode(sequence, 1));
           }
         }
       },
       "end 8"},
      {"an epoch that has the low half of the current one, four billion openings ago",
       [](LogCase& log) {
         log.set_epoch(
             [](LogEpoch& e) { e.epoch = 0x1'0000'0001, e.first_sequence = 8, e.first_chunk = 3; });
         log.put(log.author().encode(8, 0x1'0000'0001));
       },
       "end 7"},
  });
}

TEST(LogTruth, WhatIsForgottenMayBeBad) {
  const auto forget = [](LogCase& log, std::uint64_t sequence, std::uint64_t chunk) {
    log.set_tails([=](LogTails& tails) {
      tails.key_tail = sequence, tails.key_tail_chunk = chunk;
      tails.dirty_tail = sequence, tails.dirty_tail_chunk = chunk;
    });
  };
  check({
      {"kset 2 bad, 3 is the last forgotten", [=](LogCase& log) { forget(log, 3, 1), log.rot(2); },
       "end 7", 1},
      {"ksets 1 to 3 bad, all forgotten",
       [=](LogCase& log) { forget(log, 3, 1), log.rot(1), log.rot(2), log.rot(3); }, "end 7", 1},
      {"kset 4 bad, the first that matters", [=](LogCase& log) { forget(log, 3, 1), log.rot(4); },
       "lost_kset 4 (5)"},
      {"the rest of chunk 1 bad and forgotten",
       [=](LogCase& log) { forget(log, 4, 1), log.rot(3), log.rot(4); }, "end 7", 1},
      {"chunk 1 forgotten and gone",
       [=](LogCase& log) {
         forget(log, 4, 2);
         log.erase_header(log.kset(1).chunk, 0), log.erase_header(log.kset(1).chunk, 1);
       },
       "end 7"},
      {"everything forgotten, the next chunk not there yet",
       [=](LogCase& log) { forget(log, 7, 3); }, "end 7"},
      {"everything forgotten, the next chunk begun",
       [=](LogCase& log) { forget(log, 7, 3), log.author().new_chunk(); }, "end 7"},
      {"everything forgotten, and kset 8 is there",
       [=](LogCase& log) { forget(log, 7, 3), log.author().new_chunk(), log.author().append(); },
       "end 8"},
      {"chunk 2 forgotten, but chunk 3 begins later",
       [=](LogCase& log) {
         forget(log, 6, 3);
         log.author().new_chunk();
       },
       "missing_chunk 7 (8)"},
  });
}

TEST(LogTruth, EmptyLogs) {
  const auto pmem = formatted_pmem();
  const auto device = open_device(*pmem);
  auto writer = must(DurableWriter::make(*pmem));
  must(device->volumes().attach(writer, new_volume(1)));
  EXPECT_EQ(read_log(*open_device(*pmem), 0).verdict, "end 0");  // never opened
  LogAuthor author(*device, 0);
  author.begin_epoch();
  EXPECT_EQ(read_log(*open_device(*pmem), 0).verdict, "end 0");  // no chunk
  author.new_chunk();
  EXPECT_EQ(read_log(*open_device(*pmem), 0).verdict, "end 0");  // no kset
}

TEST(LogTruth, ReadingStartsBehindEitherTail) {
  LogCase log;
  log.set_tails([](LogTails& t) {
    t.key_tail = 2, t.dirty_tail = 5, t.key_tail_chunk = 1, t.dirty_tail_chunk = 2;
  });
  const auto device = open_device(log.pmem(), CacheDevice::Access::inspect);
  const LogTails& tails = device->volumes()[0].tails;
  EXPECT_EQ(read_log(*device, 0, LogReader::from_key_tail(tails)).sequences,
            (std::vector<std::uint64_t>{3, 4, 5, 6, 7}));
  EXPECT_EQ(read_log(*device, 0, LogReader::from_dirty_tail(tails)).sequences,
            (std::vector<std::uint64_t>{6, 7}));
}

}  // namespace
}  // namespace engine::test
