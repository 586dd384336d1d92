// libiscsi's tools and QEMU's own initiator against the real daemon: code of others, which shares
// nothing with ours. What they write an NVMe host reads, and the other way round.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

using testing::HasSubstr;
using testing::Not;

// In bytes of a volume; also what qemu-io is told.
constexpr std::uint32_t piece_bytes = 1U << 20;

Outcome run_tool(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"/usr/bin/env", "LC_ALL=C"});
  return run({.arguments = std::move(arguments)}, Milliseconds{60'000});
}

class IscsiTools : public testing::Test {
 protected:
  void start(ConfigText config) {
    daemon_ = std::make_unique<Daemon>(workplace_, std::move(config));
    ASSERT_TRUE(daemon_->start());
  }
  // "file:PATH" of a file that only its owner may read.
  std::string secret(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const std::string path = workplace_.path(name);
    write_file(path, text);
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return "\"file:" + path + "\"";
  }
  [[nodiscard]] std::string portal() const {
    const client::Endpoint endpoint = iscsi_endpoint(daemon_->config());
    return fmt::format("iscsi://{}:{}", endpoint.host, endpoint.port);
  }
  [[nodiscard]] std::string unit(std::uint32_t lun) const {
    return fmt::format("{}/{}/{}", portal(), default_target, lun);
  }
  [[nodiscard]] Outcome qemu_io(std::uint32_t lun, const std::vector<std::string>& commands) const {
    std::vector<std::string> arguments{"qemu-io", "-f", "raw"};
    for (const std::string& command : commands) arguments.insert(arguments.end(), {"-c", command});
    arguments.push_back(unit(lun));
    return run_tool(std::move(arguments));
  }

  Workplace workplace_;
  std::unique_ptr<Daemon> daemon_;
};

TEST_F(IscsiTools, LibiscsiSeesTargetsUnitsAndSizes) {
  start(with_iscsi(file_config(workplace_.make_pool("pool"))));
  const Outcome listed = run_tool({"iscsi-ls", "-s", portal()});
  EXPECT_EQ(listed.exit.code, 0) << listed.output;
  const client::Endpoint endpoint = iscsi_endpoint(daemon_->config());
  for (const char* target : {default_target, prey_target}) {
    EXPECT_THAT(listed.output, HasSubstr(fmt::format("Target:{} Portal:{}:{},1", target,
                                                     endpoint.host, endpoint.port)));
  }
  EXPECT_THAT(listed.output, HasSubstr("Lun:0 "));
  EXPECT_THAT(listed.output, HasSubstr("Lun:1 "));
  EXPECT_THAT(listed.output, HasSubstr("DIRECT_ACCESS"));

  const Outcome inquiry = run_tool({"iscsi-inq", unit(0)});
  EXPECT_EQ(inquiry.exit.code, 0) << inquiry.output;
  EXPECT_THAT(inquiry.output, HasSubstr("Vendor:FOREBAY"));
  EXPECT_THAT(inquiry.output, HasSubstr("Product:Forebay Volume"));
  const Outcome pages = run_tool({"iscsi-inq", "-e", "1", "-c", "0", unit(0)});
  EXPECT_EQ(pages.exit.code, 0) << pages.output;
  EXPECT_THAT(run_tool({"iscsi-inq", "-e", "1", "-c", "131", unit(0)}).output,
              HasSubstr("DEVICE DESIGNATOR #"));

  const Outcome large = run_tool({"iscsi-readcapacity16", unit(0)});
  EXPECT_EQ(large.exit.code, 0) << large.output;
  EXPECT_THAT(large.output, HasSubstr("LOGICAL BLOCK LENGTH IN BYTES:4096"));
  EXPECT_THAT(large.output, HasSubstr(fmt::format("Total size:{}", 64U << 20)));
  const Outcome small = run_tool({"iscsi-readcapacity16", unit(1)});
  EXPECT_THAT(small.output, HasSubstr("LOGICAL BLOCK LENGTH IN BYTES:512"));
  EXPECT_NE(run_tool({"iscsi-readcapacity16", unit(7)}).exit.code, 0) << "there is no such LUN";
}

TEST_F(IscsiTools, QemuAndAnNvmeHostSeeTheSameData) {
  start(with_iscsi(file_config(workplace_.make_pool("pool"))));
  const Outcome written = qemu_io(0, {"write -P 0x5a 0 1M", "write -P 0xa5 1M 1M", "flush"});
  EXPECT_EQ(written.exit.code, 0) << written.output;
  const Outcome small = qemu_io(1, {"write -P 0x11 512 1536", "read -P 0x11 512 1536"});
  EXPECT_EQ(small.exit.code, 0) << small.output;
  constexpr std::uint32_t piece_blocks = piece_bytes / 4096;
  {
    Host host(daemon_->endpoint());
    ASSERT_TRUE(host.connected());
    EXPECT_TRUE(read(*host.queue, 1, 0, piece_blocks, 4096) == Bytes(piece_bytes, std::byte{0x5a}));
    EXPECT_TRUE(read(*host.queue, 1, piece_blocks, piece_blocks, 4096) ==
                Bytes(piece_bytes, std::byte{0xa5}));
    EXPECT_TRUE(read(*host.queue, 2, 1, 3, 512) == Bytes(1536, std::byte{0x11}));
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 0, Bytes(piece_bytes, std::byte{0x3c}), 4096));
    EXPECT_EQ(status_of(*host.queue, client::io::write_zeroes(1, piece_blocks, 16, true)), 0);
  }
  const Outcome seen =
      // Before reads of 32 KiB or more it asks GET LBA STATUS, and of blocks of 4096 bytes it fails
      // an assertion of its own then (7.2, iscsi_co_block_status).
      qemu_io(0, {"read -P 0x3c 0 16k", "read -P 0x3c 1008k 16k", "read -P 0 1M 16k",
                  "read -P 0 1072k 16k", "read -P 0xa5 1088k 16k", "read -P 0xa5 2032k 16k"});
  EXPECT_EQ(seen.exit.code, 0) << seen.output;
  EXPECT_THAT(seen.output, Not(HasSubstr("Pattern verification failed"))) << seen.output;
  const Outcome wrong = qemu_io(0, {"read -P 0x3d 0 4k"});
  EXPECT_THAT(wrong.output, HasSubstr("Pattern verification failed"))
      << "what the line above would miss otherwise";
}

TEST_F(IscsiTools, ChapSecretsAreThoseOfTheirFiles) {
  ConfigText config = with_iscsi(memory_config());
  config.targets[0].options =
      "chap: {user: all, secret: " + secret("all", "#hash and blanks\n") + "}\n";
  start(std::move(config));
  const auto inquiry_as = [this](const std::string& user, const std::string& proof) {
    return run_tool({"LIBISCSI_CHAP_USERNAME=" + user, "LIBISCSI_CHAP_PASSWORD=" + proof,
                     "iscsi-inq", unit(0)});
  };
  const Outcome known = inquiry_as("all", "#hash and blanks");
  EXPECT_EQ(known.exit.code, 0) << known.output;
  EXPECT_THAT(known.output, HasSubstr("Vendor:FOREBAY"));
  for (const Outcome& refused :
       {run_tool({"iscsi-inq", unit(0)}), inquiry_as("all", "hash and blanks"),
        inquiry_as("all", "#hash and blanks "), inquiry_as("other", "#hash and blanks")}) {
    EXPECT_NE(refused.exit.code, 0) << refused.output;
    EXPECT_THAT(refused.output, Not(HasSubstr("Vendor")));
  }
}

TEST_F(IscsiTools, ASecretThatOthersMayReadStopsTheStart) {
  ConfigText config = with_iscsi(memory_config());
  config.targets[0].options =
      "chap: {user: all, secret: " + secret("open", "opensesame123\n", 0644) + "}\n";
  // Only its places and ports: it is not meant to run.
  Daemon daemon(workplace_, std::move(config));
  const std::string& path = daemon.config_path();
  write_file(path, daemon.config().yaml());
  const Outcome started = run({.arguments = {FOREBAYD, path}});
  EXPECT_EQ(started.exit.code, 1) << started.exit.describe();
  EXPECT_THAT(started.output, HasSubstr(fmt::format("targets.{}.chap.secret: {} has mode 0644",
                                                    default_target, workplace_.path("open"))));
  EXPECT_THAT(started.output, Not(HasSubstr("opensesame")));
  const Outcome checked = run({.arguments = {FOREBAYD, "--check", path}});
  EXPECT_EQ(checked.exit.code, 0) << "the file itself is valid: " << checked.output;
  EXPECT_THAT(checked.output, HasSubstr("has mode 0644: others may read or change it"));
}

TEST_F(IscsiTools, StatusListsTargetsUnitsAndSessions) {
  start(with_iscsi(memory_config()));
  const auto session = open_session(to_target(iscsi_endpoint(daemon_->config())));
  ASSERT_NE(session, nullptr);
  ASSERT_NO_FATAL_FAILURE(write(*session, 0, 0, pattern(4096, 1), 4096));
  const auto status = daemon_->status();
  ASSERT_EQ(status.at("targets").as_array().size(), 2U);
  const auto target = named(status, "targets", default_target);
  EXPECT_TRUE(target.at("allow_any_host").as_bool());
  ASSERT_EQ(target.at("luns").as_array().size(), 2U);
  EXPECT_EQ(target.at("luns").at(0).at("volume").as_string(), "big");
  EXPECT_EQ(target.at("luns").at(0).at("size_bytes").to_number<std::uint64_t>(), 64U << 20);
  ASSERT_EQ(status.at("sessions").as_array().size(), 1U);
  const auto& shown = status.at("sessions").at(0);
  EXPECT_EQ(shown.at("target").as_string(), default_target);
  EXPECT_EQ(shown.at("security").as_string(), "none");
  EXPECT_EQ(shown.at("write_commands").to_number<int>(), 1);
  EXPECT_EQ(shown.at("bytes_written").to_number<int>(), 4096);
  EXPECT_EQ(shown.at("listener").as_string(), "scsi");
  const Outcome screen =
      run({.arguments = {FOREBAYCTL, "hosts", "--socket", daemon_->config().control_socket}});
  EXPECT_EQ(screen.exit.code, 0) << screen.output;
  EXPECT_THAT(screen.output, HasSubstr("TARGET "));
  EXPECT_THAT(screen.output, HasSubstr("INITIATOR "));
}

// RFC 7143, 11.9: who is asked to log out has the time that it is promised, and is served until
// then.
TEST_F(IscsiTools, AStoppingDaemonGivesTheTimeThatItPromises) {
  start(with_iscsi(memory_config()));
  iscsi::LoginOptions options = to_target(iscsi_endpoint(daemon_->config()));
  const auto polite = open_session(options);
  options.isid[5] = 2;
  const auto deaf = open_session(options);
  ASSERT_TRUE(polite && deaf);
  std::thread stopping([this] { daemon_->stop(); });
  for (auto* const session : {polite.get(), deaf.get()}) {
    const auto wish = session->await_async_message();
    EXPECT_GOOD(wish);
    if (!wish) continue;
    EXPECT_EQ(wish.value().byte(36), 1) << "logout request";
    EXPECT_EQ(wish.value().u16(42), 2) << "seconds";
    write(*session, 0, 0, pattern(4096, 1), 4096);
  }
  const auto left = polite->log_out();
  EXPECT_GOOD(left);
  if (left) {
    EXPECT_EQ(left.value(), 0);
  }
  const auto last_word = deaf->await_async_message();
  EXPECT_GOOD(last_word);
  if (last_word) {
    EXPECT_EQ(last_word.value().byte(36), 2) << "connection drop";
    EXPECT_EQ(last_word.value().u16(40), 2) << "Time2Wait";
  }
  stopping.join();
}

TEST_F(IscsiTools, AGrownVolumeIsLargerForBothProtocols) {
  start(with_iscsi(file_config(workplace_.make_pool("pool"))));
  const auto session = open_session(to_target(iscsi_endpoint(daemon_->config())));
  ASSERT_NE(session, nullptr);
  const Outcome grown = run({.arguments = {FOREBAYCTL, "volume", "grow", "big", "128MiB",
                                           "--socket", daemon_->config().control_socket}});
  ASSERT_EQ(grown.exit.code, 0) << grown.output;
  // SPC-5: unit attention, CAPACITY DATA HAS CHANGED. It comes when the session's reactor knows.
  const auto deadline = SteadyClock::now() + Milliseconds{20'000};
  std::uint16_t told = 0;
  while (told == 0 && SteadyClock::now() < deadline) {
    const auto done = session->execute(on_lun(0, scsi::test_unit_ready()));
    ASSERT_GOOD(done);
    told = done.value().additional_sense();
  }
  EXPECT_EQ(told, 0x2a09);
  EXPECT_THAT(run_tool({"iscsi-readcapacity16", unit(0)}).output,
              HasSubstr(fmt::format("Total size:{}", 128U << 20)));
  const Outcome written = qemu_io(0, {"write -P 0x77 127M 1M"});
  EXPECT_EQ(written.exit.code, 0) << written.output;
  Host host(daemon_->endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_TRUE(read(*host.queue, 1, (128U << 20) / 4096 - 1, 1, 4096) ==
              Bytes(4096, std::byte{0x77}));
}

}  // namespace
}  // namespace end_to_end
