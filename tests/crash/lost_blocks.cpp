#include "tests/crash/lost_blocks.h"

#include <algorithm>
#include <array>
#include <deque>
#include <string>
#include <utility>

#include "engine/cache/write_back.h"
#include "engine/pool/lossy_backing.h"
#include "tests/crash/crash_disk.h"
#include "tests/crash/crash_world.h"
#include "tests/sim/sim_lane.h"

namespace engine::test {
namespace {

constexpr Sector lost_block = world_base;
constexpr std::size_t block_count = 3;
constexpr std::uint64_t apart = 16;  // blocks do not share a checksum

Sector block(std::size_t at) { return {world_base.value + at * apart}; }

// A disk of somebody else's, or what a crash has left of one.
class OtherDisk final : public BackingDevice {
 public:
  explicit OtherDisk(CrashDisk& disk) : disk_(&disk) {}
  explicit OtherDisk(VolumeModel::State sectors) : sectors_(std::move(sectors)) {}
  [[nodiscard]] ByteCount size() const override { return 8_MiB; }
  void submit(IoLane& lane, BackingIo& io) override {
    if (disk_ != nullptr) return disk_->submit(lane, io);
    const std::uint64_t sector = io.offset.value / sector_size;
    fill_sector(io.buffer, sectors_[sector - world_base.value], sector);
    io.done(io, IoStatus::ok);
  }

 private:
  CrashDisk* disk_ = nullptr;
  VolumeModel::State sectors_;
};

// The volume's record in its pool: a change is durable when the pool's thread comes to it.
class Record final : public LostKeeper {
 public:
  void set_lost(const std::string& /*volume*/, const LostRanges& lost, LostDone done) override {
    asked_.emplace_back(lost, std::move(done));
  }
  bool settle_one() {
    if (asked_.empty()) return false;
    auto [lost, done] = std::move(asked_.front());
    asked_.pop_front();
    durable = lost;
    if (on_change) on_change();
    done(boost::outcome_v2::success());
    return true;
  }
  LostRanges durable;
  std::function<void()> on_change;

 private:
  std::deque<std::pair<LostRanges, LostDone>> asked_;
};

struct Counting final : CompletionSink {
  void complete(CommitRecord& /*record*/) override { ++done; }
  int done = 0;
};

class LostBlocks {
 public:
  LostBlocks(CrashCounts& counts, std::uint64_t seed)
      : counts_(counts),
        random_(seed),
        pmem_(make_world_pmem(true, 14)),
        disk_(world_base,
              BackingImage{.sectors = VolumeModel::State(world_sectors, 0), .mark = {}}),
        world_(*pmem_),
        backing_(std::make_unique<OtherDisk>(disk_), "v", {}, record_),
        write_back_(world_.volume(0), backing_, disk_, lane_, world_.writer(), clock_) {
    for (auto& writers : allowed_) writers = {0};
  }
  ~LostBlocks() {
    pmem_->on_persist_point(nullptr);
    disk_.on_point(nullptr);
    record_.on_change = nullptr;
    while (record_.settle_one()) {
    }
    disk_.abandon();
    for (int turn = 0; turn < 20; ++turn) {
      (void)lane_.reap();
      while (record_.settle_one()) {
      }
      disk_.abandon();
    }
  }

  void run() {
    const auto look = [this] { check(); };
    pmem_->on_persist_point([look](PersistPoint) { look(); });
    disk_.on_point(look);
    record_.on_change = look;
    write(0, 1);
    write(1, 2);
    if (!write_back()) return violate("the first batch does not get through");
    write(0, 3);
    write(2, 4);
    rot();
    allowed_[0] = {lost};
    check();
    (void)write_back();
    const auto trouble = write_back_.status().trouble;
    if (!trouble || trouble->range.begin != lost_block) {
      // Given up by nobody: check() says what that has done.
      check();
      return violate("write-back has passed what it cannot read");
    }
    backing_.add({lost_block.value * sector_size}, {sector_size}, LossRecord::Asker::cache,
                 [this](const auto&) { write_back_.look_again(); });
    if (!write_back()) return violate("what was given up still stops write-back");
    allowed_[0] = {lost, 5};
    write(0, 5);
    if (!write_back()) return violate("what was written anew does not get through");
    if (!record_.durable.empty()) violate("the record still says that something is lost");
  }

 private:
  void violate(const std::string& what) {
    if (counts_.violations++ == 0) counts_.first_violation = what;
  }

  void write(std::size_t at, Writer writer) {
    if (counts_.violations > 0) return;
    Counting sink;
    const auto actor = CacheActor::make(world_.device()).value();
    CommitRecord record(sink);
    std::array<std::byte, sector_size> data{};
    fill_sector(data, writer, block(at).value);
    allowed_[at].push_back(writer);
    CHECK(world_.volume(0).write(*actor, record, {block(at), {1}}, data));
    CHECK(!actor->end_turn());
    CHECK(sink.done == 1);
    allowed_[at] = {writer};
    check();
  }

  void rot() {
    world_.volume(0).index().for_each([this](const Fragment& part) {
      if (part.range.begin != lost_block) return;
      const auto store = pmem_->make_writer().value();
      const std::array<std::byte, 8> rot{};
      is_rotting_ = true;  // the medium's doing
      CHECK(store->copy({part.value.place.value * format::place_bytes}, rot));
      store->fence();
      is_rotting_ = false;
    });
  }

  // Until everything is on the backing, or nothing happens any more.
  bool write_back() {
    write_back_.set_draining(true);
    const VolumeCommit& commit = world_.volume(0).commit();
    const LogTails& tails = world_.device().volumes()[0].tails;
    for (int turn = 0; turn < 300 && counts_.violations == 0; ++turn) {
      clock_.advance(std::chrono::milliseconds(20));
      write_back_.tick();
      lane_.finish_turn();
      if (random_.chance(1, 2)) (void)disk_.end_one(random_);
      (void)lane_.reap();
      if (random_.chance(1, 4)) (void)record_.settle_one();
      if (tails.dirty_tail == commit.published() && write_back_.is_quiet()) return true;
    }
    return false;
  }

  // Power fails now; what does a reader get, for whom nothing clean is in the cache any more?
  void check() {
    if (is_rotting_ || counts_.violations > 0) return;
    counts_.count(CrashKind::write_back);
    RandomChooser choose(random_);
    const auto after = pmem_->crash(choose);
    CrashWorld again(*after);
    if (!again.trouble().empty()) return violate("lost blocks: " + again.trouble());
    Record record;
    LossyBacking left(std::make_unique<OtherDisk>(disk_.crash(random_).sectors), "v",
                      record_.durable, record);
    for (std::size_t at = 0; at < block_count; ++at) {
      const Writer found = read(again.volume(0), left, block(at));
      if (std::ranges::find(allowed_[at], found) != allowed_[at].end()) continue;
      return violate("lost blocks: block " + std::to_string(at) + " reads as " +
                     (found == lost ? "an error" : "command " + std::to_string(found)));
    }
  }

  static Writer read(VolumeCache& volume, LossyBacking& backing, Sector sector) {
    bool is_dirty = false;
    volume.index().look_up({sector, {1}}, ExtentIndex::Heat::keep, [&](const Piece& piece) {
      is_dirty = piece.value && piece.value->dirty;
    });
    std::array<std::byte, sector_size> bytes{};
    bool is_bad = false;
    if (is_dirty) {
      volume.read({sector, {1}}, bytes, ExtentIndex::Heat::keep,
                  [&is_bad](const CacheGap&) { is_bad = true; });
    } else {
      MemoryBudget budget{64_KiB};
      SimLane lane{budget};
      BackingIo io{.offset = {sector.value * sector_size}, .buffer = bytes};
      io.context = &is_bad;
      io.done = [](BackingIo& ended, IoStatus status) noexcept {
        *static_cast<bool*>(ended.context) = status != IoStatus::ok;
      };
      backing.submit(lane, io);
    }
    return is_bad ? lost : writer_of(bytes, sector.value);
  }

  CrashCounts& counts_;
  SeededRandom random_;
  std::unique_ptr<SimPmem> pmem_;
  CrashDisk disk_;
  CrashWorld world_;
  target::SimClock clock_;
  MemoryBudget budget_{1_MiB};
  SimLane lane_{budget_};
  Record record_;
  LossyBacking backing_;
  WriteBack write_back_;
  std::array<std::vector<Writer>, block_count> allowed_;
  bool is_rotting_ = false;
};

}  // namespace

void run_lost_blocks(CrashCounts& counts) {
  constexpr std::uint64_t seeds = 20;
  for (std::uint64_t seed = 1; seed <= seeds && counts.violations == 0; ++seed) {
    LostBlocks(counts, seed).run();
  }
}

}  // namespace engine::test
