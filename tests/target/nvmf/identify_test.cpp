#include "target/nvmf/identify.h"

#include <gtest/gtest.h>

#include "protocol/nvme/identify_lists.h"
#include "protocol/nvme/identify_namespace.h"
#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

template <std::size_t size>
std::string text_in(const char (&field)[size]) {
  std::string value(field, size);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\0')) value.pop_back();
  return value;
}

class IdentifyTest : public TargetHarness {
 protected:
  template <class Page>
  Page page(Link& made, std::uint8_t cns, std::uint32_t nsid = 0, std::uint8_t csi = 0) {
    const auto answer = made.must(identify_entry(cns, nsid, 0, csi));
    EXPECT_EQ(answer.status, status::success);
    return page_of<Page>(answer);
  }
  nvme::Status refusal(Link& made, std::uint8_t cns, std::uint32_t nsid = 0, std::uint8_t csi = 0) {
    return made.must(identify_entry(cns, nsid, 0, csi)).status;
  }
  std::vector<std::uint32_t> list(Link& made, std::uint32_t after, std::uint8_t cns = 0x02) {
    const auto found = page<nvme::NamespaceListPage>(made, cns, after);
    std::vector<std::uint32_t> nsids;
    for (const auto& nsid : found.nsid) {
      if (nsid != 0) nsids.push_back(nsid);
    }
    return nsids;
  }
};

TEST_F(IdentifyTest, ControllerPageSaysWhatIsDone) {
  auto made = admin();
  const auto id = page<nvme::IdentifyControllerPage>(*made, 0x01);
  EXPECT_EQ(id.ver, 0x0002'0100U);
  EXPECT_EQ(id.cntlid, cntlid);
  EXPECT_EQ(text_in(id.sn), make_serial(subsystem_a));
  EXPECT_EQ(text_in(id.mn), "Forebay");
  EXPECT_EQ(text_in(id.fr), "1.2.3");
  EXPECT_EQ(text_in(id.subnqn), subsystem_a);
  EXPECT_EQ(id.cntrltype, 1);
  EXPECT_EQ(id.mdts, 8) << "1 MiB";
  EXPECT_EQ(id.vwc & 1, 0) << "no volatile write cache";
  EXPECT_EQ(id.kas, 10) << "one second";
  EXPECT_EQ(id.crdt[0], 10) << "one second";
  EXPECT_EQ(id.crdt[1], 20);
  EXPECT_EQ(id.crdt[2], 50);
  EXPECT_EQ(id.acl + 1U, abort_limit);
  EXPECT_EQ(id.aerl + 1U, async_event_limit);
  EXPECT_EQ(id.elpe + 1U, error_log_entries);
  EXPECT_EQ(id.maxcmd, 64);
  EXPECT_EQ(id.ioccsz, (64U + 8192U) / 16U);
  EXPECT_EQ(id.iorcsz, 1U);
  EXPECT_EQ(id.icdoff, 0);
  EXPECT_EQ(id.fcatt & 1, 0) << "dynamic controller model";
  EXPECT_EQ(id.msdbd, 1);
  EXPECT_EQ(id.ofcs & 1, 1) << "Disconnect";
  EXPECT_EQ(id.ctratt & 0x41U, 0x41U) << "128-bit host identifiers, traffic based keep-alive";
  EXPECT_EQ(id.oaes & 0x900U, 0x900U) << "namespace attribute and ANA notices";
  EXPECT_EQ(id.cmic & 0x0a, 0x0a) << "several controllers, ANA";
  EXPECT_NE(id.anatt, 0);
  EXPECT_EQ(id.anagrpmax, max_namespaces);
  EXPECT_EQ(id.nanagrpid, max_namespaces);
  EXPECT_EQ(id.mnan, max_namespaces);
  EXPECT_GE(id.nn, id.mnan) << "Linux refuses MNAN above NN";
  EXPECT_EQ(id.oncs, 0x01ff) << "Compare, Write Uncorrectable, DSM, Write Zeroes, Save and Select, "
                                "Reservations, Timestamp, "
                                "Verify, Copy";
  EXPECT_EQ(id.cdfs, 0x05) << "source ranges of formats 0h and 2h";
  EXPECT_EQ(id.fuses, 1) << "Compare and Write";
  EXPECT_EQ(id.oacs, 0x202)
      << "Get LBA Status, Format NVM; no firmware, namespace management, security";
  EXPECT_EQ(id.fna, 0x08) << "each namespace for itself, FFFFFFFFh is none; no cryptographic erase";
  EXPECT_EQ(id.sanicap, 0U) << "no Sanitize";
  EXPECT_EQ(id.sqes, 0x66);
  EXPECT_EQ(id.cqes, 0x44);
  EXPECT_EQ(id.sgls & 3U, 1U);
  EXPECT_NE(id.sgls & (1U << 20), 0U) << "offsets: in-capsule data";
}

class LbaStatusTest : public TargetHarness {
 protected:
  struct Asked {
    std::uint8_t action = 0x11;
    std::uint32_t first = 0;
    std::uint16_t blocks = 0;
    std::uint32_t bytes = 4096;
    std::uint32_t nsid = 1;
  };
  nvmf::FakePort::Answer ask(Link& made, const Asked& asked) {
    auto entry = entry_of(nvme::AdminOpcode::get_lba_status, asked.bytes);
    entry.nsid = asked.nsid;
    entry.cdw10 = asked.first;
    entry.cdw12 = asked.bytes / 4 - 1;
    entry.cdw13 = std::uint32_t{asked.action} << 24 | asked.blocks;
    return made.must(entry);
  }
  // First block and how many, of each.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> found(Link& made, const Asked& asked) {
    const auto answer = ask(made, asked);
    EXPECT_EQ(answer.status, status::success);
    EXPECT_EQ(answer.data.size(), asked.bytes);
    const auto number = [&answer](std::size_t at, std::size_t bytes) {
      std::uint64_t value = 0;
      while (bytes-- > 0) value = value << 8 | std::to_integer<unsigned>(answer.data[at + bytes]);
      return value;
    };
    std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
    for (std::size_t at = 0; at < number(0, 4); ++at) {
      all.emplace_back(number(8 + 16 * at, 8), number(16 + 16 * at, 4));
    }
    return all;
  }
  using Ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
};

TEST_F(LbaStatusTest, TellsWhatIsKnownToBeLostAndThatTheRestHasItsPlace) {
  small.lost = {{{10}, {5}}, {{100}, {8}}};
  auto made = admin();
  for (const std::uint8_t action : {std::uint8_t{0x10}, std::uint8_t{0x11}}) {
    EXPECT_EQ(found(*made, {.action = action}), (Ranges{{10, 5}, {100, 8}}));
    EXPECT_EQ(found(*made, {.action = action, .first = 12, .blocks = 90}),
              (Ranges{{12, 3}, {100, 2}}));
    EXPECT_EQ(found(*made, {.action = action, .first = 15, .blocks = 85}), Ranges{});
    EXPECT_EQ(found(*made, {.action = action, .bytes = 24}), (Ranges{{10, 5}}));
  }
  EXPECT_EQ(found(*made, {.action = 0x02}), (Ranges{{0, 2048}}));
  EXPECT_EQ(found(*made, {.action = 0x02, .first = 5, .blocks = 7}), (Ranges{{5, 7}}));
}

TEST_F(LbaStatusTest, RefusesWhatItCannotAnswer) {
  auto made = admin();
  EXPECT_TRUE(ask(*made, {.first = 2048}).status.is(status::lba_out_of_range));
  EXPECT_TRUE(ask(*made, {.first = 2040, .blocks = 9}).status.is(status::lba_out_of_range));
  EXPECT_TRUE(ask(*made, {.nsid = 77}).status.is(status::invalid_namespace));
  EXPECT_TRUE(ask(*made, {.action = 0x03}).status.is(status::invalid_field));
  small.now_state = engine::VolumeState::late;
  EXPECT_TRUE(ask(*made, {}).status.is(status::namespace_not_ready));
  auto other_kind = discovery();
  EXPECT_TRUE(ask(*other_kind, {}).status.is(status::invalid_opcode));
}

TEST_F(IdentifyTest, ConfiguredIdentityIsShown) {
  auto made = admin({.subsystem = subsystem_b});
  const auto id = page<nvme::IdentifyControllerPage>(*made, 0x01);
  EXPECT_EQ(text_in(id.sn), "SERIAL-B");
  EXPECT_EQ(text_in(id.mn), "Forebay test");
  EXPECT_EQ(id.cntlid, 100);
}

TEST_F(IdentifyTest, DiscoveryControllerIsOne) {
  auto made = discovery();
  const auto id = page<nvme::IdentifyControllerPage>(*made, 0x01);
  EXPECT_EQ(id.cntrltype, 2);
  EXPECT_EQ(text_in(id.subnqn), unique_discovery);
  EXPECT_EQ(id.oaes, 1U << 31);
  EXPECT_EQ(id.ofcs, 0) << "Disconnect is not for discovery controllers";
  EXPECT_EQ(id.nn, 0U);
  EXPECT_EQ(id.kas, 10);
  for (const std::uint8_t cns :
       std::initializer_list<std::uint8_t>{0x00, 0x02, 0x03, 0x05, 0x06, 0x07, 0x08, 0x1c}) {
    EXPECT_EQ(refusal(*made, cns, 1).code, status::invalid_field.code) << int{cns};
  }
}

TEST_F(IdentifyTest, SmallBlocksShowALargePhysicalBlock) {
  small.atomic_write_bytes = 4096;
  target.refresh_volumes();
  auto made = admin();
  const auto ns = page<nvme::IdentifyNamespacePage>(*made, 0x00, 1);
  EXPECT_EQ(ns.nsze, 2048U);
  EXPECT_EQ(ns.ncap, 2048U);
  EXPECT_EQ(ns.nlbaf, 0);
  EXPECT_EQ(ns.lbaf[0].data_log2, 9);
  for (const auto& hint : {ns.npwg, ns.npwa, ns.npdg, ns.npda, ns.nows}) EXPECT_EQ(hint, 7);
  EXPECT_NE(ns.nsfeat & (1 << 4), 0) << "the hints are there";
  // Linux takes min(NPWG, NAWUPF) for its physical block.
  EXPECT_NE(ns.nsfeat & (1 << 1), 0);
  EXPECT_EQ(ns.nawupf, 7);
  EXPECT_EQ(ns.nabspf, 7) << "within 4096 bytes, not across";
  EXPECT_EQ(ns.nabo, 0);
  EXPECT_EQ(ns.mssrl, 32768) << "16 MiB in a source range";
  EXPECT_EQ(ns.mcl, 131072U) << "64 MiB in a Copy";
  EXPECT_EQ(ns.msrc, 127);
  EXPECT_EQ(ns.anagrpid, 1U);
  EXPECT_EQ(ns.nmic & 1, 1);
  EXPECT_EQ(ns.rescap, 0xff) << "all types, and persistence";
  EXPECT_EQ(ns.dlfeat, 0x09) << "zeros after deallocate; DEAC";
  const auto nguid = nvme::nguid_of(uuid_of(1));
  EXPECT_EQ(std::memcmp(ns.nguid, nguid.data(), nguid.size()), 0);
  for (const auto byte : ns.eui64) EXPECT_EQ(byte, 0);
}

// Nothing is promised that the disk does not keep; the hints are no promise.
TEST_F(IdentifyTest, AtomicityIsTheDisksOwn) {
  auto made = admin();
  struct Case {
    std::uint32_t disk_bytes;
    int blocks;  // 0's based
  };
  for (const Case& disk :
       {Case{0, 0}, Case{512, 0}, Case{1024, 1}, Case{4096, 7}, Case{16384, 7}}) {
    SCOPED_TRACE(disk.disk_bytes);
    small.atomic_write_bytes = disk.disk_bytes;
    large.atomic_write_bytes = disk.disk_bytes;
    target.refresh_volumes();
    const auto ns = page<nvme::IdentifyNamespacePage>(*made, 0x00, 1);
    EXPECT_EQ((ns.nsfeat & (1 << 1)) != 0, disk.blocks != 0);
    for (const auto& atomic : {ns.nawun, ns.nawupf, ns.nacwu, ns.nabsn, ns.nabspf}) {
      EXPECT_EQ(atomic, disk.blocks);
    }
    EXPECT_EQ(ns.npwg, 7);
    EXPECT_NE(ns.nsfeat & (1 << 4), 0);
    EXPECT_EQ(page<nvme::IdentifyNamespacePage>(*made, 0x00, 2).nawupf, 0);
  }
}

// Through the log of a cache: as much as one command can write, wherever it begins.
TEST_F(IdentifyTest, WritesThroughTheLogAreWholeWhereverTheyBegin) {
  auto made = admin();
  small.atomic_write_bytes = large.atomic_write_bytes = 1U << 20;
  small.is_atomic_anywhere = large.is_atomic_anywhere = true;
  target.refresh_volumes();
  for (const std::uint32_t nsid : {1U, 2U}) {
    const auto ns = page<nvme::IdentifyNamespacePage>(*made, 0x00, nsid);
    EXPECT_NE(ns.nsfeat & (1 << 1), 0);
    EXPECT_EQ(ns.nawun, nsid == 1 ? 2047 : 255);
    EXPECT_EQ(ns.nawupf, ns.nawun);
    EXPECT_EQ(ns.nacwu, ns.nawun);
    for (const auto& none : {ns.nabsn, ns.nabspf, ns.nabo}) EXPECT_EQ(none, 0);
    EXPECT_EQ(ns.npwg, nsid == 1 ? 7 : 0) << "the physical block is as it was";
  }
  // No more than MDTS lets a host write.
  small.atomic_write_bytes = 16U << 20;
  target.refresh_volumes();
  EXPECT_EQ(page<nvme::IdentifyNamespacePage>(*made, 0x00, 1).nawupf, 2047);
  const auto id = page<nvme::IdentifyControllerPage>(*made, 0x01, 0);
  EXPECT_EQ(id.awun, 0);
  EXPECT_EQ(id.awupf, 0);
}

TEST_F(IdentifyTest, LargeBlocksAreTheirOwnPhysicalBlock) {
  auto made = admin();
  const auto ns = page<nvme::IdentifyNamespacePage>(*made, 0x00, 2);
  EXPECT_EQ(ns.nsze, 1024U);
  EXPECT_EQ(ns.lbaf[0].data_log2, 12);
  EXPECT_EQ(ns.npwg, 0);
  EXPECT_EQ(ns.nawupf, 0);
}

TEST_F(IdentifyTest, NamespaceThatIsNotThere) {
  auto made = admin();
  const auto inactive = made->must(identify_entry(0x00, 3));
  EXPECT_EQ(inactive.status, status::success);
  EXPECT_TRUE(std::all_of(inactive.data.begin(), inactive.data.end(), [](std::byte b) {
    return b == std::byte{0};
  })) << "an inactive NSID is all zeros";
  for (const std::uint32_t nsid : {0U, 1025U, 0xffff'fffeU, 0xffff'ffffU}) {
    EXPECT_EQ(refusal(*made, 0x00, nsid).code, status::invalid_namespace.code) << nsid;
    EXPECT_EQ(refusal(*made, 0x08, nsid).code, status::invalid_namespace.code) << nsid;
    EXPECT_EQ(refusal(*made, 0x05, nsid).code, status::invalid_namespace.code) << nsid;
  }
  EXPECT_EQ(refusal(*made, 0x03, 3).code, status::invalid_namespace.code);
}

TEST_F(IdentifyTest, ListsHoldWhatTheHostSees) {
  auto one = admin({.host = host_1});
  EXPECT_EQ(list(*one, 0), (std::vector<std::uint32_t>{1, 2, 7}));
  EXPECT_EQ(list(*one, 2), (std::vector<std::uint32_t>{7}));
  EXPECT_EQ(list(*one, 7), (std::vector<std::uint32_t>{}));
  EXPECT_EQ(list(*one, 0, 0x07), (std::vector<std::uint32_t>{1, 2, 7}));
  EXPECT_EQ(refusal(*one, 0x02, 0xffff'fffe).code, status::invalid_namespace.code);
  EXPECT_EQ(refusal(*one, 0x02, 0xffff'ffff).code, status::invalid_namespace.code);
  auto two = admin({.host = host_2});
  EXPECT_EQ(list(*two, 0), (std::vector<std::uint32_t>{1, 2}));
  const auto hidden = page<nvme::IdentifyNamespacePage>(*two, 0x00, 7);
  EXPECT_EQ(hidden.nsze, 0U) << "masked: as if it were not there";
}

TEST_F(IdentifyTest, DescriptorsCarryTheVolumesIdentity) {
  auto made = admin();
  const auto descriptors = page<nvme::NamespaceDescriptorsPage>(*made, 0x03, 2);
  const auto& bytes = descriptors.bytes;
  std::map<int, std::vector<std::uint8_t>> found;
  for (std::size_t at = 0; bytes[at] != 0; at += 4U + bytes[at + 1]) {
    found[bytes[at]] = {bytes + at + 4, bytes + at + 4 + bytes[at + 1]};
  }
  const auto uuid = uuid_of(2);
  ASSERT_EQ(found.size(), 3U) << "NGUID, UUID, command set; no EUI64";
  EXPECT_EQ(std::memcmp(found[3].data(), uuid.bytes.data(), 16), 0);
  EXPECT_EQ(std::memcmp(found[2].data(), nvme::nguid_of(uuid).data(), 16), 0);
  EXPECT_EQ(found[4], std::vector<std::uint8_t>{0});
}

TEST_F(IdentifyTest, CommandSetPages) {
  auto made = admin();
  const auto limits = page<nvme::IdentifyNvmControllerPage>(*made, 0x06);
  EXPECT_EQ(limits.dmrl, 0) << "every list of 256 ranges";
  EXPECT_EQ(std::uint64_t{limits.dmrsl} * 4096, block::largest_zeroing.value);
  EXPECT_EQ(limits.dmsl, limits.dmrsl);
  const auto sets =
      page_of<nvme::CommandSetCombinationsPage>(made->must(identify_entry(0x1c, 0, 0xffff)));
  EXPECT_EQ(sets.vector[0], 1U) << "the NVM command set";
  EXPECT_EQ(sets.vector[1], 0U);
  EXPECT_EQ(made->must(identify_entry(0x1c, 0, 77)).status.code, status::invalid_field.code);
  EXPECT_EQ(made->must(identify_entry(0x1c, 0, cntlid)).status, status::success);
  (void)page<nvme::IdentifyNvmNamespacePage>(*made, 0x05, 1);
  const auto independent = page<nvme::IdentifyIndependentNamespacePage>(*made, 0x08, 2);
  EXPECT_EQ(independent.anagrpid, 2U);
  EXPECT_EQ(independent.nstat & 1, 1) << "ready";
  for (const std::uint8_t cns : std::initializer_list<std::uint8_t>{0x05, 0x06, 0x07}) {
    EXPECT_EQ(refusal(*made, cns, 1, /*csi=*/2).code, status::invalid_field.code) << int{cns};
  }
}

// Linux cuts a longer request's block count down to 16 bits: most of it would stay as it was.
TEST_F(IdentifyTest, WriteZeroesLimitFitsTheBlockCountOfEveryBlockSize) {
  auto made = admin();
  const auto limits = page<nvme::IdentifyNvmControllerPage>(*made, 0x06);
  ASSERT_NE(limits.wzsl, 0) << "0 is no limit";
  for (const std::uint64_t block_bytes : {512U, 4096U}) {
    EXPECT_LE((4096ULL << limits.wzsl) / block_bytes, 65536U) << block_bytes;
  }
  EXPECT_EQ(limits.wzsl, 13) << "32 MiB, in pages of CAP.MPSMIN";
}

TEST_F(IdentifyTest, EveryOtherPageIsRefused) {
  auto made = admin();
  const std::set<int> known{0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x08, 0x1c};
  for (int cns = 0; cns < 256; ++cns) {
    const auto answer = made->must(identify_entry(static_cast<std::uint8_t>(cns), 1, 0xffff));
    EXPECT_EQ(answer.status.is_success(), known.contains(cns)) << cns;
    if (!known.contains(cns)) {
      EXPECT_EQ(answer.status.code, status::invalid_field.code) << cns;
    }
  }
}

TEST_F(IdentifyTest, LateVolumeKeepsItsIdentityAndSize) {
  large.now_state = engine::VolumeState::late;
  target.refresh_volumes();
  auto made = admin();
  EXPECT_EQ(list(*made, 0), (std::vector<std::uint32_t>{1, 2, 7}));
  const auto ns = page<nvme::IdentifyNamespacePage>(*made, 0x00, 2);
  EXPECT_EQ(ns.nsze, 1024U);
  EXPECT_EQ(std::memcmp(ns.nguid, nvme::nguid_of(uuid_of(2)).data(), 16), 0);
  EXPECT_EQ(page<nvme::IdentifyIndependentNamespacePage>(*made, 0x08, 2).nstat & 1, 1)
      << "Linux makes no device of a namespace that is not ready, and ANA changes do not wake it";
}

// A pool that is not mounted holds the only record of its volumes' UUIDs.
TEST_F(IdentifyTest, UnknownIdentityIsNotMadeUp) {
  SettableVolume unknown("unknown", engine::Uuid{}, 4096, 128);
  unknown.now_state = engine::VolumeState::late;
  block::BlockVolume block(unknown);
  EXPECT_TRUE(target.add_namespace(subsystem_a, {.nsid = 4, .volume = &block, .hosts = {}}));
  auto made = admin();
  made->must(set_feature(nvme::FeatureId::async_event_configuration, 0x100));
  made->run(entry_of(nvme::AdminOpcode::async_event_request));
  EXPECT_EQ(list(*made, 0), (std::vector<std::uint32_t>{1, 2, 4, 7}))
      << "a host keeps what is listed";
  for (const std::uint8_t cns : std::initializer_list<std::uint8_t>{0x00, 0x03, 0x05, 0x08}) {
    const auto waits = refusal(*made, cns, 4);
    EXPECT_EQ(waits.code, status::ana_inaccessible.code) << int{cns};
    EXPECT_EQ(waits.type, nvme::StatusCodeType::path);
    EXPECT_FALSE(waits.do_not_retry);
  }
  unknown.set_uuid(uuid_of(4));
  unknown.now_state = engine::VolumeState::online;
  target.refresh_volumes();
  reactor.run_until_idle();
  EXPECT_NE(made->port.answer_to(1 + 3), nullptr) << "namespace attribute changed";
  const auto ns = page<nvme::IdentifyNamespacePage>(*made, 0x00, 4);
  EXPECT_EQ(std::memcmp(ns.nguid, nvme::nguid_of(uuid_of(4)).data(), 16), 0);
  EXPECT_TRUE(target.remove_namespace(subsystem_a, 4));  // it holds its volume
}

}  // namespace
}  // namespace target::nvmf
