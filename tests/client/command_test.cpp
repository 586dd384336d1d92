#include "tests/client/command.h"

#include <gtest/gtest.h>

namespace client {
namespace {

// The entry as hex without the SGL (bytes 24 to 39), which Queue fills in.
std::string hex(const Command& command) {
  const std::string all = to_hex(command.entry.bytes());
  return all.substr(0, 48) + all.substr(80);
}
std::string zeros(std::size_t bytes) { return std::string(bytes * 2, '0'); }

TEST(Command, ReadHasLbaAndZeroBasedCount) {
  EXPECT_EQ(hex(io::read(1, 0x1122334455667788, 8, 4096)),
            "02000000"
            "01000000" +
                zeros(16) +
                "8877665544332211"
                "07000000" +
                zeros(12));
  EXPECT_EQ(io::read(1, 0, 8, 4096).data_in_bytes, 32768u);
}

TEST(Command, WriteCountsBlocksOfItsDataAndSetsFua) {
  const Command command = io::write(2, 5, Bytes(1024), 512, true);
  EXPECT_EQ(hex(command),
            "01000000"
            "02000000" +
                zeros(16) +
                "0500000000000000"
                "01000040" +
                zeros(12));
}

TEST(Command, WriteZeroesDeallocatesByBit25) {
  EXPECT_EQ(hex(io::write_zeroes(1, 0, 65536, true)),
            "08000000"
            "01000000" +
                zeros(16) +
                "0000000000000000"
                "ffff0002" +
                zeros(12));
}

TEST(Command, DatasetManagementCarriesSixteenByteRanges) {
  const Command command =
      io::dataset_management(1, {{.lba = 0x10, .blocks = 3}, {.lba = 0x20, .blocks = 4}});
  EXPECT_EQ(hex(command),
            "09000000"
            "01000000" +
                zeros(16) +
                "01000000"
                "04000000" +
                zeros(16));
  EXPECT_EQ(to_hex(command.data_out),
            "00000000"
            "03000000"
            "1000000000000000"
            "00000000"
            "04000000"
            "2000000000000000");
}

TEST(Command, IdentifyPutsCnsCntidAndCsiInTheirPlaces) {
  EXPECT_EQ(
      hex(admin::identify({.cns = 0x1c, .nsid = 9, .cntid = 0xabcd, .csi = 2, .cns_specific = 7})),
      "06000000"
      "09000000" +
          zeros(16) +
          "1c00cdab"
          "07000002" +
          zeros(16));
}

TEST(Command, LogPageLengthIsDwordsZeroBasedOverTwoFields) {
  EXPECT_EQ(hex(admin::get_log({.lid = 0x70,
                                .bytes = 4 * 0x12346,
                                .offset = 0x100,
                                .nsid = 0,
                                .lsp = 1,
                                .lsi = 3,
                                .retain_event = true})),
            "02000000"
            "00000000" +
                zeros(16) +
                "70814523"
                "01000300"
                "0001000000000000" +
                zeros(8));
}

TEST(Command, FeaturesAbortAndPropertiesAreWhereTheSpecificationPutsThem) {
  EXPECT_EQ(hex(admin::set_feature(7, 0x00030003, true)),
            "09000000"
            "00000000" +
                zeros(16) +
                "07000080"
                "03000300" +
                zeros(16));
  EXPECT_EQ(hex(admin::get_feature(0x0b, 3)),
            "0a000000"
            "00000000" +
                zeros(16) + "0b030000" + zeros(20));
  EXPECT_EQ(hex(admin::abort(1, 0x55)),
            "08000000"
            "00000000" +
                zeros(16) + "01005500" + zeros(20));
  EXPECT_EQ(hex(property_set_command(property::cc, 0x00460001, 0)),
            "7f000000"
            "00000000" +
                zeros(16) +
                "00000000"
                "14000000"
                "0100460000000000" +
                zeros(8));
  EXPECT_EQ(hex(property_get_command(property::cap, 1)),
            "7f000000"
            "04000000" +
                zeros(16) +
                "01000000"
                "00000000" +
                zeros(16));
}

TEST(Command, ConnectHasItsFieldsInEntryAndData) {
  ConnectFields fields{.record_format = 1,
                       .queue_id = 2,
                       .queue_entries_minus_1 = 127,
                       .attributes = disable_sq_flow_control,
                       .keep_alive_ms = 5000,
                       .controller_id = 0x1234,
                       .subsystem_nqn = "nqn.sub",
                       .host_nqn = "nqn.host"};
  fields.host_id[0] = std::byte{0xaa};
  const Command command = connect_command(fields);
  EXPECT_EQ(hex(command),
            "7f000000"
            "01000000" +
                zeros(16) +
                "0100"
                "0200"
                "7f00"
                "04"
                "00"
                "88130000" +
                zeros(12));
  ASSERT_EQ(command.data_out.size(), 1024u);
  EXPECT_EQ(command.data_out[0], std::byte{0xaa});
  EXPECT_EQ(get<std::uint16_t>(command.data_out, 16), 0x1234);
  EXPECT_EQ(get_text(std::span(command.data_out).subspan(256, 256)), "nqn.sub");
  EXPECT_EQ(get_text(std::span(command.data_out).subspan(512, 256)), "nqn.host");
}

TEST(Command, SglDescriptorKeepsFuseAndSetsPsdt) {
  Entry entry(opcode::write);
  entry.byte(1, 0x01).sgl(sgl_in_capsule, 0, 4096);
  EXPECT_EQ(to_hex(entry.bytes()).substr(0, 4), "0141");
  EXPECT_EQ(to_hex(entry.bytes()).substr(48, 32),
            "0000000000000000"
            "00100000"
            "00000001");
}

TEST(Command, CompletionTakesTheStatusApart) {
  const Completion completion{.status = 0x6281};
  EXPECT_EQ(completion.code(), 0x81);
  EXPECT_EQ(completion.code_type(), 2);
  EXPECT_EQ(completion.kind(), 0x281);
  EXPECT_TRUE(completion.do_not_retry());
  EXPECT_TRUE(completion.more());
  EXPECT_FALSE(completion.ok());
}

}  // namespace
}  // namespace client
