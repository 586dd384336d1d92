// Limits of a volume, by both protocols and two reactors. What is measured is the machine's too:
// nothing runs beside this.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

constexpr std::uint8_t busy_status = 0x08;  // SAM-5 5.3

ConfigText limited_config(const std::string& qos) {
  ConfigText config = with_iscsi(memory_config());
  config.reactors = 2;
  config.volumes[0].qos = qos;
  return config;
}

double seconds_since(SteadyClock::time_point begin) {
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

// Hosts that always have `depth` writes of one block to the limited volume under way, each on a
// connection of its own. When they are gone, so is what they had under way.
class Writers {
 public:
  static constexpr std::size_t depth = 32;

  // Seconds from `begin` to each answer, until `end`.
  static std::vector<double> nvme(Queue& queue, SteadyClock::time_point begin, double end) {
    const Bytes data(iscsi_block);
    std::vector<double> answers;
    for (double now = 0; now < end;) {
      while (queue.in_flight() < depth) {
        const auto sent = queue.submit(client::io::write(1, 0, data, iscsi_block));
        EXPECT_GOOD(sent);
        if (!sent) return answers;
      }
      const auto done = queue.await_any();
      EXPECT_GOOD(done);
      if (!done) return answers;
      EXPECT_EQ(done.value().status, 0);
      answers.push_back(now = seconds_since(begin));
    }
    return answers;
  }
  static std::vector<double> iscsi(iscsi::Session& session, SteadyClock::time_point begin,
                                   double end) {
    std::vector<double> answers;
    for (double now = 0; now < end;) {
      while (session.in_flight() < depth) {
        const auto sent = session.submit(scsi::write(1, Bytes(iscsi_block), iscsi_block));
        EXPECT_GOOD(sent);
        if (!sent) return answers;
      }
      const auto done = session.await_any();
      EXPECT_GOOD(done);
      if (!done) return answers;
      EXPECT_TRUE(done.value().ok()) << done.value().describe();
      answers.push_back(now = seconds_since(begin));
    }
    return answers;
  }
};

// All that pass in `window` seconds are what was kept for the burst, and the rate. Never more; and
// less only if the machine stood still for longer than the burst, so then once more.
TEST(Qos, BothProtocolsShareOneLimitToFivePercent) {
  constexpr double rate = 500;
  constexpr double burst = 1;
  constexpr double window = 3;
  constexpr double expected = rate * (burst + window);
  Workplace workplace;
  Daemon daemon(workplace, limited_config("write_iops: 500, burst: 1s"));
  ASSERT_TRUE(daemon.start());
  std::size_t passed = 0;
  for (int attempt = 0; attempt < 3 && static_cast<double>(passed) < 0.95 * expected; ++attempt) {
    Host nvme(daemon.endpoint());
    const auto session = open_session(to_target(iscsi_endpoint(daemon.config())));
    ASSERT_TRUE(nvme.connected() && session);
    // So long that all that may be kept is.
    EXPECT_GOOD(nvme.queue->stays_silent(Milliseconds{1'100}));
    const auto begin = SteadyClock::now();
    std::vector<double> of_iscsi;
    std::thread other([&] { of_iscsi = Writers::iscsi(*session, begin, window); });
    std::vector<double> all = Writers::nvme(*nvme.queue, begin, window);
    other.join();
    const std::size_t of_nvme = all.size();
    all.insert(all.end(), of_iscsi.begin(), of_iscsi.end());
    std::sort(all.begin(), all.end());
    for (std::size_t i = 0; i < all.size(); ++i) {
      ASSERT_LE(static_cast<double>(i), 1.05 * rate * (burst + all[i]) + 1) << "after " << all[i];
    }
    passed =
        static_cast<std::size_t>(std::upper_bound(all.begin(), all.end(), window) - all.begin());
    EXPECT_GE(of_nvme, all.size() / 4) << "of " << all.size();
    EXPECT_GE(of_iscsi.size(), all.size() / 4) << "of " << all.size();
  }
  EXPECT_GE(static_cast<double>(passed), 0.95 * expected);
  RecordProperty("passed", static_cast<int>(passed));
  // Those whose hosts have gone do not wait on.
  EXPECT_TRUE(daemon.await_status([](const boost::json::value& status) {
    const auto qos = named(status, "volumes", "big").at("qos");
    return qos.at("writes_held").to_number<int>() == 0 &&
           qos.at("writes_held_total").to_number<int>() > 1'000;
  }));
}

// Many times what the limit lets pass in the time of a test is under way; nobody else feels it.
class QosHolding : public testing::Test {
 protected:
  static constexpr int held = 100;

  QosHolding() : daemon_(workplace_, limited_config("iops: 10")) {}
  void SetUp() override {
    ASSERT_TRUE(daemon_.start());
    nvme_ = std::make_unique<Host>(daemon_.endpoint());
    session_ = open_session(to_target(iscsi_endpoint(daemon_.config())));
    ASSERT_TRUE(nvme_->connected() && session_);
    take_unit_attentions(*session_, 1);
    // Large ones, so that buffers would be short if each had one.
    for (int i = 0; i < held; ++i) {
      ASSERT_GOOD(
          nvme_->queue->submit(client::io::write(1, 0, Bytes(64 * iscsi_block), iscsi_block)));
      tags_.push_back(submit(scsi::write(0, Bytes(64 * iscsi_block), iscsi_block)));
    }
    ASSERT_TRUE(await_held(2 * held - 40));
  }
  std::uint32_t submit(scsi::Task task) {
    const auto tag = session_->submit(std::move(task));
    EXPECT_GOOD(tag);
    return tag ? tag.value() : 0;
  }
  bool await_held(int at_least) {
    return daemon_.await_status([at_least](const boost::json::value& status) {
      return named(status, "volumes", "big").at("qos").at("writes_held").to_number<int>() >=
             at_least;
    });
  }

  Workplace workplace_;
  Daemon daemon_;
  std::unique_ptr<Host> nvme_;
  std::unique_ptr<iscsi::Session> session_;
  std::vector<std::uint32_t> tags_;
};

TEST_F(QosHolding, NobodyElseWaits) {
  // On the very same connections.
  write_and_read_back(*nvme_->queue, 2, 0, 64, 512, 1);
  EXPECT_GOOD(nvme_->controller->keep_alive());
  write(*session_, 1, 64, pattern(64 * 512, 2), 512);
  EXPECT_TRUE(read(*session_, 1, 64, 64, 512) == pattern(64 * 512, 2));
  EXPECT_GOOD(session_->ping());
  EXPECT_TRUE(await_held(held)) << "they still wait";
  // Abort and task management reach what waits.
  const auto aborted = session_->manage(iscsi::TaskManagement::abort_task_set);
  ASSERT_GOOD(aborted);
  EXPECT_EQ(aborted.value(), 0);
  for (const std::uint32_t tag : tags_) session_->forget(tag);
  EXPECT_GOOD(session_->ping());
  // What the hosts leave behind is gone with them: Daemon sees to it.
}

TEST_F(QosHolding, TheDaemonStopsInOrder) {
  daemon_.stop();
  int told_busy = 0;
  for (auto done = session_->await_any(); done; done = session_->await_any()) {
    told_busy += done.value().status == busy_status ? 1 : 0;
  }
  EXPECT_GE(told_busy, held - 20);
}

}  // namespace
}  // namespace end_to_end
