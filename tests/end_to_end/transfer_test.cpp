// Data through every way it can take over the wire, with everything that ICReq and a listener can
// set.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

namespace io = client::io;

constexpr std::uint32_t mib = 1 << 20;

struct Space {
  std::uint32_t nsid;
  std::uint32_t block_bytes;
};
constexpr Space spaces[] = {{1, 4096}, {2, 512}};

// One block; what fits a capsule; what does not; what MDTS allows.
void exercise(Queue& queue, std::uint64_t seed) {
  for (const auto [nsid, block_bytes] : spaces) {
    for (const std::uint32_t bytes : {block_bytes, 8192U, 12288U, 65536U, mib}) {
      const auto lba = seed % 64;
      ASSERT_NO_FATAL_FAILURE(
          write_and_read_back(queue, nsid, lba, bytes / block_bytes, block_bytes, ++seed));
    }
  }
}

TEST(Transfer, DigestsInAllFourCombinationsAndBothBlockSizes) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  for (const bool header : {false, true}) {
    for (const bool data : {false, true}) {
      SCOPED_TRACE(fmt::format("header digest {}, data digest {}", header, data));
      Host host(daemon.endpoint(), {.transport = {.header_digest = header, .data_digest = data}});
      ASSERT_TRUE(host.connected());
      EXPECT_EQ(host.queue->negotiated().header_digest, header);
      EXPECT_EQ(host.queue->negotiated().data_digest, data);
      exercise(*host.queue, header * 20 + data * 10);
    }
  }
}

TEST(Transfer, AListenerMayRequireDigestsOrRefuseThem) {
  Workplace workplace;
  ConfigText config = memory_config();
  config.listeners = {{.name = "must", .options = "digests: required"},
                      {.name = "never", .options = "digests: refused"}};
  config.subsystems[0].listeners = "[must, never]";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  for (const bool header : {false, true}) {
    for (const bool data : {false, true}) {
      SCOPED_TRACE(fmt::format("header digest {}, data digest {}", header, data));
      const client::TransportOptions transport{.header_digest = header, .data_digest = data};
      const auto must = Queue::open(daemon.endpoint(0), transport);
      EXPECT_EQ(must.has_value(), header && data);
      if (!must) {
        EXPECT_EQ(must.error().kind, client::ErrorKind::terminated) << must.error().describe();
      }
      Host never(daemon.endpoint(1), {.transport = transport});
      ASSERT_TRUE(never.connected());
      EXPECT_FALSE(never.queue->negotiated().header_digest);
      EXPECT_FALSE(never.queue->negotiated().data_digest);
      exercise(*never.queue, 1);
    }
  }
}

TEST(Transfer, C2hDataIsAlignedAsHpdaAsks) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  for (const int hpda : {0, 1, 2, 7, 15, 31}) {  // the client's referee checks each PDO
    for (const bool digests : {false, true}) {
      SCOPED_TRACE(fmt::format("HPDA {}, digests {}", hpda, digests));
      Host host(daemon.endpoint(), {.transport = {.header_digest = digests,
                                                  .data_digest = digests,
                                                  .hpda = static_cast<std::uint8_t>(hpda)}});
      ASSERT_TRUE(host.connected());
      exercise(*host.queue, static_cast<std::uint64_t>(hpda));
    }
  }
}

TEST(Transfer, H2cDataInPiecesOfAnySize) {
  Workplace workplace;
  ConfigText config = memory_config();
  for (const char* size : {"4KiB", "128KiB", "1MiB"}) {
    config.listeners.push_back(
        {.name = fmt::format("l{}", size), .options = fmt::format("max_h2c_data: {}", size)});
  }
  config.subsystems[0].listeners = "[l4KiB, l128KiB, l1MiB]";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  constexpr std::uint32_t limits[] = {4096, 131072, mib};
  for (std::size_t listener = 0; listener < 3; ++listener) {
    for (const bool digests : {false, true}) {
      Host host(daemon.endpoint(listener),
                {.transport = {.header_digest = digests, .data_digest = digests}});
      ASSERT_TRUE(host.connected());
      EXPECT_EQ(host.queue->negotiated().maxh2cdata, limits[listener]);
      for (const std::uint32_t piece : {4U, 508U, 4092U, 4096U, 12288U, 131072U, mib}) {
        SCOPED_TRACE(fmt::format("listener {}, pieces of {}", listener, piece));
        const Bytes data = pattern(piece == 4 ? 16384 : 262144, piece);
        auto command = io::write(1, 8, data, 4096);
        command.transfer = client::Transfer::by_r2t;
        command.h2c_piece_bytes = piece;
        EXPECT_EQ(status_of(*host.queue, command), 0);
        EXPECT_TRUE(read(*host.queue, 1, 8, static_cast<std::uint32_t>(data.size() / 4096), 4096) ==
                    data);
      }
    }
  }
}

// The default: a host that takes several R2Ts for one write gets them.
TEST(Transfer, LargeWritesOpenSeveralR2TsWhereTheHostTakesThem) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  for (const std::uint32_t taken : {1U, 2U, 16U}) {
    Host host(daemon.endpoint(), {.transport = {.outstanding_r2t = taken}});
    ASSERT_TRUE(host.connected());
    const Bytes data = pattern(mib, taken);
    auto command = io::write(1, 0, data, 4096);
    command.hold_data = true;
    const auto cid = host.queue->submit(std::move(command));
    ASSERT_GOOD(cid);
    const std::uint32_t expected = std::min(taken, 4U);
    std::vector<client::R2t> open;
    for (std::uint32_t i = 0; i < expected; ++i) {
      const auto r2t = host.queue->await_r2t(cid.value());
      ASSERT_GOOD(r2t);
      EXPECT_EQ(r2t.value().bytes, taken == 1 ? mib : mib / 4);
      open.push_back(r2t.value());
    }
    while (!open.empty()) {
      ASSERT_GOOD(host.queue->answer(open.back()));
      open.pop_back();
      if (taken != 2 || host.queue->r2t_seen() == 4) continue;
      const auto r2t = host.queue->await_r2t(cid.value());
      ASSERT_GOOD(r2t);
      open.push_back(r2t.value());
    }
    const auto answer = host.queue->await(cid.value());
    ASSERT_GOOD(answer);
    EXPECT_EQ(answer.value().status, 0);
    EXPECT_TRUE(read(*host.queue, 1, 0, 256, 4096) == data);
  }
}

// The R2Ts of several commands are answered in another order than they came, and in turns.
TEST(Transfer, WritesWhoseDataIsInterleavedDoNotMix) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  for (const std::uint32_t outstanding : {1U, 2U, 4U, 16U}) {
    SCOPED_TRACE(fmt::format("MAXR2T {}", outstanding));
    Host host(daemon.endpoint(), {.transport = {.outstanding_r2t = outstanding}});
    ASSERT_TRUE(host.connected());
    constexpr std::uint32_t bytes = 128 * 1024;
    constexpr std::uint64_t commands = 4;
    std::vector<std::uint16_t> cids;
    for (std::uint64_t i = 0; i < commands; ++i) {
      auto command = io::write(1, i * 32, pattern(bytes, outstanding * 10 + i), 4096);
      command.hold_data = true;
      const auto cid = host.queue->submit(std::move(command));
      ASSERT_GOOD(cid);
      cids.push_back(cid.value());
    }
    std::vector<std::uint32_t> sent(commands);
    std::vector<client::R2t> open(commands);
    for (std::uint64_t i = commands; i-- > 0;) {
      const auto r2t = host.queue->await_r2t(cids[i]);
      ASSERT_GOOD(r2t);
      open[i] = r2t.value();
    }
    for (bool busy = true; busy;) {
      busy = false;
      for (std::uint64_t i = commands; i-- > 0;) {
        if (sent[i] == bytes) continue;
        busy = true;
        if (sent[i] == open[i].offset + open[i].bytes) {
          const auto r2t = host.queue->await_r2t(cids[i]);
          ASSERT_GOOD(r2t);
          open[i] = r2t.value();
        }
        const std::uint32_t piece = std::min(8192U, open[i].offset + open[i].bytes - sent[i]);
        ASSERT_GOOD(host.queue->send_data(open[i], sent[i], piece,
                                          sent[i] + piece == open[i].offset + open[i].bytes));
        sent[i] += piece;
      }
    }
    for (const auto cid : cids) {
      const auto done = host.queue->await(cid);
      ASSERT_GOOD(done);
      EXPECT_TRUE(done.value().ok()) << done.value().describe();
    }
    for (std::uint64_t i = 0; i < commands; ++i) {
      EXPECT_TRUE(read(*host.queue, 1, i * 32, 32, 4096) == pattern(bytes, outstanding * 10 + i));
    }
  }
}

TEST(Transfer, TheCapsuleTakesWhatTheListenerSaysAndNoMore) {
  Workplace workplace;
  ConfigText config = memory_config();
  config.listeners = {{.name = "small", .options = "in_capsule_data: 8KiB"},
                      {.name = "large", .options = "in_capsule_data: 64KiB"}};
  config.subsystems[0].listeners = "[small, large]";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  for (std::size_t listener = 0; listener < 2; ++listener) {
    const std::uint32_t limit = listener == 0 ? 8192 : 65536;
    for (const bool digests : {false, true}) {
      SCOPED_TRACE(fmt::format("limit {}, digests {}", limit, digests));
      Host host(daemon.endpoint(listener),
                {.transport = {.header_digest = digests, .data_digest = digests}});
      ASSERT_TRUE(host.connected());
      EXPECT_EQ(host.controller->data().in_capsule_bytes(), limit);
      for (const auto [nsid, block_bytes] : spaces) {
        write_and_read_back(*host.queue, nsid, 3, limit / block_bytes, block_bytes, 7);
      }
      EXPECT_EQ(host.queue->r2t_seen(), 0U);
      write_and_read_back(*host.queue, 1, 3, limit / 4096 + 1, 4096, 8);
      EXPECT_GE(host.queue->r2t_seen(), 1U);
    }
  }
}

TEST(Transfer, SuccessStandsForTheResponseOnlyWhereItMay) {
  Workplace workplace;
  ConfigText config = memory_config();
  config.listeners = {{.name = "with", .options = "c2h_success: true"},
                      {.name = "without", .options = "c2h_success: false"}};
  config.subsystems[0].listeners = "[with, without]";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  for (std::size_t listener = 0; listener < 2; ++listener) {
    for (const bool flow_control : {false, true}) {
      SCOPED_TRACE(fmt::format("listener {}, flow control {}", listener, flow_control));
      const auto controller = attach(daemon.endpoint(listener));
      ASSERT_TRUE(controller);
      const auto queue = open_queue(*controller, 1, 64, flow_control);
      ASSERT_TRUE(queue);
      EXPECT_EQ(queue->flow_control(), flow_control);
      for (int i = 0; i < 200; ++i) {  // around the queue several times: SQHD wraps
        const auto done = queue->execute(io::read(1, 0, 1, 4096));
        ASSERT_GOOD(done);
        ASSERT_TRUE(done.value().ok()) << done.value().describe();
        EXPECT_EQ(done.value().by_success_flag, listener == 0 && !flow_control);
      }
    }
  }
}

TEST(Transfer, LargeTransfersUpToMdtsAndAStatusBeyondIt) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_EQ(host.controller->data().largest_transfer_bytes(), mib);
  // As a host splits 32 MiB of direct I/O: all of it in flight at once.
  std::vector<std::uint16_t> cids;
  for (std::uint64_t i = 0; i < 32; ++i) {
    const auto cid = host.queue->submit(io::write(1, i * 256, pattern(mib, i), 4096));
    ASSERT_GOOD(cid);
    cids.push_back(cid.value());
  }
  for (const auto cid : cids) {
    const auto done = host.queue->await(cid);
    ASSERT_GOOD(done);
    ASSERT_TRUE(done.value().ok()) << done.value().describe();
  }
  cids.clear();
  for (std::uint64_t i = 0; i < 32; ++i) {
    const auto cid = host.queue->submit(io::read(1, i * 256, 256, 4096));
    ASSERT_GOOD(cid);
    cids.push_back(cid.value());
  }
  for (std::uint64_t i = 0; i < 32; ++i) {
    const auto done = host.queue->await(cids[i]);
    ASSERT_GOOD(done);
    ASSERT_TRUE(done.value().ok()) << done.value().describe();
    EXPECT_TRUE(done.value().data == pattern(mib, i)) << "MiB " << i;
  }
  constexpr std::uint16_t invalid_field = 0x02;
  EXPECT_EQ(status_of(*host.queue, io::read(1, 0, 257, 4096)), invalid_field);
  EXPECT_EQ(status_of(*host.queue, io::write(1, 0, Bytes(mib + 4096), 4096)), invalid_field);
  write_and_read_back(*host.queue, 1, 0, 256, 4096, 99);
}

// Neighbours share the 4096-byte blocks of the disk: each keeps its own bytes.
TEST(Transfer, UnalignedWritesOf512ByteBlocksLeaveTheirNeighboursAlone) {
  Workplace workplace;
  for (const bool on_disk : {false, true}) {
    SCOPED_TRACE(on_disk ? "file pool" : "memory pool");
    Daemon daemon(workplace, on_disk ? file_config(workplace.make_pool("pool")) : memory_config());
    ASSERT_TRUE(daemon.start());
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    constexpr std::uint32_t blocks = 64;
    Bytes model = pattern(blocks * 512, 1);
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 2, 0, model, 512));
    std::uint64_t seed = 2;
    for (const std::uint32_t lba : {0U, 1U, 3U, 7U, 8U, 9U, 15U, 31U}) {
      for (const std::uint32_t count : {1U, 2U, 7U, 8U, 9U, 17U}) {
        const Bytes data = pattern(count * 512, ++seed);
        ASSERT_NO_FATAL_FAILURE(write(*host.queue, 2, lba, data, 512));
        std::copy(data.begin(), data.end(), model.begin() + lba * 512);
        ASSERT_TRUE(read(*host.queue, 2, 0, blocks, 512) == model) << count << " blocks at " << lba;
        EXPECT_TRUE(read(*host.queue, 2, lba, count, 512) == data);
      }
    }
    daemon.stop();
  }
}

// Reads of more than 16 KiB leave from where they lie in the cache, whatever a write does
// meanwhile.
TEST(Transfer, LargeReadsAreSentFromTheCacheItself) {
  Workplace workplace;
  ConfigText config = file_config(workplace.make_pool("pool"));
  config.caches = {{.name = "front", .path = workplace.make_cache("front", "32MiB")}};
  config.volumes[0].cache = "device: front, max_dirty_age: 1h";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  constexpr std::uint32_t blocks = 32;
  constexpr std::uint64_t extents = 96;  // 12 MiB: a segment of them may be pinned
  for (const bool digests : {false, true}) {
    Host host(daemon.endpoint(), {.transport = {.header_digest = digests, .data_digest = digests}});
    ASSERT_TRUE(host.connected());
    for (std::uint64_t at = 0; at < extents; ++at) {
      ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, at * blocks, pattern(blocks * 4096, at), 4096));
    }
    const auto in_place = [&] {
      return named(daemon.status(), "caches", "front").at("reads_in_place").to_number<int>();
    };
    // How much may be pinned is known when its keeper has looked.
    const int before = in_place();
    for (std::uint64_t round = 0; in_place() < before + 20; ++round) {
      ASSERT_LT(round, 10'000U) << "no read is sent from the cache";
      const std::uint64_t at = round * 7 % extents;
      ASSERT_TRUE(read(*host.queue, 1, at * blocks, blocks, 4096) == pattern(blocks * 4096, at));
    }
    EXPECT_GE(named(daemon.status(), "caches", "front").at("bytes_in_place").to_number<int>(),
              20 * static_cast<int>(blocks) * 4096);
    // What is asked for behind a write is that write's.
    for (std::uint64_t at = 0; at < extents; ++at) {
      ASSERT_NO_FATAL_FAILURE(
          write_and_read_back(*host.queue, 1, at * blocks, blocks, 4096, 1000 + at));
    }
  }
  // All of it was stored, and made durable write by write.
  constexpr std::uint64_t writes = 4 * extents;
  const auto count = [&](const char* what) {
    return named(daemon.status(), "caches", "front").at(what).to_number<std::uint64_t>();
  };
  for (int tries = 0; count("stored_bytes") < writes * blocks * 4096; ++tries) {
    ASSERT_LT(tries, 1000) << "not all that was stored is counted";
    std::this_thread::sleep_for(Milliseconds{10});
  }
  EXPECT_GE(count("fences"), writes);
  EXPECT_GE(count("stores"), writes);
}

// Eight neighbours of one 4096-byte block written at the same time from several queues.
TEST(Transfer, ConcurrentUnalignedWritesDoNotUndoEachOther) {
  Workplace workplace;
  ConfigText config = file_config(workplace.make_pool("pool"));
  config.reactors = 2;
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const auto controller = attach(daemon.endpoint());
  ASSERT_TRUE(controller);
  std::vector<std::unique_ptr<Queue>> queues;
  for (std::uint16_t id = 1; id <= 4; ++id) {
    queues.push_back(open_queue(*controller, id));
    ASSERT_TRUE(queues.back());
  }
  for (std::uint64_t round = 0; round < 25; ++round) {
    for (std::uint64_t block = 0; block < 32; ++block) {
      ASSERT_GOOD(queues[block % 4]->submit(
          io::write(2, 5 + block, pattern(512, round * 100 + block), 512)));
    }
    for (const auto& queue : queues) {
      while (queue->in_flight() > 0) {
        const auto done = queue->await_any();
        ASSERT_GOOD(done);
        ASSERT_TRUE(done.value().ok()) << done.value().describe();
      }
    }
    const Bytes all = read(*queues[round % 4], 2, 5, 32, 512);
    ASSERT_EQ(all.size(), 32U * 512);
    for (std::uint64_t block = 0; block < 32; ++block) {
      const auto got = std::span(all).subspan(block * 512, 512);
      const Bytes wanted = pattern(512, round * 100 + block);
      ASSERT_TRUE(std::equal(got.begin(), got.end(), wanted.begin()))
          << "round " << round << " block " << block;
    }
  }
}

}  // namespace
}  // namespace end_to_end
