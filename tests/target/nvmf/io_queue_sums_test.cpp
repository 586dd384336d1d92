// What an I/O queue tells a volume of its data's checksums, and asks of it.
#include "tests/target/nvmf/io_queue_kit.h"

namespace target::nvmf {
namespace {

TEST_F(IoQueueTest, SumsOfDataGoToTheVolumeWithIt) {
  Path path(*this);
  volume.hold = true;
  auto e = entry(IoOpcode::write, 1, 9, 9);
  e.data_pointer.identifier = nvme::sgl_in_capsule;
  const auto data = pattern(10, 0x11);
  std::uint32_t crc = 0;
  for (const bool shifted : {false, true}) {
    e.data_pointer.address = shifted ? block_bytes : 0;
    Command& command = path.port.command(e, data);
    const auto sums = command.sums.begin(static_cast<std::uint32_t>(data.size()));
    sums.note(0, 4096, 77);
    sums.note(4096, 1024, 78);
    path.queue.execute(CommandPermit(command));
    const engine::PieceSums& told = volume.held().front()->sums;
    // Its second piece is shorter than what has come.
    EXPECT_EQ(told.empty(), shifted);
    if (!shifted) {
      EXPECT_TRUE(told.part(0, 4096).copy_to({&crc, 1}) && crc == 77);
      EXPECT_FALSE(told.part(4096, 512).copy_to({&crc, 1}));
    }
    volume.end(*volume.held().front());
  }
  // Reads ask for them where there is somebody who wants to know.
  for (const bool digest : {false, true}) {
    path.port.link_.data_digest = digest;
    path.run(entry(IoOpcode::read, 2, 9, 9));
    EXPECT_EQ(volume.held().front()->sums.empty(), !digest);
    EXPECT_FALSE(volume.held().front()->sums.copy_to({&crc, 1}));
    volume.end(*volume.held().front());
  }
}

}  // namespace
}  // namespace target::nvmf
