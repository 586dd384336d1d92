#include "tests/engine/volume/block_model.h"

#include <algorithm>

#include "engine/foundation/check.h"

namespace engine::test {
namespace {

std::string name_of(Writer writer) {
  if (writer == torn) return "no command (torn)";
  return writer == 0 ? "zeros" : "command " + std::to_string(writer);
}

}  // namespace

BlockModel::BlockModel(std::uint64_t sectors) {
  writes_.push_back({.range = {}, .writer = 0, .begun = 0, .ended = 0});
  grow(sectors);
}

void BlockModel::grow(std::uint64_t sectors) {
  CHECK(sectors >= candidates_.size());
  candidates_.resize(sectors, {Command{0}});
}

BlockModel::Command BlockModel::begin_write(SectorRange range, Writer writer) {
  const Command write = writes_.size();
  writes_.push_back({.range = range, .writer = writer, .begun = ++now_});
  for (std::uint64_t at = range.begin.value; at < range.end().value; ++at) of(at).push_back(write);
  for (const Command open : open_reads_) {
    Read& read = reads_[open];
    const std::uint64_t begin = std::max(read.range.begin.value, range.begin.value);
    const std::uint64_t end = std::min(read.range.end().value, range.end().value);
    for (std::uint64_t at = begin; at < end; ++at) {
      read.values[at - read.range.begin.value].push_back(writer);
    }
  }
  return write;
}

void BlockModel::end_write(Command write, bool acknowledged) {
  Write& ended = writes_[write];
  CHECK(ended.ended == never);
  ended.ended = ++now_;
  if (!acknowledged) return;
  for (std::uint64_t at = ended.range.begin.value; at < ended.range.end().value; ++at) {
    std::erase_if(of(at), [&](Command other) { return writes_[other].ended < ended.begun; });
  }
}

BlockModel::Command BlockModel::begin_read(SectorRange range) {
  const Command read = reads_.size();
  Read& begun = reads_.emplace_back();
  begun.range = range;
  begun.begun = ++now_;
  for (std::uint64_t at = range.begin.value; at < range.end().value; ++at) {
    std::vector<Writer>& values = begun.values.emplace_back();
    for (const Command write : of(at)) values.push_back(writes_[write].writer);
  }
  open_reads_.push_back(read);
  return read;
}

std::string BlockModel::end_read(Command read, const State& got) {
  std::erase(open_reads_, read);
  Read& ended = reads_[read];
  std::string problem;
  for (std::uint64_t at = 0; at < got.size(); ++at) {
    const std::uint64_t sector = ended.range.begin.value + at;
    if (std::ranges::count(ended.values[at], got[at]) == 0) {
      problem = "a read got " + wrong(sector, got[at]);
      break;
    }
    settle(sector, got[at], ended.begun);
  }
  ended.values.clear();
  return problem;
}

void BlockModel::settle(std::uint64_t sector, Writer got, Moment since) {
  std::vector<Command>& candidates = of(sector);
  const auto is_it = [&](Command write) { return writes_[write].writer == got; };
  const auto was_under_way = [&](Command write) { return writes_[write].ended >= since; };
  if (std::ranges::none_of(candidates, was_under_way)) {
    std::erase_if(candidates, [&](Command write) { return !is_it(write); });
    CHECK(!candidates.empty());
    return;
  }
  const auto it = std::ranges::find_if(candidates, is_it);
  if (got == 0 || it == candidates.end()) return;
  const Moment begun = writes_[*it].begun;
  std::erase_if(candidates, [&](Command write) { return writes_[write].ended < begun; });
}

void BlockModel::crash() {
  ++now_;
  for (Write& write : writes_) {
    if (write.ended != never) continue;
    write.ended = now_;
    write.cut_off = true;
  }
  for (const Command read : open_reads_) reads_[read].values.clear();
  open_reads_.clear();
}

std::string BlockModel::look(const State& state) {
  CHECK(state.size() == sectors() && open_reads_.empty());
  for (std::uint64_t sector = 0; sector < state.size(); ++sector) {
    const auto is_it = [&](Command write) { return writes_[write].writer == state[sector]; };
    if (std::ranges::none_of(of(sector), is_it)) return "there is " + wrong(sector, state[sector]);
  }
  if (std::string problem = torn_command(state); !problem.empty()) return problem;
  for (Write& write : writes_) write.cut_off = false;
  ++now_;
  for (std::uint64_t sector = 0; sector < state.size(); ++sector) {
    settle(sector, state[sector], now_);
  }
  return {};
}

std::string BlockModel::torn_command(const State& state) const {
  for (const Write& write : writes_) {
    if (!write.cut_off || write.writer == 0) continue;
    const auto shows = [&](std::uint64_t at) { return state[at] == write.writer; };
    bool is_there = false;
    for (std::uint64_t at = write.range.begin.value; at < write.range.end().value; ++at) {
      is_there = is_there || shows(at);
    }
    for (std::uint64_t at = write.range.begin.value; is_there && at < write.range.end().value;
         ++at) {
      const auto may_cover = [&](Command other) {
        return writes_[other].writer == state[at] && writes_[other].ended >= write.begun;
      };
      if (std::ranges::any_of(candidates_[at], may_cover)) continue;
      return "half of command " + std::to_string(write.writer) + ": there is " +
             wrong(at, state[at]);
    }
  }
  return {};
}

bool BlockModel::is_alone(Command write) const {
  const SectorRange range = writes_[write].range;
  for (std::uint64_t at = range.begin.value; at < range.end().value; ++at) {
    if (candidates_[at] != std::vector<Command>{write}) return false;
  }
  return true;
}

std::string BlockModel::wrong(std::uint64_t sector, Writer got) const {
  std::string text = name_of(got) + " in sector " + std::to_string(sector) + ", where there may be";
  for (const Command write : candidates_[sector]) text += " " + name_of(writes_[write].writer);
  return text;
}

}  // namespace engine::test
