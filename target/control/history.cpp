#include "target/control/history.h"

#include <limits>
#include <utility>

namespace target::control {
namespace {

constexpr float nothing = std::numeric_limits<float>::quiet_NaN();

// Counters begin anew with a volume that was removed and added again.
std::uint64_t grown(std::uint64_t before, std::uint64_t now) {
  return now >= before ? now - before : now;
}

float rate(std::uint64_t before, std::uint64_t now, double seconds) {
  return static_cast<float>(static_cast<double>(grown(before, now)) / seconds);
}

float p99_between(const LatencyCounts& before, const LatencyCounts& now) {
  LatencyCounts between;
  for (std::size_t i = 0; i < LatencyCounts::buckets; ++i) {
    between.counts[i] = grown(before.counts[i], now.counts[i]);
  }
  const auto p99 = percentile_us(between, 0.99);
  return p99 ? static_cast<float>(*p99) : nothing;
}

void add_to(Sample& all, const Sample& one) {
  all.reads += one.reads;
  all.writes += one.writes;
  all.read_bytes += one.read_bytes;
  all.written_bytes += one.written_bytes;
  all.hits += one.hits;
  all.misses += one.misses;
  all.dirty_bytes += one.dirty_bytes;
}

}  // namespace

std::optional<double> percentile_us(const LatencyCounts& counts, double part) {
  const auto all = static_cast<double>(counts.count());
  if (all <= 0) return std::nullopt;
  double below = 0;
  double floor_ns = 0;
  for (std::size_t i = 0; i < LatencyCounts::bounds_ns.size(); ++i) {
    const auto here = static_cast<double>(counts.counts[i]);
    const auto bound_ns = static_cast<double>(LatencyCounts::bounds_ns[i]);
    if (here > 0 && below + here >= all * part) {
      return (floor_ns + (all * part - below) / here * (bound_ns - floor_ns)) / 1000;
    }
    below += here;
    floor_ns = bound_ns;
  }
  return floor_ns / 1000;
}

void History::add(std::vector<Sample> samples, engine::Instant now) {
  const double seconds = last_ ? std::chrono::duration<double>(now - *last_).count() : 0;
  last_ = now;
  std::map<std::string, Track> fresh;
  Sample all;
  for (Sample& sample : samples) {
    add_to(all, sample);
    Track& track = fresh[sample.name];
    const auto known = tracks_.find(sample.name);
    if (known == tracks_.end() || seconds <= 0) {
      track.last = std::move(sample);  // nothing to compare it with
      continue;
    }
    track = std::move(known->second);
    note(track, std::move(sample), seconds);
  }
  // What a removed volume has done is not missing from what all do.
  bool is_same = fresh.size() == tracks_.size();
  for (const auto& [name, track] : fresh) is_same = is_same && tracks_.contains(name);
  tracks_ = std::move(fresh);
  if (is_same && seconds > 0) return note(all_, std::move(all), seconds);
  all_.last = std::move(all);
}

void History::note(Track& track, Sample now, double seconds) {
  const Sample& before = track.last;
  const auto hits = static_cast<float>(grown(before.hits, now.hits));
  const auto misses = static_cast<float>(grown(before.misses, now.misses));
  track.figures.push_back({.reads = rate(before.reads.count(), now.reads.count(), seconds),
                           .writes = rate(before.writes.count(), now.writes.count(), seconds),
                           .read_bytes = rate(before.read_bytes, now.read_bytes, seconds),
                           .written_bytes = rate(before.written_bytes, now.written_bytes, seconds),
                           .read_p99_us = p99_between(before.reads, now.reads),
                           .write_p99_us = p99_between(before.writes, now.writes),
                           .hit_ratio = hits + misses > 0 ? hits / (hits + misses) : nothing,
                           .dirty_bytes = static_cast<float>(now.dirty_bytes)});
  if (track.figures.size() > kept) track.figures.erase(track.figures.begin());
  track.last = std::move(now);
}

const std::vector<Figures>& History::of(const std::string& volume) const {
  static const std::vector<Figures> none;
  const auto found = tracks_.find(volume);
  return found == tracks_.end() ? none : found->second.figures;
}

}  // namespace target::control
