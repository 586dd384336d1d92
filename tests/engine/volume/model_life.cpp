#include "tests/engine/volume/model_life.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "engine/cache/recovery.h"
#include "tests/engine/cache/cache_kit.h"
#include "tests/sim/sim_marker.h"

namespace engine::test {
namespace {

constexpr BlockSize block_size{512};  // so that a block is a sector
constexpr std::uint64_t settled_in_turns = 20'000;
constexpr int most_ticks = 400;

std::uint8_t number_of(std::size_t volume) { return static_cast<std::uint8_t>(volume + 1); }

bool is_write(VolumeIo::Kind kind) {
  return kind == VolumeIo::Kind::write || kind == VolumeIo::Kind::write_zeroes ||
         kind == VolumeIo::Kind::deallocate;
}

VolumeIdentity identity_of(std::size_t volume) {
  return {.name = "v", .uuid = uuid_of(number_of(volume)), .block_size = block_size};
}

BlockModel::State state_in(std::span<const std::byte> bytes, std::uint64_t first_sector) {
  BlockModel::State state;
  for (std::uint64_t at = 0; at < bytes.size(); at += sector_size) {
    state.push_back(writer_of(bytes.subspan(at, sector_size), first_sector + at / sector_size));
  }
  return state;
}

std::unique_ptr<PmemRegion> region_of(ModelMedia media, std::span<const std::byte> content) {
  if (media == ModelMedia::lines) return std::make_unique<SimPmem>(content);
  return std::make_unique<SimPmemPages>(content);
}

}  // namespace

Remains new_remains(ModelMedia media, std::uint32_t segments, bool payload_crc,
                    std::uint64_t sectors) {
  Remains made{.media = media, .cache = {}, .disks = {}};
  made.cache.resize((16U << 10) + std::size_t{segments} * small_segment + (12U << 10));
  const auto region = region_of(media, made.cache);
  FormatOptions options = small_format();
  options.layout.segment_slots = std::max(options.layout.segment_slots, segments);
  options.payload_crc = payload_crc;
  if (media == ModelMedia::pages) {
    options.layout.chunk_bytes = small_segment;
    options.layout.kset_alignment = 4096;
  }
  must(format_cache(*region, options));
  {
    const auto device = open_device(*region);
    auto writer = must(DurableWriter::make(*region));
    for (std::size_t volume = 0; volume < model_volumes; ++volume) {
      auto wish = new_volume(number_of(volume));
      wish.size = {sectors * sector_size};
      wish.binding.block_size = block_size;
      (void)must(device->volumes().attach(writer, wish));
      made.disks[volume].resize(sectors * sector_size);
    }
  }
  must(region->read({0}, made.cache));
  return made;
}

// ---- beginning

ModelLife::ModelLife(const Remains& from, const Options& options, BlockModels& models,
                     std::optional<PlannedCrash> crash)
    : options_(options), models_(models), planned_(crash) {
  for (std::size_t lane = 0; lane < host_lanes; ++lane) {
    lanes_[lane] = std::make_unique<SimLane>(budget_, options.seed + lane);
  }
  keeper_lane_ = std::make_unique<SimLane>(budget_, options.seed + host_lanes);
  // The disks are there before anything can crash.
  for (std::size_t volume = 0; volume < model_volumes; ++volume) {
    const auto& content = from.disks[volume];
    auto disk = std::make_unique<SimBacking>(ByteCount{content.size()}, options.seed + volume);
    disk->disk() = SimDisk(content, options.seed + volume);
    Served& served = volumes_[volume];
    served.backing = disk.get();
    const BlockCount blocks{content.size() / block_size.bytes};
    served.backed = std::make_unique<BackedVolume>(identity_of(volume), blocks, "not there yet");
    served.backed->go_online(std::move(disk), uuid_of(number_of(volume)), blocks, {});
    served.face = std::make_unique<CachedVolume>(*served.backed, "not there yet");
  }
  open_device(from);
  for (std::size_t volume = 0; volume < model_volumes && problem_.empty(); ++volume) {
    serve(volume);
  }
  if (problem_.empty()) check_all();
}

void ModelLife::open_device(const Remains& from) {
  cache_.region = region_of(from.media, from.cache);
  const auto reach = [this](PersistPoint) { reach_persist_point(); };
  if (from.media == ModelMedia::lines) {
    lines_ = static_cast<SimPmem*>(cache_.region.get());
    lines_->on_persist_point(reach);
  } else {
    pages_ = static_cast<SimPmemPages*>(cache_.region.get());
    pages_->on_persist_point(reach);
  }
  cache_.device = test::open_device(*cache_.region);
  cache_.memory = std::make_unique<IndexMemory>(8_MiB);
  cache_.wake = [] {};
  writer_ = std::make_unique<DurableWriter>(must(DurableWriter::make(*cache_.region)));
  for (const CacheFinding& finding : cache_.device->findings()) {
    if (finding.is_damage()) note_problem("opening finds damage: " + finding.text());
  }
  if (pages_ == nullptr) {
    actor_ = must(CacheActor::make(*cache_.device));
    return;
  }
  cache_.committer = std::make_unique<PageCommitter>(*cache_.device);
  actor_ = CacheActor::make_for_committer(*cache_.committer);
}

// As CacheKeeper does it.
void ModelLife::serve(std::size_t volume) {
  Served& served = volumes_[volume];
  CacheDevice& device = *cache_.device;
  const auto slot = device.volumes().find(uuid_of(number_of(volume)));
  CHECK(slot.has_value());
  const std::uint32_t tag = device.volumes()[*slot].identity.tag;
  must(device.segments().shares().set_share(tag, {.minimum = options_.fewest_segments[volume],
                                                  .maximum = options_.most_segments[volume]}));
  auto recovered = must(recover_volume(device, *slot, *cache_.memory, clock_, *writer_));
  if (recovered.report.damaged()) {
    const auto& report = recovered.report;
    return note_problem("recovery finds damage" +
                        (report.log_damage ? ": " + report.log_damage->text() : std::string{}));
  }
  served.cache = std::move(recovered.cache);
  VolumeCache* const cache = served.cache.get();
  (void)must(free_unnamed_segments(device, *writer_, {&cache, 1}));
  const ByteCount size = served.backing->size();
  if (device.volumes()[*slot].identity.size < size) {
    must(device.volumes().set_size(*writer_, *slot, size));
  }
  served.front = std::make_unique<CacheFront>(
      cache_, *served.cache, *served.backing, block_size, clock_,
      options_.write_through[volume] ? CacheMode::write_through : CacheMode::write_back);
  upkeeps_[volume] = std::make_unique<VolumeUpkeep>(*served.front, std::make_unique<SimMarker>(),
                                                    *keeper_lane_, *writer_, *actor_, clock_,
                                                    std::move(recovered.report), WriteBackLimits{});
  upkeeps_[volume]->tick();
  served.face->serve(*served.front, served.backed->size(), {});
}

// What its removal leaves is read as at a start, on a device that has gone on meanwhile.
void ModelLife::come_back(std::size_t volume) {
  end_all();
  Served& served = volumes_[volume];
  const std::uint32_t slot = served.cache->slot();
  served.face->close("it has been removed");
  const LaneQuestion left{.kind = LaneQuestion::Kind::left, .slot = slot};
  for (int ticks = 0; !cache_.lanes.all_say(left); ++ticks) {
    if (ticks == most_ticks || !problem_.empty()) return note_problem("a lane does not leave");
    run_until_quiet();
  }
  VolumeUpkeep& upkeep = *upkeeps_[volume];
  upkeep.stop();
  run_until_quiet();
  if (!upkeep.is_quiet()) return note_problem("upkeep does not come to rest");
  actor_->leave(slot);
  run_until_quiet();
  (void)upkeep.end_clean();
  upkeeps_[volume].reset();
  served.front.reset();
  served.cache.reset();
  cache_.device->retain(slot);
  served.face = std::make_unique<CachedVolume>(*served.backed, "it is recovered");
  serve(volume);
}

// ---- ending

// Whatever is under way ends somehow; who has crashed before could have gone on as well.
ModelLife::~ModelLife() {
  planned_.reset();
  problem_.clear();
  end_troubles();
  end_all();
  for (const auto& upkeep : upkeeps_) {
    if (upkeep != nullptr) upkeep->stop();
  }
  run_until_quiet();
  if (!problem_.empty()) std::fprintf(stderr, "a life does not end: %s\n", problem_.c_str());
  CHECK(problem_.empty());
}

void ModelLife::plan(const PlannedCrash& crash) {
  if (!has_crashed()) planned_ = crash;
}

void ModelLife::reach_persist_point() {
  if (!planned_ || --planned_->at > 0) return;
  crashed_ = remains(*std::exchange(planned_, std::nullopt));
  for (BlockModel& model : models_) model.crash();
}

Remains ModelLife::remains(const PlannedCrash& crash) {
  Remains left{.media = lines_ != nullptr ? ModelMedia::lines : ModelMedia::pages,
               .cache = std::vector<std::byte>(cache_.region->size().value),
               .disks = {}};
  SeededRandom random(crash.seed);
  RandomChooser some(random);
  KeepEverything all;
  CrashChooser& choose = crash.kill ? static_cast<CrashChooser&>(all) : some;
  const auto take = [&left](std::span<const std::byte> content) {
    std::memcpy(left.cache.data(), content.data(), content.size());
  };
  if (lines_ != nullptr) {
    take(lines_->crash(choose)->content());
  } else {
    const auto tearing = random.chance(1, 2) && !crash.kill ? SimPmemPages::Tearing::destroys
                                                            : SimPmemPages::Tearing::mixes;
    take(pages_->crash(choose, tearing)->content());
  }
  for (std::size_t volume = 0; volume < model_volumes; ++volume) {
    SimDisk disk = volumes_[volume].backing->disk();
    if (!crash.kill) disk.crash();
    left.disks[volume].resize(disk.size().value);
    CHECK(disk.read({0}, left.disks[volume]));
  }
  return left;
}

Remains ModelLife::stop() {
  check_all();
  for (const auto& upkeep : upkeeps_) upkeep->stop();
  run_until_quiet();
  for (const auto& upkeep : upkeeps_) {
    if (!upkeep->is_quiet()) note_problem("upkeep does not come to rest");
    (void)upkeep->end_clean();
  }
  if (has_crashed()) return take_remains();
  // Whatever was stored is durable; or else power takes it now.
  Remains left = remains({.at = 0, .seed = options_.seed, .kill = false});
  for (BlockModel& model : models_) model.crash();
  return left;
}

// ---- commands

void ModelLife::submit(std::size_t lane, const Command& command) {
  Served& served = volumes_[command.volume];
  BlockModel& model = models_[command.volume];
  while (!commands_.empty() && commands_.front().has_ended) commands_.pop_front();
  HostCommand& host = commands_.emplace_back();
  host.life = this;
  host.what = command;
  host.kind = command.kind;
  host.may_deallocate = command.may_deallocate;
  host.lba = {command.range.begin.value};
  host.blocks = {command.range.count.value};
  host.is_inside = command.range.end().value <= model.sectors();
  const bool moves = command.kind == VolumeIo::Kind::read || command.kind == VolumeIo::Kind::write;
  if (moves) host.buffer.resize(command.range.count.value * sector_size);
  if (command.kind == VolumeIo::Kind::write) {
    for (std::uint64_t at = 0; at < command.range.count.value; ++at) {
      fill_sector(std::span(host.buffer).subspan(at * sector_size, sector_size), command.writer,
                  command.range.begin.value + at);
    }
  }
  host.data = host.buffer;
  host.done = [](VolumeIo& io, IoStatus status) noexcept {
    auto& self = static_cast<HostCommand&>(io);
    self.life->ended(self, status);
  };
  if (host.is_inside && !has_crashed()) {
    if (is_write(command.kind)) {
      const Writer writer = command.kind == VolumeIo::Kind::write ? command.writer : 0;
      host.in_model = model.begin_write(command.range, writer);
    } else if (command.kind == VolumeIo::Kind::read) {
      host.in_model = model.begin_read(command.range);
    }
  }
  ++under_way_[command.volume];
  served.face->submit(*lanes_[lane], host);
}

void ModelLife::ended(HostCommand& command, IoStatus status) {
  if (std::exchange(command.has_ended, true)) return note_problem("a command ends twice");
  --under_way_[command.what.volume];
  if (has_crashed()) return;
  if (!command.is_inside) {
    if (status != IoStatus::out_of_range) note_problem("beyond the end is not out of range");
    return;
  }
  if (status != IoStatus::ok && !is_forgiven(command)) {
    note_problem(std::string("a command fails: ") + text(status));
  }
  BlockModel& model = models_[command.what.volume];
  if (is_write(command.kind)) {
    model.end_write(command.in_model, status == IoStatus::ok);
    if (status == IoStatus::ok) check_written_through(command);
  } else if (command.kind == VolumeIo::Kind::read) {
    const auto got = status == IoStatus::ok
                         ? state_in(command.buffer, command.what.range.begin.value)
                         : BlockModel::State{};
    const std::string wrong = model.end_read(command.in_model, got);
    if (!wrong.empty()) note_problem(wrong);
  }
  // The buffer is the host's again.
  std::ranges::fill(command.buffer, std::byte{0xee});
}

bool ModelLife::is_forgiven(const HostCommand& command) const {
  return volumes_[command.what.volume].had_trouble;
}

// What was answered is on the disk, and there to stay.
void ModelLife::check_written_through(const HostCommand& command) {
  const std::size_t volume = command.what.volume;
  if (!options_.write_through[volume] || !models_[volume].is_alone(command.in_model)) return;
  const SectorRange range = command.what.range;
  const Writer writer = command.kind == VolumeIo::Kind::write ? command.what.writer : 0;
  const auto on_disk = volumes_[volume].backing->disk().durable().subspan(
      range.begin.value * sector_size, range.count.value * sector_size);
  if (state_in(on_disk, range.begin.value) != BlockModel::State(range.count.value, writer)) {
    note_problem("the backing does not have what was written through");
  }
}

void ModelLife::note_problem(const std::string& what) {
  if (problem_.empty()) problem_ = what;
}

// ---- time

bool ModelLife::turn_host(std::size_t lane) {
  const bool ended = lanes_[lane]->reap() > 0;
  lanes_[lane]->finish_turn();
  return ended || lanes_[lane]->has_tasks();
}

bool ModelLife::turn_keeper() {
  bool more = cache_.committer != nullptr && cache_.committer->step();
  bool worked = false;
  for (const auto& upkeep : upkeeps_) worked = (upkeep != nullptr && upkeep->turn()) || worked;
  if (worked) {
    for (const Served& served : volumes_) {
      if (served.front != nullptr) served.front->space().tell_first();
    }
  }
  more = actor_->end_turn() || more || worked;
  keeper_lane_->finish_turn();
  more = keeper_lane_->reap() > 0 || more;
  return more || keeper_lane_->has_tasks();
}

void ModelLife::tick(Duration by) {
  clock_.advance(by);
  for (std::size_t volume = 0; volume < model_volumes; ++volume) {
    if (upkeeps_[volume] == nullptr) continue;
    upkeeps_[volume]->tick();
    Served& served = volumes_[volume];
    served.backed->look_for_failure();
    served.face->set_trouble(upkeeps_[volume]->trouble(),
                             !served.cache->is_writable() && !served.cache->waits_for_room());
  }
}

void ModelLife::later(Duration by) {
  run_until_quiet();
  tick(by);
}

// What one hands to the other at the end of a quiet round is seen in the next.
void ModelLife::run_until_quiet() {
  for (std::uint64_t turns = 0, quiet = 0; turns < settled_in_turns; ++turns) {
    bool more = turn_keeper();
    for (std::size_t lane = 0; lane < host_lanes; ++lane) more = turn_host(lane) || more;
    quiet = more ? 0 : quiet + 1;
    if (quiet == 2) return;
  }
  note_problem("it goes round in circles");
}

void ModelLife::end_troubles() {
  for (Served& served : volumes_) {
    served.backing->fail_syncs(false);
    served.backing->hold(false);
    served.backing->hang(false);
    served.backing->release_all();
    if (!served.backing->needs_reopen()) continue;
    served.backing->reopen();
    served.backed->look_for_failure();
    served.backed->recover(served.backed->size(), {});
  }
}

void ModelLife::grow(std::size_t volume, std::uint64_t sectors) {
  Served& served = volumes_[volume];
  const BlockCount blocks{sectors};
  if (sectors <= models_[volume].sectors() || has_crashed()) return;
  models_[volume].grow(sectors);
  served.backing->grow(blocks * block_size);
  served.backed->grow(blocks, {});
  must(cache_.device->volumes().set_size(*writer_, served.cache->slot(), blocks * block_size));
  served.face->grow(blocks);
}

void ModelLife::end_all() {
  for (int ticks = 0; ticks < most_ticks && problem_.empty(); ++ticks) {
    run_until_quiet();
    if (under_way() == 0) return;
    later(std::chrono::seconds(1));
  }
  note_problem("commands do not end");
}

// ---- looking

BlockModel::State ModelLife::state_of(std::size_t volume) const {
  const Served& served = volumes_[volume];
  std::vector<std::byte> bytes(models_[volume].sectors() * sector_size);
  std::vector<SectorRange> bad;
  const auto on_gap = [&](const CacheGap& gap) {
    if (gap.kind == CacheGap::Kind::bad_dirty) return bad.push_back(gap.range);
    const MediaOffset at{gap.range.begin.value * sector_size};
    CHECK(served.backing->disk().read(
        at, std::span(bytes).subspan(at.value, gap.range.count.value * sector_size)));
  };
  served.cache->read({{0}, {models_[volume].sectors()}}, bytes, ExtentIndex::Heat::keep, on_gap);
  BlockModel::State state = state_in(bytes, 0);
  for (const SectorRange& range : bad) {
    std::fill_n(state.begin() + static_cast<std::ptrdiff_t>(range.begin.value), range.count.value,
                lost);
  }
  return state;
}

bool ModelLife::is_dirty(std::size_t volume) const {
  bool dirty = false;
  volumes_[volume].cache->index().for_each(
      [&dirty](const Fragment& part) { dirty = dirty || part.value.dirty; });
  return dirty;
}

void ModelLife::check_all() {
  end_all();
  for (std::size_t volume = 0; volume < model_volumes && !stops(); ++volume) {
    if (std::string wrong = models_[volume].look(state_of(volume)); !wrong.empty()) {
      note_problem("volume " + std::to_string(volume) + ": " + wrong);
    }
  }
  if (!stops()) check_invariants();
}

void ModelLife::check_invariants() {
  std::uint64_t indexed = 0;
  for (const Served& served : volumes_) {
    served.cache->index().check_invariants();
    served.cache->misses().check_invariants();
    served.cache->index().for_each([&indexed](const Fragment& part) {
      indexed += part.value.kind == ExtentKind::data ? part.range.count.value : 0;
    });
  }
  SegmentTable& segments = cache_.device->segments();
  segments.check_invariants();
  segments.shares().check_invariants();
  cache_.device->chunks().check_invariants();
  std::uint64_t counted = 0;
  for (std::uint32_t segment = 0; segment < segments.count(); ++segment) {
    counted += segments.counters(segment).live_sectors;
  }
  if (indexed != counted) note_problem("segments do not count what the index holds");
}

void ModelLife::write_back_all() {
  check_all();
  for (std::size_t volume = 0; volume < model_volumes; ++volume) {
    for (int ticks = 0; is_dirty(volume); ++ticks) {
      if (ticks == most_ticks) return note_problem("what is dirty is not written back");
      later(std::chrono::seconds(10));
      run_until_quiet();
      if (stops()) return;
    }
    if (stops()) return;
    const auto durable = volumes_[volume].backing->disk().durable();
    if (std::string wrong = models_[volume].look(state_in(durable, 0)); !wrong.empty()) {
      note_problem("the disk alone: " + wrong);
    }
  }
  check_all();
}

}  // namespace engine::test
