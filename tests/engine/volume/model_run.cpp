#include "tests/engine/volume/model_run.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace engine::test {
namespace {

using Kind = VolumeIo::Kind;

constexpr std::uint64_t first_sectors = 128;

// Of pages a chunk of a log takes a whole segment, so everything takes more of them.
std::uint32_t segments_of(ModelMedia media) { return media == ModelMedia::lines ? 20 : 32; }

// Mostly one of a few places and lengths, so that commands meet each other.
SectorRange draw_range(ModelRun::Draw draw, std::uint64_t sectors) {
  const std::uint64_t begin = draw(2) == 0 ? draw(8) * 8 : draw(sectors);
  static constexpr std::array<std::uint64_t, 8> lengths{1, 8, 8, 8, 3, 16, 24, 32};
  return {{begin}, {std::min(lengths[draw(lengths.size())], sectors - begin)}};
}

// Made once of each kind.
const Remains& blank_remains(ModelMedia media, bool payload_crc) {
  static std::map<std::pair<ModelMedia, bool>, Remains> made;
  const auto [at, is_new] = made.try_emplace({media, payload_crc});
  if (is_new) at->second = new_remains(media, segments_of(media), payload_crc, first_sectors);
  return at->second;
}

PlannedCrash draw_crash(ModelRun::Draw draw) {
  return {.at = 1 + draw(64), .seed = 1 + draw(256), .kill = draw(4) == 0};
}

}  // namespace

ModelRun::ModelRun(Draw draw) : models_{BlockModel(first_sectors), BlockModel(first_sectors)} {
  const ModelMedia media = draw(2) == 0 ? ModelMedia::lines : ModelMedia::pages;
  const bool payload_crc = draw(2) == 0;
  for (std::size_t volume = 0; volume < model_volumes; ++volume) {
    options_.write_through[volume] = draw(4) == 0;
    options_.most_segments[volume] = static_cast<std::uint32_t>(8 + draw(9));
  }
  options_.seed = 1 + draw(256);
  remains_ = blank_remains(media, payload_crc);
  begin_life(std::nullopt);
}

void ModelRun::begin_life(std::optional<PlannedCrash> crash) {
  ++lives_;
  ++options_.seed;
  life_ = std::make_unique<ModelLife>(remains_, options_, models_, crash);
  while (is_well() && life_->has_crashed()) {
    remains_ = life_->take_remains();
    life_.reset();
    ++options_.seed;
    life_ = std::make_unique<ModelLife>(remains_, options_, models_);
  }
}

bool ModelRun::is_well() {
  if (problem_.empty() && life_ != nullptr) problem_ = life_->problem();
  return problem_.empty();
}

bool ModelRun::step(Draw draw) {
  const std::uint64_t what = draw(32);
  if (what < 13) {
    command(draw);
  } else if (what < 23) {
    turns(draw);
  } else if (what < 25) {
    trouble(draw);
  } else if (what == 25) {
    grow(draw);
  } else if (what < 28) {
    crash(draw);
  } else if (what == 28 && lives_ < most_lives) {
    restart(draw(2) == 0 ? std::optional(draw_crash(draw)) : std::nullopt);
  } else if (what == 29) {
    life_->end_troubles();
    life_->write_back_all();
  } else {
    life_->end_troubles();
    if (what == 30 && draw(2) == 0) life_->come_back(draw(model_volumes));
    if (is_well()) life_->check_all();
  }
  if (is_well() && life_->has_crashed()) bury();
  return is_well();
}

void ModelRun::command(Draw draw) {
  if (life_->under_way() >= most_under_way) return turns(draw);
  const std::size_t lane = draw(host_lanes);
  ModelLife::Command next;
  next.volume = draw(8) == 0 ? 1 : 0;
  next.range = draw_range(draw, models_[next.volume].sectors());
  switch (draw(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      next.kind = Kind::write;
      next.writer = next_writer_++;
      break;
    case 5:
      next.kind = Kind::write_zeroes;
      next.may_deallocate = draw(2) == 0;
      break;
    case 6:
      next.kind = Kind::deallocate;
      break;
    case 7:
      next.kind = Kind::verify;
      break;
    case 8:
      next.kind = draw(2) == 0 ? Kind::flush : Kind::read;
      if (next.kind == Kind::read) next.range.begin = {models_[next.volume].sectors()};
      break;
    default:
      next.kind = Kind::read;
  }
  life_->submit(lane, next);
}

void ModelRun::turns(Draw draw) {
  switch (draw(8)) {
    case 0:
    case 1:
      (void)life_->turn_host(0);
      break;
    case 2:
      (void)life_->turn_host(1);
      break;
    case 3:
    case 4:
    case 5:
      for (std::uint64_t left = 1 + draw(8); left > 0; --left) (void)life_->turn_keeper();
      break;
    case 6:
      life_->tick(std::chrono::milliseconds(100));
      break;
    default:
      life_->later(std::chrono::seconds(1 + draw(40)));
  }
}

void ModelRun::trouble(Draw draw) {
  SimBacking& backing = life_->trouble_backing(draw(4) == 0 ? 1 : 0);
  switch (draw(8)) {
    case 0:
      backing.fail_nth(1 + draw(4), IoStatus::media_error);
      break;
    case 1:
      backing.fail_syncs(true);
      break;
    case 2:
      backing.hang(true);
      break;
    case 3:
    case 4:
      backing.hold(true);
      break;
    case 5:
    case 6:
      (void)backing.release_any();
      break;
    default:
      life_->end_troubles();
  }
}

void ModelRun::grow(Draw draw) {
  const std::size_t volume = draw(model_volumes);
  life_->grow(volume, std::min(most_sectors, models_[volume].sectors() + 8 * (1 + draw(8))));
}

void ModelRun::crash(Draw draw) {
  if (lives_ >= most_lives) return;
  life_->plan(draw_crash(draw));
  if (draw(2) == 0) in_recovery_ = draw_crash(draw);
}

void ModelRun::restart(std::optional<PlannedCrash> crash) {
  life_->end_troubles();
  remains_ = life_->stop();
  if (!is_well()) return;
  life_.reset();
  begin_life(crash);
}

void ModelRun::bury() {
  remains_ = life_->take_remains();
  life_.reset();
  begin_life(std::exchange(in_recovery_, std::nullopt));
}

bool ModelRun::finish() {
  life_->end_troubles();
  life_->write_back_all();
  if (is_well() && life_->has_crashed()) bury();
  if (is_well()) restart(std::nullopt);
  if (is_well()) life_.reset();
  return is_well();
}

}  // namespace engine::test
