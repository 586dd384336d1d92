// One volume by both protocols at once: one truth about what is reserved, compared and how large it
// is.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

constexpr std::uint8_t reservation_conflict = 0x18;        // SAM-5 5.3
constexpr std::uint16_t nvme_reservation_conflict = 0x83;  // generic
constexpr std::uint8_t miscompare = 0x0e;
constexpr std::uint8_t unit_attention_key = 6;
constexpr std::uint16_t capacity_has_changed = 0x2a09;
constexpr std::uint8_t write_exclusive = 1;

class IscsiAndNvme : public testing::Test {
 protected:
  IscsiAndNvme() : daemon_(workplace_, with_iscsi(file_config(workplace_.make_pool("pool")))) {}
  void SetUp() override { ASSERT_TRUE(daemon_.start()); }

  [[nodiscard]] std::unique_ptr<iscsi::Session> session(const std::string& who,
                                                        std::uint8_t isid = 1) {
    iscsi::LoginOptions options = to_target(iscsi_endpoint(daemon_.config()));
    options.initiator = "iqn.2026-11.com.example:" + who;
    options.isid[5] = isid;
    return open_session(options);
  }
  static std::uint8_t status_of_task(iscsi::Session& session, scsi::Task task) {
    const auto done = session.execute(std::move(task));
    EXPECT_GOOD(done);
    return done ? done.value().status : std::uint8_t{0xff};
  }

  Workplace workplace_;
  Daemon daemon_;
};

TEST_F(IscsiAndNvme, AReservationBlocksTheOtherProtocol) {
  const auto owner = session("owner");
  const auto other = session("other");
  Host nvme(daemon_.endpoint());
  ASSERT_TRUE(owner && other && nvme.connected());
  constexpr std::uint64_t key = 0xfeed;
  execute(*owner, scsi::reserve(0, 0, 0, key));                // REGISTER
  execute(*owner, scsi::reserve(1, write_exclusive, key, 0));  // RESERVE
  EXPECT_EQ(status_of(*nvme.queue, client::io::write(1, 0, Bytes(iscsi_block), iscsi_block)),
            nvme_reservation_conflict);
  EXPECT_EQ(status_of(*nvme.queue, client::io::read(1, 0, 1, iscsi_block)), 0) << "it may read";
  EXPECT_EQ(status_of_task(*other, scsi::write(0, Bytes(iscsi_block), iscsi_block)),
            reservation_conflict);
  write(*owner, 0, 0, pattern(iscsi_block, 1), iscsi_block);
  execute(*owner, scsi::reserve(3, 0, key, 0));  // CLEAR
  EXPECT_EQ(status_of(*nvme.queue, client::io::write(1, 0, Bytes(iscsi_block), iscsi_block)), 0);
}

// SPEC_I_PT and ALL_TG_PT with APTPL: who was registered by another is so for NVMe hosts too, and
// after the daemon's death.
TEST_F(IscsiAndNvme, WhoIsRegisteredByAnotherStaysSo) {
  constexpr std::uint64_t key = 0x5151;
  constexpr std::uint8_t exclusive_registrants_only = 6;
  const std::string prefix = "iqn.2026-11.com.example:";
  std::optional<std::array<std::uint8_t, 6>> isid;
  {
    const auto owner = session("owner");
    const auto friendly = session("friend", 4);
    ASSERT_TRUE(owner && friendly);
    isid = to_target(iscsi_endpoint(daemon_.config())).isid;
    isid->at(5) = 9;
    execute(*owner, scsi::register_for(key, {{prefix + "absent", isid}, {prefix + "friend"}},
                                       /*all_target_ports=*/true, /*through_power_loss=*/true));
    execute(*owner, scsi::reserve(1, exclusive_registrants_only, key, 0));
    write(*friendly, 0, 0, pattern(iscsi_block, 1), iscsi_block);
    EXPECT_EQ(status_of_task(*owner, scsi::register_for(key, {{prefix + "late", isid}}, false)),
              reservation_conflict)
        << "it has a key already";
  }
  daemon_.kill();
  ASSERT_TRUE(daemon_.start());
  const auto absent = session("absent", 9);
  const auto friendly = session("friend", 4);
  const auto other_port = session("friend", 5);
  Host nvme(daemon_.endpoint());
  ASSERT_TRUE(absent && friendly && other_port && nvme.connected());
  for (const auto* member : {&absent, &friendly}) {
    write(**member, 0, 0, pattern(iscsi_block, 2), iscsi_block);
  }
  EXPECT_EQ(status_of_task(*other_port, scsi::write(0, Bytes(iscsi_block), iscsi_block)),
            reservation_conflict);
  EXPECT_EQ(status_of(*nvme.queue, client::io::read(1, 0, 1, iscsi_block)),
            nvme_reservation_conflict);
  execute(*absent, scsi::reserve(3, 0, key, 0));  // CLEAR
  EXPECT_EQ(status_of(*nvme.queue, client::io::read(1, 0, 1, iscsi_block)), 0);
}

TEST_F(IscsiAndNvme, AReservationIsStillThereAfterARestart) {
  constexpr std::uint64_t key = 0xabcd;
  {
    const auto owner = session("owner");
    ASSERT_TRUE(owner);
    execute(*owner, scsi::reserve(0, 0, 0, key, /*through_power_loss=*/true));
    execute(*owner, scsi::reserve(1, write_exclusive, key, 0));
  }
  daemon_.kill();
  ASSERT_TRUE(daemon_.start());
  const auto other = session("other");
  const auto owner = session("owner");
  Host nvme(daemon_.endpoint());
  ASSERT_TRUE(owner && other && nvme.connected());
  EXPECT_EQ(status_of_task(*other, scsi::write(0, Bytes(iscsi_block), iscsi_block)),
            reservation_conflict);
  EXPECT_EQ(status_of(*nvme.queue, client::io::write(1, 0, Bytes(iscsi_block), iscsi_block)),
            nvme_reservation_conflict);
  write(*owner, 0, 0, pattern(iscsi_block, 1), iscsi_block);
}

// A block that says how far hosts have counted.
Bytes number(std::uint64_t value) {
  Bytes bytes(iscsi_block);
  client::put_big(bytes, 0, value, 8);
  return bytes;
}

// Hosts of both protocols count up one number, by COMPARE AND WRITE and by fused commands. Each
// success is one step: of two that compare the same only one wins, whichever way they came.
TEST_F(IscsiAndNvme, OfAFusedPairAndACompareAndWriteOneWins) {
  constexpr int each = 2;
  const int steps = rounds(40, 1'000);
  const auto first = session("counter");
  ASSERT_TRUE(first);
  write(*first, 0, 100, number(0), iscsi_block);
  std::vector<std::thread> counters;
  for (int i = 0; i < each; ++i) {
    counters.emplace_back([&, i] {
      const auto mine = session(fmt::format("counter{}", i));
      if (mine == nullptr) return;
      for (int step = 0; step < steps;) {
        Bytes both = read(*mine, 0, 100, 1, iscsi_block);
        if (both.size() != iscsi_block) break;
        const Bytes next = number(client::get_big(both, 0, 8) + 1);
        both.insert(both.end(), next.begin(), next.end());
        const auto done = mine->execute(scsi::compare_and_write(100, both, iscsi_block));
        ASSERT_GOOD(done);
        if (done.value().ok()) ++step;
      }
    });
    counters.emplace_back([&] {
      constexpr std::uint16_t compare_failure = 0x285;
      constexpr std::uint16_t failed_fused = 0x009;
      Host host(daemon_.endpoint());
      if (!host.connected()) return;
      for (int step = 0; step < steps;) {
        const Bytes now = read(*host.queue, 1, 100, 1, iscsi_block);
        if (now.size() != iscsi_block) break;
        auto pair = client::io::compare_and_write(
            1, 100, now, number(client::get_big(now, 0, 8) + 1), iscsi_block);
        // Half of them by R2T, so that both ways of the data are raced.
        if (step % 2 != 0) {
          pair.compare.transfer = pair.write.transfer = client::Transfer::by_r2t;
        }
        const auto compare = host.queue->submit(std::move(pair.compare));
        const auto write = host.queue->submit(std::move(pair.write));
        ASSERT_GOOD(compare);
        ASSERT_GOOD(write);
        const auto compared = host.queue->await(compare.value());
        const auto written = host.queue->await(write.value());
        ASSERT_GOOD(compared);
        ASSERT_GOOD(written);
        if (written.value().ok()) {
          EXPECT_TRUE(compared.value().ok()) << compared.value().describe();
          ++step;
        } else {
          ASSERT_EQ(compared.value().kind(), compare_failure) << compared.value().describe();
          ASSERT_EQ(written.value().kind(), failed_fused) << written.value().describe();
        }
      }
    });
  }
  for (std::thread& counter : counters) counter.join();
  EXPECT_EQ(client::get_big(read(*first, 0, 100, 1, iscsi_block), 0, 8),
            std::uint64_t{2} * each * static_cast<std::uint64_t>(steps));
}

// Several initiators count up a number by COMPARE AND WRITE; meanwhile an NVMe host writes the rest
// of the blocks around it. Each success is one step: none is lost, none counts twice.
TEST_F(IscsiAndNvme, CompareAndWriteIsAtomicAgainstAll) {
  constexpr int initiators = 4;
  const int steps = rounds(50, 2'000);
  const auto first = session("counter");
  ASSERT_TRUE(first);
  write(*first, 0, 100, number(0), iscsi_block);
  std::atomic<bool> stop{false};
  std::thread nvme([this, &stop] {
    Host host(daemon_.endpoint());
    for (std::uint64_t i = 0; !stop && host.connected(); ++i) {
      // Overlapping requests of another protocol keep the order of them all busy.
      EXPECT_EQ(status_of(*host.queue,
                          client::io::write(1, 101, pattern(4 * iscsi_block, i), iscsi_block)),
                0);
      EXPECT_EQ(status_of(*host.queue, client::io::read(1, 96, 8, iscsi_block)), 0);
    }
  });
  std::vector<std::thread> counters;
  std::atomic<int> failures{0};
  for (int i = 0; i < initiators; ++i) {
    counters.emplace_back([&, i] {
      const auto mine = session(fmt::format("counter{}", i));
      if (mine == nullptr) return;
      for (int step = 0; step < steps;) {
        const Bytes now = read(*mine, 0, 100, 1, iscsi_block);
        if (now.size() != iscsi_block) break;
        Bytes both = now;
        const Bytes next = number(client::get_big(now, 0, 8) + 1);
        both.insert(both.end(), next.begin(), next.end());
        const auto done = mine->execute(scsi::compare_and_write(100, both, iscsi_block));
        ASSERT_GOOD(done);
        if (done.value().ok()) {
          ++step;
        } else {
          ASSERT_EQ(done.value().sense_key(), miscompare) << done.value().describe();
          ++failures;
        }
      }
    });
  }
  for (std::thread& counter : counters) counter.join();
  stop = true;
  nvme.join();
  EXPECT_EQ(client::get_big(read(*first, 0, 100, 1, iscsi_block), 0, 8),
            static_cast<std::uint64_t>(initiators) * static_cast<std::uint64_t>(steps));
  RecordProperty("lost_races", failures.load());
}

// By what sg_xcopy asks first, and then sends.
TEST_F(IscsiAndNvme, ACopyBetweenVolumesIsSeenByAll) {
  const auto mine = session("mine");
  Host nvme(daemon_.endpoint());
  ASSERT_TRUE(mine && nvme.connected());
  take_unit_attentions(*mine, 1);
  const Bytes parameters = execute(*mine, scsi::copy_results(3)).data;
  ASSERT_GE(parameters.size(), 46U);
  EXPECT_EQ(client::get_big(parameters, 24, 4), 0U) << "no data is held: results can be discarded";
  std::vector<scsi::CopyUnit> units;
  for (const std::uint16_t lun : {std::uint16_t{0}, std::uint16_t{1}}) {
    const Bytes page = execute(*mine, on_lun(lun, scsi::vital_product_data(0x83))).data;
    Bytes naa;
    for (std::size_t at = 4; at + 4 <= page.size() && naa.empty();) {
      const std::size_t length = 4 + client::get_big(page, at + 3, 1);
      ASSERT_LE(at + length, page.size());
      if ((client::get_big(page, at + 1, 1) & 0x0f) == 3) {
        naa.assign(page.begin() + static_cast<std::ptrdiff_t>(at),
                   page.begin() + static_cast<std::ptrdiff_t>(at + length));
      }
      at += length;
    }
    ASSERT_EQ(naa.size(), 20U);
    units.push_back({.designator = naa, .block_bytes = lun == 0 ? iscsi_block : 512U, .first = 8});
  }
  const Bytes data = pattern(16 * iscsi_block, 5);
  write(*mine, 0, 8, data, iscsi_block);
  execute(*mine, scsi::extended_copy(units[0], units[1], 16));
  EXPECT_TRUE(read(*nvme.queue, 2, 8, 128, 512) == data);
  // Back to another place, counted in blocks of where it goes.
  units[0].first = 1000;
  execute(*mine, scsi::extended_copy(units[1], units[0], 16, /*counts_destination=*/true));
  EXPECT_TRUE(read(*nvme.queue, 1, 1000, 16, iscsi_block) == data);
}

// What an NVMe host protects is protected for SCSI, also after the daemon's death.
TEST_F(IscsiAndNvme, WriteProtectionIsOneForBoth) {
  constexpr std::uint8_t write_protection = 0x84;
  constexpr std::uint16_t is_write_protected = 0x20;
  constexpr std::uint8_t data_protect = 7;
  constexpr std::uint8_t device_specific_at = 3;  // of the header of MODE SENSE (10)
  constexpr unsigned write_protected_bit = 0x80;
  const auto set = [](Host& host, std::uint32_t state) {
    return status_of(host.controller->admin(),
                     client::admin::set_feature(write_protection, state, false, {}, 1));
  };
  {
    const auto mine = session("mine");
    Host nvme(daemon_.endpoint());
    ASSERT_TRUE(mine && nvme.connected());
    const auto event = request_event(*nvme.controller, attribute_notices);
    ASSERT_GOOD(event);
    EXPECT_EQ(set(nvme, 1), 0);
    const auto told = nvme.controller->admin().await(event.value());
    ASSERT_GOOD(told);
    EXPECT_EQ(told.value().dw0(), 0x0004'0002U) << "changed namespace list";
    take_unit_attentions(*mine);
    const auto refused = mine->execute(scsi::write(0, Bytes(iscsi_block), iscsi_block));
    ASSERT_GOOD(refused);
    EXPECT_EQ(refused.value().sense_key(), data_protect) << refused.value().describe();
  }
  daemon_.kill();
  ASSERT_TRUE(daemon_.start());
  const auto mine = session("mine");
  Host nvme(daemon_.endpoint());
  ASSERT_TRUE(mine && nvme.connected());
  const auto write = client::io::write(1, 0, Bytes(iscsi_block), iscsi_block);
  EXPECT_EQ(status_of(*nvme.queue, write), is_write_protected);
  EXPECT_EQ(status_of(*nvme.queue, client::io::read(1, 0, 1, iscsi_block)), 0);
  const auto space = nvme.controller->identify_namespace(1);
  ASSERT_GOOD(space);
  EXPECT_TRUE(space.value().write_protected);
  const Bytes mode = execute(*mine, scsi::mode_sense_10(0x0a)).data;
  ASSERT_GT(mode.size(), device_specific_at);
  EXPECT_NE(std::to_integer<unsigned>(mode[device_specific_at]) & write_protected_bit, 0U);
  for (const auto& [command, expected] : {std::pair{"status", "\"write_protected\":true"},
                                          std::pair{"events", "volume.write-protected"}}) {
    const Outcome shown = run({.arguments = {FOREBAYCTL, command, "-o", "json", "--socket",
                                             daemon_.config().control_socket}});
    EXPECT_NE(shown.output.find(expected), std::string::npos) << shown.output;
  }
  const std::string socket = daemon_.config().control_socket;
  const std::string volume = "big";
  const Outcome explained = run({.arguments = {FOREBAYCTL, "explain", volume, "--socket", socket}});
  EXPECT_NE(explained.output.find("write-protection " + volume + " off"), std::string::npos)
      << explained.output;
  const auto let_write = [&](const char* state) {
    const Outcome done =
        run({.arguments = {FOREBAYCTL, "write-protection", volume, state, "--socket", socket}});
    EXPECT_EQ(done.exit.code, 0) << done.output;
  };
  let_write("off");
  EXPECT_EQ(status_of(*nvme.queue, write), 0) << "the operator may take it back";
  let_write("on");
  EXPECT_EQ(status_of(*nvme.queue, write), is_write_protected);
  EXPECT_EQ(set(nvme, 0), 0);
  EXPECT_EQ(status_of(*nvme.queue, write), 0);
  take_unit_attentions(*mine);
  end_to_end::write(*mine, 0, 0, pattern(iscsi_block, 1), iscsi_block);
}

// NVMe's Copy, within one namespace and from another one.
TEST_F(IscsiAndNvme, ACopyByNvmeIsSeenByAll) {
  constexpr std::uint8_t host_behavior = 0x16;
  constexpr std::uint16_t invalid_field = 0x02;
  constexpr std::uint16_t incompatible_namespace = 0x185;
  constexpr std::size_t formats_at = 4;  // CDFE
  const auto mine = session("mine");
  Host nvme(daemon_.endpoint());
  ASSERT_TRUE(mine && nvme.connected());
  const Bytes data = pattern(600 * iscsi_block, 8);
  for (std::uint32_t at = 0; at < 600; at += 150) {
    write(*mine, 0, at,
          Bytes(data.begin() + static_cast<std::ptrdiff_t>(at * iscsi_block),
                data.begin() + static_cast<std::ptrdiff_t>((at + 150) * iscsi_block)),
          iscsi_block);
  }
  const auto done = nvme.queue->execute(client::io::copy(1, 2000, {{0, 500}, {500, 100}}));
  ASSERT_GOOD(done);
  EXPECT_TRUE(done.value().ok()) << done.value().describe();
  for (std::uint32_t at = 0; at < 600; at += 150) {
    EXPECT_TRUE(read(*mine, 0, 2000 + at, 150, iscsi_block) ==
                Bytes(data.begin() + static_cast<std::ptrdiff_t>(at * iscsi_block),
                      data.begin() + static_cast<std::ptrdiff_t>((at + 150) * iscsi_block)));
  }
  const auto from_other = client::io::copy(1, 0, {{0, 8, 2}});
  EXPECT_EQ(status_of(*nvme.queue, from_other), invalid_field) << "not enabled";
  Bytes behavior(512);
  behavior[formats_at] = std::byte{1 << 2};
  EXPECT_EQ(status_of(nvme.controller->admin(),
                      client::admin::set_feature(host_behavior, 0, false, behavior)),
            0);
  EXPECT_EQ(status_of(*nvme.queue, from_other), incompatible_namespace) << "512 into 4096";
  EXPECT_EQ(status_of(*nvme.queue, client::io::copy(1, 3000, {{0, 8, 1}})), 0);
  EXPECT_TRUE(read(*mine, 0, 3000, 1, iscsi_block) == read(*mine, 0, 0, 1, iscsi_block));
}

TEST_F(IscsiAndNvme, WhatAHostHasMadeUnreadableIsSoForBothAndStaysSo) {
  constexpr std::uint16_t unrecovered_read_error = 0x281;
  constexpr std::uint8_t medium_error = 3;
  for (const bool after_restart : {false, true}) {
    if (after_restart) {
      daemon_.kill();
      ASSERT_TRUE(daemon_.start());
    }
    const auto mine = session("mine");
    Host nvme(daemon_.endpoint());
    ASSERT_TRUE(mine && nvme.connected());
    if (!after_restart) {
      write(*mine, 0, 96, pattern(8 * iscsi_block, 3), iscsi_block);
      EXPECT_EQ(status_of(*nvme.queue, client::io::write_uncorrectable(1, 100, 2)), 0);
    }
    EXPECT_EQ(status_of(*nvme.queue, client::io::read(1, 101, 1, iscsi_block)),
              unrecovered_read_error);
    EXPECT_EQ(status_of(*nvme.queue, client::io::verify(1, 96, 8)), unrecovered_read_error);
    EXPECT_EQ(status_of(*nvme.queue, client::io::read(1, 102, 1, iscsi_block)), 0);
    const auto lost =
        nvme.controller->admin().execute(client::admin::get_lba_status(1, 0x11, 0, 0, 4096));
    ASSERT_GOOD(lost);
    ASSERT_EQ(lost.value().data.size(), 4096U);
    EXPECT_EQ(lost.value().data[0], std::byte{1}) << "one range";
    EXPECT_EQ(lost.value().data[8], std::byte{100});
    EXPECT_EQ(lost.value().data[16], std::byte{2});
    take_unit_attentions(*mine);
    const auto failed = mine->execute(scsi::read(100, 1, iscsi_block));
    ASSERT_GOOD(failed);
    EXPECT_EQ(failed.value().sense_key(), medium_error) << failed.value().describe();
    if (!after_restart) continue;
    write(*mine, 0, 100, pattern(2 * iscsi_block, 4), iscsi_block);
    EXPECT_TRUE(read(*mine, 0, 100, 2, iscsi_block) == pattern(2 * iscsi_block, 4));
    EXPECT_EQ(status_of(*nvme.queue, client::io::verify(1, 96, 8)), 0);
  }
}

TEST_F(IscsiAndNvme, AResizeReachesBoth) {
  const auto told = session("host");
  Host nvme(daemon_.endpoint());
  ASSERT_TRUE(told && nvme.connected());
  const Outcome grown = run({.arguments = {FOREBAYCTL, "volume", "grow", "big", "128MiB",
                                           "--socket", daemon_.config().control_socket}});
  ASSERT_EQ(grown.exit.describe(), "exit code 0") << grown.output;
  const auto attention = told->execute(scsi::test_unit_ready());
  ASSERT_GOOD(attention);
  EXPECT_EQ(attention.value().sense_key(), unit_attention_key);
  EXPECT_EQ(attention.value().additional_sense(), capacity_has_changed);
  const Bytes capacity = execute(*told, scsi::read_capacity_16()).data;
  ASSERT_EQ(capacity.size(), 32U);
  EXPECT_EQ(client::get_big(capacity, 0, 8) + 1, (128U << 20) / iscsi_block);
  const auto space = nvme.controller->identify_namespace(1);
  ASSERT_GOOD(space);
  EXPECT_EQ(space.value().blocks, (128U << 20) / iscsi_block);
  write(*told, 0, (100U << 20) / iscsi_block, pattern(iscsi_block, 9), iscsi_block);
  EXPECT_TRUE(read(*nvme.queue, 1, (100U << 20) / iscsi_block, 1, iscsi_block) ==
              pattern(iscsi_block, 9));
  daemon_.config().volumes[0].size = "128MiB";
}

// Task management ends work that waits, and tells others what they must know.
TEST_F(IscsiAndNvme, TaskManagementEndsWhatWaits) {
  using iscsi::TaskManagement;
  for (const auto function : {TaskManagement::abort_task_set, TaskManagement::clear_task_set,
                              TaskManagement::logical_unit_reset}) {
    SCOPED_TRACE(static_cast<int>(function));
    const auto mine = session("mine");
    const auto other = session("other");
    ASSERT_TRUE(mine && other);
    std::vector<std::uint32_t> waiting;
    for (std::uint64_t i = 0; i < 8; ++i) {
      scsi::Task task = scsi::write(200 + i * 8, pattern(8 * iscsi_block, i), iscsi_block);
      task.with_immediate_data = false;
      task.hold_data = true;
      const auto tag = mine->submit(std::move(task));
      ASSERT_GOOD(tag);
      ASSERT_GOOD(mine->await_r2t(tag.value()));
      waiting.push_back(tag.value());
    }
    const auto done = mine->manage(function);
    ASSERT_GOOD(done);
    EXPECT_EQ(done.value(), 0);
    // No answer for any of them: the next PDU is this one's.
    EXPECT_GOOD(mine->ping());
    for (const std::uint32_t tag : waiting) mine->forget(tag);
    if (function == TaskManagement::logical_unit_reset) {
      const auto attention = other->execute(scsi::test_unit_ready());
      ASSERT_GOOD(attention);
      EXPECT_EQ(attention.value().sense_key(), unit_attention_key);
      EXPECT_EQ(attention.value().additional_sense() >> 8, 0x29);
    }
    take_unit_attentions(*mine);
    take_unit_attentions(*other);
    write(*mine, 0, 200, pattern(iscsi_block, 77), iscsi_block);
    EXPECT_TRUE(read(*other, 0, 200, 1, iscsi_block) == pattern(iscsi_block, 77));
  }
}

}  // namespace
}  // namespace end_to_end
