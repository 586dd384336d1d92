// Format NVM: who may, what is asked for, what is answered and when, and what is left in the log.
#include <gtest/gtest.h>

#include "protocol/nvme/identify_namespace.h"
#include "protocol/nvme/reservation.h"
#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

using End = block::VolumeFormatter::End;

class FormatNvmTest : public TargetHarness {
 protected:
  FormatNvmTest() {
    block_small.allow_format(true);
    block_large.allow_format(true);
  }
  static nvme::SubmissionEntry format_entry(std::uint32_t nsid, std::uint32_t fields = 0) {
    auto entry = entry_of(nvme::AdminOpcode::format_nvm);
    entry.nsid = nsid;
    entry.cdw10 = fields;
    return entry;
  }
  // What is refused at once.
  nvme::Status refused(Link& made, std::uint32_t nsid, std::uint32_t fields = 0) {
    const nvme::Status status = made.must(format_entry(nsid, fields)).status;
    EXPECT_TRUE(formatter.asked.empty());
    return status;
  }
  std::optional<nvme::Status> answer_to(Link& made, std::uint16_t id) {
    reactor.run_until_idle();
    const auto* const answer = made.port.answer_to(id);
    if (answer == nullptr) return std::nullopt;
    return answer->status;
  }
  // What has come in its place is the test's, and goes before the target.
  void put_small_back() {
    reactor.run_until_idle();
    EXPECT_TRUE(
        target.replace_namespace(subsystem_a, {.nsid = 1, .volume = &block_small, .hosts = {}}));
    target.forget_removed_namespaces();
  }
};

TEST_F(FormatNvmTest, IsAnsweredWhenItHasEnded) {
  auto made = admin();
  for (const auto& [end, expected] :
       {std::pair{End::done, status::success}, std::pair{End::in_use, status::operation_denied},
        std::pair{End::in_progress, status::format_in_progress},
        std::pair{End::failed, status::internal_error},
        std::pair{End::stopped, status::abort_requested}}) {
    EXPECT_EQ(made->run(format_entry(1, 1U << 9)), nullptr);
    const auto id = made->last_command();
    ASSERT_EQ(formatter.asked.size(), 1U);
    EXPECT_EQ(formatter.asked[0].volume, &block_small);
    EXPECT_EQ(formatter.asked[0].host, host_1);
    EXPECT_FALSE(answer_to(*made, id)) << "not before it is over";
    EXPECT_TRUE(made->must(format_entry(2)).status.is(status::format_in_progress))
        << "one at a time";
    formatter.asked[0].ended(end);
    const auto status = answer_to(*made, id);
    ASSERT_TRUE(status);
    EXPECT_TRUE(status->is(expected)) << nvme::name_of(*status);
    formatter.asked.clear();
  }
}

TEST_F(FormatNvmTest, ARefusalSaysWhy) {
  auto made = admin();
  EXPECT_TRUE(refused(*made, 0xffff'ffff).is(status::invalid_field)) << "as FNA says";
  EXPECT_TRUE(refused(*made, 77).is(status::invalid_namespace));
  EXPECT_TRUE(refused(*made, 1, 1).is(status::invalid_format)) << "there is one LBA format";
  EXPECT_TRUE(refused(*made, 1, 1U << 12).is(status::invalid_format)) << "LBAFU";
  EXPECT_TRUE(refused(*made, 1, 1U << 5).is(status::invalid_format)) << "protection information";
  EXPECT_TRUE(refused(*made, 1, 2U << 9).is(status::invalid_field)) << "cryptographic erase";
  EXPECT_TRUE(refused(*made, 7).is(status::operation_denied)) << "no allow_format";
  small.protection = engine::WriteProtection::kept;
  EXPECT_TRUE(refused(*made, 1).is(status::namespace_write_protected));
  small.protection = engine::WriteProtection::none;
  small.formatting = true;
  EXPECT_TRUE(refused(*made, 1).is(status::format_in_progress));
  auto protect = set_feature(nvme::FeatureId::write_protection, 1);
  protect.nsid = 1;
  EXPECT_TRUE(made->must(protect).status.is(status::format_in_progress));
  small.formatting = false;
  small.now_state = engine::VolumeState::late;
  EXPECT_TRUE(refused(*made, 1).is(status::namespace_not_ready));
}

class NoListener final : public block::ReservationListener {
 public:
  void reservation_notice(block::ReservationNotice /*notice*/) noexcept override {}
  void abort_commands(block::AbortTicket /*ticket*/) noexcept override {}
};

TEST_F(FormatNvmTest, NobodyMayBeRegistered) {
  auto made = admin();
  NoListener listener;
  const std::array<std::byte, 16> host_id{std::byte{0x11}};
  const block::ReservationPath path(block_small.reservations(), block::PartyId::nvme_host(host_id),
                                    listener);
  const auto change = [&](const block::ReservationChange& wanted) {
    block_small.reservations().change(path, wanted, std::nullopt,
                                      [](block::ReservationOutcome outcome) {
                                        EXPECT_EQ(outcome, block::ReservationOutcome::done);
                                      });
  };
  change(block::change::AddKey{.new_key = 7});
  EXPECT_TRUE(refused(*made, 1).is(status::reservation_conflict)) << "not even the host itself";
  change(block::change::Clear{.key = 7});
  EXPECT_EQ(made->run(format_entry(1)), nullptr);
  ASSERT_EQ(formatter.asked.size(), 1U);
  formatter.asked[0].ended(End::done);
  reactor.run_until_idle();
}

// What Identify lists is what may be asked for, and hosts are told when it changes.
TEST_F(FormatNvmTest, AsksForTheBlocksThatIdentifyLists) {
  small.takes_other_blocks = true;
  large.takes_other_blocks = true;
  target.refresh_volumes();
  auto made = admin();
  for (const auto& [nsid, current] : {std::pair{1U, 0}, std::pair{2U, 1}}) {
    const auto page = page_of<nvme::IdentifyNamespacePage>(made->must(identify_entry(0x00, nsid)));
    EXPECT_EQ(page.nlbaf, 1);
    EXPECT_EQ(page.flbas, current);
    EXPECT_EQ(page.lbaf[0].data_log2, 9);
    EXPECT_EQ(page.lbaf[0].relative_performance, 1);
    EXPECT_EQ(page.lbaf[1].data_log2, 12);
    EXPECT_EQ(page.lbaf[1].relative_performance, 0);
  }
  EXPECT_TRUE(refused(*made, 1, 2).is(status::invalid_format));
  for (const auto& [nsid, number, bytes] :
       {std::tuple{1U, 1U, 4096U}, std::tuple{1U, 0U, 512U}, std::tuple{2U, 0U, 512U}}) {
    EXPECT_EQ(made->run(format_entry(nsid, number)), nullptr);
    ASSERT_EQ(formatter.asked.size(), 1U);
    EXPECT_EQ(formatter.asked[0].blocks.bytes, bytes);
    formatter.asked[0].ended(End::done);
    reactor.run_until_idle();
    formatter.asked.clear();
  }
  block_large.allow_format(false);
  target.refresh_volumes();
  const auto page = page_of<nvme::IdentifyNamespacePage>(made->must(identify_entry(0x00, 2)));
  EXPECT_EQ(page.nlbaf, 0) << "nobody may";
  EXPECT_EQ(page.flbas, 0);
  EXPECT_EQ(page.lbaf[0].data_log2, 12);
}

// The volume has come back: the host asks again, and no command of before reaches the old one.
TEST_F(FormatNvmTest, WhatComesBackTakesItsPlace) {
  SettableVolume renewed("small", small.identity().uuid, 4096, 8);
  block::BlockVolume block_renewed(renewed);
  auto made = admin();
  made->must(set_feature(nvme::FeatureId::async_event_configuration, 1U << 8));
  const auto before = target.hosts_of(block_small);
  ASSERT_EQ(made->run(entry_of(nvme::AdminOpcode::async_event_request)), nullptr);
  const auto event = made->last_command();
  NamespaceOptions options{.nsid = 1, .volume = &block_renewed, .hosts = {}};
  EXPECT_FALSE(
      target.replace_namespace(subsystem_a, {.nsid = 77, .volume = &block_renewed, .hosts = {}}));
  ASSERT_TRUE(target.replace_namespace(subsystem_a, options));
  reactor.run_until_idle();
  EXPECT_NE(made->port.answer_to(event), nullptr) << "namespace attribute changed";
  EXPECT_EQ(target.hosts_of(block_renewed), before);
  EXPECT_TRUE(target.hosts_of(block_small).empty());
  const auto page = page_of<nvme::IdentifyNamespacePage>(made->must(identify_entry(0x00, 1)));
  EXPECT_EQ(page.nsze, 8U);
  EXPECT_EQ(page.lbaf[0].data_log2, 12);
  made->close();
  made.reset();
  put_small_back();
}

// What it says of blocks it has said of those before.
TEST_F(FormatNvmTest, AWriteThatWaitedIsNotForWhatHasComeBack) {
  SettableVolume renewed("small", small.identity().uuid, 512, 64);
  block::BlockVolume block_renewed(renewed);
  auto made = admin();
  auto queue = io(1);
  auto write = entry_of(static_cast<std::uint8_t>(nvme::IoOpcode::write));
  write.nsid = 1;
  write.cdw10 = 4;
  write.data_pointer.identifier = nvme::sgl_transport;
  write.data_pointer.length = 512;
  const auto data_ready = std::exchange(queue->port.data_ready, [&](CommandPermit permit) {
    ASSERT_TRUE(
        target.replace_namespace(subsystem_a, {.nsid = 1, .volume = &block_renewed, .hosts = {}}));
    queue->session->data_ready(std::move(permit));
  });
  queue->port.host_data.resize(512);
  const auto answer = queue->must(write);
  EXPECT_TRUE(answer.status.is(status::namespace_not_ready)) << nvme::name_of(answer.status);
  queue->port.data_ready = data_ready;
  EXPECT_EQ(queue->must(write).status, status::success) << "and is tried again";
  queue->close();
  queue.reset();
  made->close();
  made.reset();
  put_small_back();
}

// FPI: what is left of it; and nothing when there is none.
TEST_F(FormatNvmTest, ItsProgressIsToldByIdentify) {
  auto made = admin();
  const auto progress = [&] {
    return page_of<nvme::IdentifyNamespacePage>(made->must(identify_entry(0x00, 1))).fpi;
  };
  EXPECT_EQ(progress(), 0x80);
  small.formatting = true;
  block_small.set_format_left(75);
  EXPECT_EQ(progress(), 0x80 | 75);
}

// Whatever becomes of its host, it goes on.
TEST_F(FormatNvmTest, AHostThatLeavesHearsNoMore) {
  auto made = admin();
  EXPECT_EQ(made->run(format_entry(1)), nullptr);
  const auto id = made->last_command();
  made->must(property_set(nvme::property::cc, cc_disable));
  auto status = answer_to(*made, id);
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->is(status::abort_requested));
  formatter.asked[0].ended(End::done);
  reactor.run_until_idle();
  formatter.asked.clear();

  made->must(property_set(nvme::property::cc, cc_enable));
  EXPECT_EQ(made->run(format_entry(2)), nullptr);
  made->close();
  formatter.asked[0].ended(End::done);
  reactor.run_until_idle();
}

TEST_F(FormatNvmTest, WhoHasAVolumeIsKnownForAllSubsystems) {
  EXPECT_TRUE(target.hosts_of(block_small).empty());
  auto first = admin();
  auto same = admin();
  EXPECT_EQ(target.hosts_of(block_small), std::set{host_1});
  EXPECT_EQ(target.hosts_of(block_masked), std::set{host_1});
  auto second = admin({.host = host_2, .host_id = 0x22});
  EXPECT_EQ(target.hosts_of(block_small), (std::set{host_1, host_2}));
  EXPECT_EQ(target.hosts_of(block_masked), std::set{host_1}) << "masked";
  EXPECT_TRUE(target.hosts_of(block_other).empty());
  auto elsewhere = admin({.host = host_3, .subsystem = subsystem_b, .host_id = 0x33});
  EXPECT_EQ(target.hosts_of(block_other), std::set{host_3});
  second->close();
  reactor.run_until_idle();
  EXPECT_EQ(target.hosts_of(block_small), std::set{host_1});
}

}  // namespace
}  // namespace target::nvmf
