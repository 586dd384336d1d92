// A log of seven ksets, and the ways to damage it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tests/engine/cache/cache_kit.h"
#include "tests/engine/cache/log_reading.h"

namespace engine::test {

// Seven acknowledged ksets of one epoch: 1 to 4 in chunk 1 (the first of 128 keys), 5 to 7 in
// chunk 2. kset(n) is where kset n lies.
class LogCase {
 public:
  LogCase() : pmem_(formatted_pmem()), device_(open_device(*pmem_)) {
    auto writer = must(DurableWriter::make(*pmem_));
    must(device_->volumes().attach(writer, new_volume(1)));
    author_ = std::make_unique<LogAuthor>(*device_, 0);
    author_->begin_epoch();
    ksets_.emplace_back();
    ksets_.push_back(author_->append(128));
    for (int kset = 2; kset <= 4; ++kset) ksets_.push_back(author_->append());
    author_->new_chunk();
    for (int kset = 5; kset <= 7; ++kset) ksets_.push_back(author_->append());
  }

  SimPmem& pmem() { return *pmem_; }
  LogAuthor& author() { return *author_; }
  CacheDevice& device() { return *device_; }
  const LogAuthor::Written& kset(std::size_t number) const { return ksets_[number]; }
  // Where kset 8 would be.
  MediaOffset slot(std::size_t copy) const { return ksets_[7].place(copy) + ByteCount{64}; }

  void rot(std::size_t number, std::size_t copy) {
    flip_bit(*pmem_, ksets_[number].place(copy) + ByteCount{40});
  }
  void rot(std::size_t number) { rot(number, 0), rot(number, 1); }
  void poison(std::size_t number, std::size_t copy) {
    pmem_->poison(ksets_[number].place(copy), ByteCount{64});
  }
  void put(std::size_t copy, std::span<const std::byte> bytes) { poke(*pmem_, slot(copy), bytes); }
  void put(std::span<const std::byte> bytes) { put(0, bytes), put(1, bytes); }

  void set_epoch(const std::function<void(LogEpoch&)>& change) {
    LogEpoch epoch = author_->volume().epoch;
    change(epoch);
    must(device_->volumes().set_epoch(author_->writer(), 0, epoch));
  }
  void set_tails(const std::function<void(LogTails&)>& change) {
    LogTails tails = author_->volume().tails;
    change(tails);
    must(device_->volumes().set_tails(author_->writer(), 0, tails));
  }
  void write_header(const LogChunk& chunk, std::size_t copy) {
    const auto header = encode_chunk_header(device_->seal(), chunk, copy);
    poke(*pmem_, chunk.places[copy], bytes_of(header));
  }
  void erase_header(const LogChunk& chunk, std::size_t copy) {
    wipe(*pmem_, chunk.places[copy], 64);
  }
  void next_epoch(std::uint64_t first_sequence) {
    must(device_->volumes().begin_epoch(author_->writer(), 0, first_sequence, 3));
  }

  LogReading read() {
    const auto reopened = open_device(*pmem_, CacheDevice::Access::inspect);
    return read_log(*reopened, 0);
  }

 private:
  std::unique_ptr<SimPmem> pmem_;
  std::unique_ptr<CacheDevice> device_;
  std::unique_ptr<LogAuthor> author_;
  std::vector<LogAuthor::Written> ksets_;
};

}  // namespace engine::test
