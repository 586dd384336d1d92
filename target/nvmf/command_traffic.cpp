#include "target/nvmf/command_traffic.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;

std::optional<block::Traffic> traffic_of(const nvme::IoCommand& command,
                                         const block::BlockVolume& volume,
                                         std::uint32_t largest_transfer_bytes) {
  using Kind = block::Traffic::Kind;
  using Answer = std::optional<block::Traffic>;
  struct Visitor {
    const block::BlockVolume& volume;
    std::uint32_t most;
    Answer operator()(const nvme::Read& c) const { return moves(Kind::read, c.blocks); }
    Answer operator()(const nvme::Compare& c) const { return moves(Kind::read, c.blocks); }
    Answer operator()(const nvme::Write& c) const { return moves(Kind::write, c.blocks); }
    Answer operator()(const nvme::Verify& c) const {
      return block::Traffic{Kind::read, bytes_of(c.blocks)};
    }
    Answer operator()(const nvme::WriteZeroes& /*c*/) const {
      return block::Traffic{Kind::write, 0};
    }
    Answer operator()(const nvme::WriteUncorrectable& /*c*/) const {
      return block::Traffic{Kind::write, 0};
    }
    Answer operator()(const nvme::DatasetManagement& c) const {
      if (!c.deallocate) return std::nullopt;
      return block::Traffic{Kind::write, 0};
    }
    // It pays for each piece.
    Answer operator()(const nvme::Copy& /*c*/) const { return std::nullopt; }
    Answer operator()(const nvme::Flush& /*c*/) const { return std::nullopt; }
    Answer operator()(const nvme::ReservationRegister& /*c*/) const { return std::nullopt; }
    Answer operator()(const nvme::ReservationReport& /*c*/) const { return std::nullopt; }
    Answer operator()(const nvme::ReservationAcquire& /*c*/) const { return std::nullopt; }
    Answer operator()(const nvme::ReservationRelease& /*c*/) const { return std::nullopt; }
    [[nodiscard]] std::uint64_t bytes_of(nvme::BlockRange blocks) const {
      return (blocks.count * volume.volume().identity().block_size).value;
    }
    [[nodiscard]] Answer moves(Kind kind, nvme::BlockRange blocks) const {
      const std::uint64_t bytes = bytes_of(blocks);
      if (bytes > most) return std::nullopt;
      return block::Traffic{kind, bytes};
    }
  };
  return std::visit(Visitor{volume, largest_transfer_bytes}, command);
}

}  // namespace target::nvmf
