// The Engine over cached volumes under load: many threads, restarts, kill -9; what is read is what
// was written last, or was under way.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <csignal>
#include <cstring>
#include <map>
#include <optional>

#include "engine/foundation/random.h"
#include "tests/engine/volume/cached_engine_kit.h"

namespace engine {
namespace {

using Kind = VolumeIo::Kind;

class CachedEngineLoad : public CachedEngine {
 protected:
  CachedEngineLoad() {
    std::filesystem::remove(path_of("pmem0"));
    cache_uuid = make_cache("pmem0", 16_MiB);  // much less than the volumes hold
  }
  void kill_again_and_again(bool mode_changes);
};

// A block's bytes follow from its address and the value that it was written with; 0: zeros.
// Not byte by byte: this is not optimised, and a sanitizer looks at each of them.
void fill_block(std::span<std::byte> bytes, std::uint64_t lba, std::uint64_t value) {
  std::memset(bytes.data(), 0, bytes.size());
  if (value == 0) return;
  SeededRandom(value * 1'000'003 + lba).fill(bytes.first(bytes.size() - sizeof(value)));
  std::memcpy(bytes.last(sizeof(value)).data(), &value, sizeof(value));
}
// nullopt: it is not what any value makes of it.
std::optional<std::uint64_t> value_of(std::span<const std::byte> bytes, std::uint64_t lba) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.last(sizeof(value)).data(), sizeof(value));
  std::vector<std::byte> expected(bytes.size());
  fill_block(expected, lba, value);
  const bool is_same = std::memcmp(bytes.data(), expected.data(), bytes.size()) == 0;
  return is_same ? std::optional(value) : std::nullopt;
}

// ---- threads

// A part of a volume that one thread has to itself, in this life and in the next.
struct Part {
  std::string volume;
  std::uint64_t begin = 0;
  std::vector<std::uint64_t> values;  // by block
  SeededRandom random;
  std::uint64_t next_value = 1;
};

struct Worker {
  Engine& engine;
  MemoryBudget& budget;
  Part& part;
  std::unique_ptr<UringLane> lane = std::move(UringLane::create(budget).value());

  ~Worker() { finish(*lane); }
  void step() {
    Volume& volume = *engine.find(part.volume);
    const std::uint64_t block = volume.identity().block_size.bytes;
    const std::uint64_t at = part.random.below(part.values.size());
    const std::uint64_t count =
        1 + part.random.below(std::min<std::uint64_t>(32, part.values.size() - at));
    std::vector<std::byte> bytes(count * block);
    const auto of = [&](std::uint64_t i) { return std::span(bytes).subspan(i * block, block); };
    const std::uint64_t kind = part.random.below(10);
    if (kind < 4) {
      ASSERT_EQ(run(volume, *lane, Kind::read, part.begin + at, count, bytes), IoStatus::ok);
      for (std::uint64_t i = 0; i < count; ++i) {
        ASSERT_EQ(value_of(of(i), part.begin + at + i), part.values[at + i])
            << part.volume << " block " << part.begin + at + i;
      }
      return;
    }
    const std::uint64_t value = kind < 9 ? part.next_value++ : 0;
    for (std::uint64_t i = 0; i < count; ++i) fill_block(of(i), part.begin + at + i, value);
    VolumeIo io{.kind = value != 0                 ? Kind::write
                        : part.random.chance(1, 2) ? Kind::write_zeroes
                                                   : Kind::deallocate,
                .lba = {part.begin + at},
                .blocks = {count},
                .data = value != 0 ? std::span(bytes) : std::span<std::byte>{}};
    ASSERT_EQ(run(volume, *lane, io), IoStatus::ok);
    std::ranges::fill(std::span(part.values).subspan(at, count), value);
  }
};

// Changes the mode of a volume's cache again and again, until it is told to end.
class Changer {
 public:
  Changer(Engine& engine, std::string volume)
      : thread_([this, &engine, volume = std::move(volume)] {
          for (std::size_t at = 0; !ending_.load(); ++at) {
            // Not read-only: nobody could write.
            const CacheMode mode = cache_modes.at(at % 4);
            std::promise<bool> changed;
            engine.set_cache_mode(volume, mode, [&changed](const auto& result) {
              changed.set_value(static_cast<bool>(result));
            });
            EXPECT_TRUE(changed.get_future().get());
            std::this_thread::sleep_for(std::chrono::milliseconds(7));
          }
        }) {}
  ~Changer() {
    ending_.store(true);
    thread_.join();
  }

 private:
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

TEST_P(CachedEngineLoad, ThreeVolumesAndSixThreadsReadWhatTheyWroteAlsoAfterRestarts) {
  constexpr std::uint64_t blocks = 3072;
  const int steps = in_pages() ? 120 : 400;  // each waits for the disk there
  std::vector<Part> parts;
  std::vector<VolumeSpec> volumes;
  for (const char* name : {"db01", "db02", "db03"}) {
    volumes.push_back(cached(name, {2 * blocks * block}, "pmem0", soon));
    for (std::uint64_t half : {0, 1}) {
      parts.push_back({.volume = name,
                       .begin = half * blocks,
                       .values = std::vector<std::uint64_t>(blocks),
                       .random = SeededRandom(7 + parts.size())});
    }
  }
  for (int life = 0; life < 3 && !HasFatalFailure(); ++life) {
    SCOPED_TRACE(life);
    Life now(*this, volumes, {cache()});
    const Changer changer(*now.engine, "db02");
    std::vector<std::thread> threads;
    for (Part& part : parts) {
      threads.emplace_back([&now, &part, steps] {
        Worker worker{.engine = *now.engine, .budget = now.budget, .part = part};
        for (int step = 0; step < steps && !HasFatalFailure(); ++step) worker.step();
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const VolumeSpec& spec : volumes) {
      EXPECT_EQ(now.condition(spec.name).state, VolumeState::online) << now.reason(spec.name);
    }
  }
}

// ---- kill -9

// What the daemon tells of each of its writes, before it is begun and after it is answered.
struct Note {
  std::uint64_t begun = 0;
  std::uint64_t lba = 0;
  std::uint64_t blocks = 0;
  std::uint64_t value = 0;
};

// The process that is killed: writes as fast as it can, several at once, none over another.
class Victim {
 public:
  Victim(const CachedEngine& /*test*/, Engine& engine, MemoryBudget& budget, int pipe,
         std::uint64_t seed, std::uint64_t first_value)
      : volume_(*engine.find("db01")),
        lane_(std::move(UringLane::create(budget).value())),
        pipe_(pipe),
        random_(seed),
        next_value_(first_value) {}

  [[noreturn]] void run_until_killed() {
    for (Write& write : writes_) {
      write.owner = this;
      begin(write);
    }
    drive_until(*lane_, [] { return false; });
    _exit(1);
  }

 private:
  struct Write : VolumeIo {
    Victim* owner = nullptr;
    Note note;
    std::vector<std::byte> bytes;
  };

  void tell(const Note& note) const {
    const auto bytes = std::bit_cast<std::array<std::byte, sizeof(Note)>>(note);
    if (::write(pipe_, bytes.data(), bytes.size()) != sizeof(note)) _exit(2);
  }
  void begin(Write& write) {
    const auto place = static_cast<std::uint64_t>(&write - writes_.data());
    const std::uint64_t each = volume_.size().value / writes_.size();
    const std::uint64_t at = random_.below(each);
    write.note = {.begun = 1,
                  .lba = place * each + at,
                  .blocks = 1 + random_.below(std::min<std::uint64_t>(16, each - at)),
                  .value = next_value_++};
    write.bytes.resize(write.note.blocks * 4096);
    for (std::uint64_t i = 0; i < write.note.blocks; ++i) {
      fill_block(std::span(write.bytes).subspan(i * 4096, 4096), write.note.lba + i,
                 write.note.value);
    }
    tell(write.note);
    write.kind = Kind::write;
    write.lba = {write.note.lba};
    write.blocks = {write.note.blocks};
    write.data = write.bytes;
    write.done = [](VolumeIo& io, IoStatus status) noexcept {
      auto& ended = static_cast<Write&>(io);
      if (status != IoStatus::ok) _exit(3);
      ended.note.begun = 0;
      ended.owner->tell(ended.note);
      ended.owner->begin(ended);
    };
    volume_.submit(*lane_, write);
  }

  Volume& volume_;
  std::unique_ptr<UringLane> lane_;
  const int pipe_;
  SeededRandom random_;
  std::uint64_t next_value_;
  std::array<Write, 8> writes_;
};

// What each block may hold: the last answered value, or the one that was under way.
struct Expectation {
  std::uint64_t answered = 0;
  std::uint64_t under_way = 0;
};

void CachedEngineLoad::kill_again_and_again(bool mode_changes) {
  constexpr std::uint64_t seed = 20261127;
  constexpr int rounds = 10;
  const VolumeSpec spec = cached("db01", 24_MiB, "pmem0", std::chrono::milliseconds(20));
  std::vector<Expectation> blocks((24_MiB).value / block);
  SeededRandom random(seed);
  std::uint64_t answered = 0;
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      MemoryBudget budget{64_MiB};
      auto engine = Engine::open({pool()}, {spec}, {.caches = {cache()}, .memory = &budget});
      std::optional<Changer> changer;
      if (mode_changes) changer.emplace(*engine, "db01");
      Victim(*this, *engine, budget, ends[1], seed + static_cast<std::uint64_t>(round),
             static_cast<std::uint64_t>(round) * 1'000'000 + 1)
          .run_until_killed();
    }
    ::close(ends[1]);
    std::optional<std::chrono::steady_clock::time_point> deadline;
    // At any moment, but mostly not before it has worked, however slow the machine is.
    const auto life = std::chrono::milliseconds(5 + random.below(150));
    const std::uint64_t least = round % 3 == 0 ? 0 : answered + 20;
    Note note;
    for (bool killed = false;;) {
      if (::read(ends[0], &note, sizeof(note)) != sizeof(note)) break;
      const auto now = std::chrono::steady_clock::now();
      if (!deadline) deadline = now + life;
      if (!killed && now >= *deadline && answered >= least) {
        killed = true;
        ::kill(child, SIGKILL);
      }
      for (std::uint64_t lba = note.lba; lba < note.lba + note.blocks; ++lba) {
        blocks[lba].under_way = note.begun != 0 ? note.value : 0;
        if (note.begun == 0) blocks[lba].answered = note.value;
      }
      answered += note.begun == 0 ? 1 : 0;
    }
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself: " << WEXITSTATUS(status);

    Life now(*this, {spec}, {cache()});
    ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
    constexpr std::uint64_t at_once = 64;
    std::vector<std::byte> bytes(at_once * block);
    for (std::uint64_t lba = 0; lba < blocks.size(); lba += at_once) {
      ASSERT_EQ(run(*now.engine->find("db01"), *now.lane, Kind::read, lba, at_once, bytes),
                IoStatus::ok);
      for (std::uint64_t i = 0; i < at_once; ++i) {
        Expectation& expected = blocks[lba + i];
        const auto found = value_of(std::span(bytes).subspan(i * block, block), lba + i);
        ASSERT_TRUE(found) << "block " << lba + i << " is torn";
        ASSERT_TRUE(*found == expected.answered ||
                    (expected.under_way != 0 && *found == expected.under_way))
            << "block " << lba + i << " holds " << *found << ", answered was " << expected.answered
            << ", under way " << expected.under_way;
        expected = {.answered = *found};
      }
    }
  }
  EXPECT_GT(answered, 100U) << "it was killed while it worked";
}

TEST_P(CachedEngineLoad, NothingAnsweredIsLostByKill) { kill_again_and_again(false); }

TEST_P(CachedEngineLoad, NothingAnsweredIsLostByKillInAnyMode) { kill_again_and_again(true); }

INSTANTIATE_TEST_SUITE_P(Granularities, CachedEngineLoad, testing::Values("PAGE", "CACHE_LINE"),
                         [](const auto& granularity) { return std::string(granularity.param); });

}  // namespace
}  // namespace engine
