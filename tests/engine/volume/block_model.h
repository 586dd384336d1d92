// BlockModel: what a volume's sectors may hold, by nothing but the commands that hosts have sent
// and the answers that they got.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "tests/crash/volume_model.h"

namespace engine::test {

// Each sector is a register. While writes of it are under way it may hold what was there before or
// any of them; an answer leaves that write and whoever may have come behind it; an error, or a
// crash, leaves both possibilities until something is read. What has been read is durable.
//
// Invariants: a sector has at least one candidate; a command that has ended takes no more part.
class BlockModel {
 public:
  using Command = std::size_t;  // names one
  using State = VolumeModel::State;

  explicit BlockModel(std::uint64_t sectors);

  [[nodiscard]] std::uint64_t sectors() const { return candidates_.size(); }
  // By sectors that read as zeros.
  void grow(std::uint64_t sectors);

  // The sectors will read as of `writer` from some moment before the end on; 0: as zeros.
  [[nodiscard]] Command begin_write(SectorRange range, Writer writer);
  void end_write(Command write, bool acknowledged);
  [[nodiscard]] Command begin_read(SectorRange range);
  // `got`: nothing if it failed. Empty, or what is wrong with it.
  [[nodiscard]] std::string end_read(Command read, const State& got);
  void abandon_read(Command read) { reads_[read].values.clear(); }

  // Nothing that is under way will be answered any more.
  void crash();
  // What a recovered volume reads as, all of it, with nothing under way. Empty, or what is wrong.
  [[nodiscard]] std::string look(const State& state);

  // Whether the write is all there is, and was, to be found in its sectors.
  [[nodiscard]] bool is_alone(Command write) const;
  [[nodiscard]] SectorRange range_of_write(Command write) const { return writes_[write].range; }

 private:
  using Moment = std::uint64_t;
  static constexpr Moment never = std::numeric_limits<Moment>::max();
  struct Write {
    SectorRange range;
    Writer writer = 0;
    Moment begun = 0;
    Moment ended = never;
    bool cut_off = false;  // by a crash, and not looked for since
  };
  struct Read {
    SectorRange range;
    Moment begun = 0;
    std::vector<std::vector<Writer>> values;  // that it may return, for each sector
  };

  [[nodiscard]] std::vector<Command>& of(std::uint64_t sector) { return candidates_[sector]; }
  [[nodiscard]] std::string wrong(std::uint64_t sector, Writer got) const;
  // It was read: what is older is gone for good, and, if nothing has been under way since, what is
  // not older, too.
  void settle(std::uint64_t sector, Writer got, Moment since);
  // A write is in the log as a whole or not at all.
  [[nodiscard]] std::string torn_command(const State& state) const;

  Moment now_ = 0;
  std::deque<Write> writes_;  // the first: before all others
  std::deque<Read> reads_;
  std::vector<Command> open_reads_;
  std::vector<std::vector<Command>> candidates_;  // writes, for each sector
};

}  // namespace engine::test
