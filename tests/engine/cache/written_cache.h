// A cache at rest with one volume whose writes are known, and the ways to damage it: what tests of
// survey and repair share.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/cache/cache_survey.h"
#include "tests/engine/cache/volume_cache_kit.h"

namespace engine::test {

// Write n (from 1) fills sector n with the byte n; kset n is its own. Ksets fill two chunks.
class WrittenCache {
 public:
  static constexpr std::uint64_t writes = 150;

  // `then` is done to the open volume, after the writes.
  explicit WrittenCache(const std::function<void(OpenVolume&)>& then = {})
      : pmem_(cache_pmem(/*crc=*/true)) {
    OpenVolume open(*pmem_);
    for (std::uint64_t n = 1; n <= writes; ++n) {
      must(open.write(n, 1, static_cast<std::uint8_t>(n)));
    }
    if (then) then(open);
    find_ksets(*open.device);
  }

  [[nodiscard]] SimPmem& pmem() { return *pmem_; }
  [[nodiscard]] std::unique_ptr<CacheDevice> look() {
    return open_device(*pmem_, CacheDevice::Access::inspect);
  }

  [[nodiscard]] MediaOffset kset(std::uint64_t sequence, std::size_t copy) const {
    const Written& at = ksets_.at(sequence - 1);
    return at.places[copy] + ByteCount{at.offset};
  }
  // Of its only key.
  [[nodiscard]] MediaOffset data(std::uint64_t sequence) const {
    return ksets_.at(sequence - 1).data;
  }
  [[nodiscard]] std::uint32_t segment_of_data(std::uint64_t sequence) {
    return *look()->layout().segment_of(data(sequence));
  }
  void rot(std::uint64_t sequence, std::size_t copy) {
    flip_bit(*pmem_, kset(sequence, copy) + ByteCount{40});
  }
  void rot(std::uint64_t sequence) { rot(sequence, 0), rot(sequence, 1); }
  // Both headers of the chunk that the kset is in.
  void lose_chunk_of(std::uint64_t sequence) {
    for (const MediaOffset place : ksets_.at(sequence - 1).places) wipe(*pmem_, place, 64);
  }
  void lose_header_of(std::uint64_t sequence, std::size_t copy) {
    wipe(*pmem_, ksets_.at(sequence - 1).places[copy], 64);
  }
  void lose_segment_entry(std::uint32_t segment) {
    for (const MediaOffset place : look()->layout().segment_entry(segment)) flip_bit(*pmem_, place);
  }
  void set_tails(const LogTails& tails) {
    const auto device = open_device(*pmem_);
    auto writer = must(DurableWriter::make(*pmem_));
    must(device->volumes().set_tails(writer, 0, tails));
  }

  // "kind" of each finding in order, with "!" before damage.
  [[nodiscard]] std::string findings(SurveyDepth depth = SurveyDepth::entries) {
    std::string words;
    for (const SurveyFinding& finding : must(survey_cache(*pmem_, depth)).findings) {
      EXPECT_FALSE(finding.text.empty());
      words += words.empty() ? "" : " ";
      words += finding.severity == SurveyFinding::Severity::damage ? "!" : "";
      words += finding.kind;
    }
    return words;
  }

 private:
  struct Written {
    ChunkPlaces places;
    std::uint64_t offset = 0;
    MediaOffset data;
  };
  void find_ksets(CacheDevice& device) {
    const LogView view{.volume = device.volumes()[0], .of = device.chunks_of(0)};
    LogReader reader(device.region(), device.layout(), device.seal(), view, {});
    while (true) {
      const auto next = must(reader.next());
      if (!next) break;
      const auto& chunks = view.chunks();
      const auto chunk = std::ranges::find(chunks, next->chunk, &LogChunk::ordinal);
      ksets_.push_back({.places = chunk->places,
                        .offset = next->offset,
                        .data = {next->view.keys[0].place * format::place_bytes}});
    }
  }

  std::unique_ptr<SimPmem> pmem_;
  std::vector<Written> ksets_;
};

}  // namespace engine::test
