// Commands at the wrong time, in the wrong place, or that do not exist: each has its status.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/end_to_end/harness/attacker.h"
#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"

namespace end_to_end {
namespace {

namespace io = client::io;
namespace admin = client::admin;

// NVMe Base 2.0, figures of generic and command specific status.
constexpr std::uint16_t success = 0x00;
constexpr std::uint16_t invalid_opcode = 0x01;
constexpr std::uint16_t invalid_field = 0x02;
constexpr std::uint16_t command_id_conflict = 0x03;
constexpr std::uint16_t invalid_namespace = 0x0b;
constexpr std::uint16_t command_sequence_error = 0x0c;
constexpr std::uint16_t data_sgl_length_invalid = 0x0f;
constexpr std::uint16_t sgl_type_invalid = 0x11;
constexpr std::uint16_t lba_out_of_range = 0x80;
constexpr std::uint16_t invalid_queue_identifier = 0x101;
constexpr std::uint16_t connect_incompatible_format = 0x180;
constexpr std::uint16_t connect_invalid_parameters = 0x182;

class IllegalState : public testing::Test {
 protected:
  IllegalState() : daemon_(workplace_, attack_config()) {}
  void SetUp() override { ASSERT_TRUE(daemon_.start()); }
  [[nodiscard]] client::Endpoint endpoint() const { return daemon_.endpoint(); }

  Workplace workplace_;
  Daemon daemon_;
};

TEST_F(IllegalState, NothingButConnectIsServedOnANewQueue) {
  Bystander bystander(endpoint());
  const client::Command commands[] = {
      io::read(1, 0, 1, 4096),
      io::write(1, 0, Bytes(4096), 4096),
      io::flush(1),
      admin::identify({.cns = 1}),
      admin::keep_alive(),
      client::property_get_command(client::property::cap, 1),
      client::property_set_command(client::property::cc, 0x460001, 0),
      client::disconnect_command(),
      admin::async_event_request()};
  for (std::size_t i = 0; i < std::size(commands); ++i) {
    SCOPED_TRACE(fmt::format("command {}", i));
    Attacker attacker(endpoint(), Stage::negotiated);
    ASSERT_TRUE(attacker.ready());
    const auto done = attacker.queue().execute(commands[i]);
    if (done) {
      EXPECT_EQ(done.value().kind(), command_sequence_error) << done.value().describe();
    } else {
      // Ending the connection is as good.
      EXPECT_NE(done.error().kind, client::ErrorKind::time_out) << done.error().describe();
      EXPECT_NE(done.error().kind, client::ErrorKind::violation) << done.error().describe();
    }
  }
  bystander.expect_undisturbed();
}

TEST_F(IllegalState, ConnectTwiceIsRefusedAndTheQueueLivesOn) {
  for (const Stage stage : {Stage::admin, Stage::io}) {
    Attacker attacker(endpoint(), stage);
    ASSERT_TRUE(attacker.ready());
    auto fields = attacker.controller().io_connect_fields(stage == Stage::io ? 1 : 0, 32);
    if (stage == Stage::admin) fields.controller_id = 0xffff;
    EXPECT_EQ(status_of(attacker.queue(), client::connect_command(fields)), command_sequence_error);
    EXPECT_GOOD(attacker.controller().keep_alive());
    if (stage == Stage::io) write_and_read_back(attacker.queue(), 1, 0, 1, 4096, 1);
  }
}

TEST_F(IllegalState, ConnectWithWrongParametersSaysWhichOne) {
  struct Wrong {
    const char* damage;
    std::function<void(client::ConnectFields&)> spoil;
    std::uint16_t status;
    std::uint32_t location;  // dword 0: IPO in 15:0, IATTR (1: in the data) in 16
  };
  const Wrong wrongs[] = {
      {"unknown subsystem", [](auto& f) { f.subsystem_nqn = "nqn.2026-11.com.example:none"; },
       connect_invalid_parameters, 0x10000 | 256},
      {"no subsystem", [](auto& f) { f.subsystem_nqn = ""; }, connect_invalid_parameters,
       0x10000 | 256},
      {"no host", [](auto& f) { f.host_nqn = ""; }, connect_invalid_parameters, 0x10000 | 512},
      {"queue of one entry", [](auto& f) { f.queue_entries_minus_1 = 0; },
       connect_invalid_parameters, 44},
      {"static controller", [](auto& f) { f.controller_id = 5; }, connect_invalid_parameters,
       0x10000 | 16},
      {"record format 1", [](auto& f) { f.record_format = 1; }, connect_incompatible_format, 0},
      {"I/O queue without a controller",
       [](auto& f) {
         f.queue_id = 1;
         f.controller_id = 4242;
       },
       connect_invalid_parameters, 0x10000 | 16},
  };
  for (const Wrong& wrong : wrongs) {
    SCOPED_TRACE(wrong.damage);
    Attacker attacker(endpoint(), Stage::negotiated);
    ASSERT_TRUE(attacker.ready());
    client::ConnectFields fields{.host_id = {std::byte{7}},
                                 .subsystem_nqn = prey_subsystem,
                                 .host_nqn = client::random_host_nqn()};
    wrong.spoil(fields);
    const auto done = attacker.queue().connect(fields);
    ASSERT_GOOD(done);
    EXPECT_EQ(done.value().kind(), wrong.status) << done.value().describe();
    if (wrong.status == connect_invalid_parameters) {
      EXPECT_EQ(done.value().dw0(), wrong.location);
    }
  }
}

// Of a controller that is there: its identifier is no secret, and opens nothing to another host,
// nor to its own a second Admin queue or the same I/O queue twice.
TEST_F(IllegalState, QueuesOfAControllerAreItsHostsAndEachThereOnce) {
  Bystander bystander(endpoint());
  Attacker owner(endpoint(), Stage::io);
  ASSERT_TRUE(owner.ready());
  const client::ConnectFields own = owner.controller().io_connect_fields(2, 32);
  struct Attempt {
    const char* what;
    std::function<void(client::ConnectFields&)> spoil;
    std::uint16_t status;
    std::uint32_t location;
  };
  const std::string other_host = client::random_host_nqn();
  std::vector<Attempt> attempts = {
      {"another host", [&](auto& f) { f.host_nqn = other_host; }, connect_invalid_parameters,
       0x10000 | 512},
      {"another identifier of the host", [](auto& f) { f.host_id[3] ^= std::byte{1}; },
       connect_invalid_parameters, 0x10000 | 0},
      // Where the identifier is the bystander's.
      {"another subsystem", [](auto& f) { f.subsystem_nqn = default_subsystem; },
       connect_invalid_parameters, 0x10000 | 512},
      {"a second Admin queue", [](auto& f) { f.queue_id = 0; }, connect_invalid_parameters,
       0x10000 | 16},
      {"the same I/O queue", [](auto& f) { f.queue_id = 1; }, invalid_queue_identifier, 0},
      {"a queue beyond those there are", [](auto& f) { f.queue_id = 60'000; },
       connect_invalid_parameters, 42},
  };
  // All that somebody else may guess.
  for (std::uint16_t id = 0; id < 40; ++id) {
    attempts.push_back({"a guess",
                        [&other_host, id](auto& f) {
                          f.host_nqn = other_host;
                          f.controller_id = id;
                        },
                        connect_invalid_parameters, 0});
  }
  for (const Attempt& attempt : attempts) {
    SCOPED_TRACE(attempt.what);
    Attacker thief(endpoint(), Stage::negotiated);
    ASSERT_TRUE(thief.ready());
    auto fields = own;
    attempt.spoil(fields);
    const auto done = thief.queue().connect(fields);
    ASSERT_GOOD(done);
    EXPECT_EQ(done.value().kind(), attempt.status) << done.value().describe();
    if (attempt.location != 0) {
      EXPECT_EQ(done.value().dw0(), attempt.location);
    }
    thief.await_end();
  }
  EXPECT_GOOD(owner.controller().keep_alive());
  write_and_read_back(owner.queue(), 1, 0, 8, 4096, 1);
  // A second association of the same host is another controller, and the first stays.
  auto again = own;
  again.queue_id = 0;
  again.controller_id = 0xffff;
  Attacker second(endpoint(), Stage::negotiated);
  ASSERT_TRUE(second.ready());
  const auto done = second.queue().connect(again);
  ASSERT_GOOD(done);
  EXPECT_TRUE(done.value().ok()) << done.value().describe();
  EXPECT_NE(done.value().dw0() & 0xffff, own.controller_id);
  write_and_read_back(owner.queue(), 1, 0, 8, 4096, 2);
  bystander.expect_undisturbed();
}

TEST_F(IllegalState, ACommandIdentifierInUseIsAConflict) {
  Attacker attacker(endpoint(), Stage::io);
  ASSERT_TRUE(attacker.ready());
  auto held = io::write(1, 0, pattern(65536, 1), 4096);
  held.hold_data = true;
  const auto cid = attacker.queue().submit(std::move(held));
  ASSERT_GOOD(cid);
  const auto r2t = attacker.queue().await_r2t(cid.value());
  ASSERT_GOOD(r2t);
  auto twin = io::read(1, 0, 1, 4096);
  twin.entry.sgl(client::sgl_transport, 0, 4096).cid(cid.value());
  ASSERT_GOOD(attacker.raw().send(client::command_capsule(twin.entry.bytes())));
  const auto answer = attacker.raw().receive();
  ASSERT_GOOD(answer);
  ASSERT_TRUE(answer.value().is(client::PduType::response)) << answer.value().describe();
  EXPECT_EQ(answer.value().field<std::uint16_t>(22) >> 1 & 0x7ff, command_id_conflict);
  ASSERT_GOOD(attacker.queue().answer(r2t.value()));  // the first goes on as if nothing was
  const auto done = attacker.queue().await(cid.value());
  ASSERT_GOOD(done);
  EXPECT_TRUE(done.value().ok()) << done.value().describe();
  EXPECT_TRUE(read(attacker.queue(), 1, 0, 16, 4096) == pattern(65536, 1));
}

TEST_F(IllegalState, MoreCommandsThanTheQueueHasEntriesEndTheConnection) {
  Bystander bystander(endpoint());
  Attacker attacker(endpoint(), Stage::io);  // 32 entries
  ASSERT_TRUE(attacker.ready());
  for (std::uint64_t i = 0; i < 200; ++i) {
    auto held = io::write(1, 0, Bytes(65536), 4096);
    held.hold_data = true;
    if (!attacker.queue().submit(std::move(held))) break;
  }
  const auto end = attacker.await_termination();
  ASSERT_TRUE(end);
  bystander.expect_undisturbed();
}

TEST_F(IllegalState, CommandsOfTheOtherQueueAreUnknownHere) {
  Attacker attacker(endpoint(), Stage::io);
  ASSERT_TRUE(attacker.ready());
  client::Queue& queue = attacker.queue();
  for (const auto& command : {admin::identify({.cns = 1}), admin::get_log({.lid = 2, .bytes = 512}),
                              admin::keep_alive(), admin::async_event_request()}) {
    // 06h, 02h, 18h, 0Ch: on an I/O queue Get Log Page is Read, AER is Verify.
    const auto opcode = client::get<std::uint8_t>(command.entry.bytes(), 0);
    const auto status = status_of(queue, command);
    if (opcode == 0x06 || opcode == 0x18) {
      EXPECT_EQ(status, invalid_opcode);
    } else {
      EXPECT_NE(status, success);
    }
  }
  EXPECT_NE(status_of(queue, client::property_get_command(client::property::cap, 1)), success);
  EXPECT_EQ(status_of(attacker.controller().admin(), io::write(1, 0, Bytes(4096), 4096)),
            invalid_opcode);
  write_and_read_back(queue, 1, 0, 1, 4096, 1);
}

TEST_F(IllegalState, EveryOpcodeIsAnsweredAndTheQueueLivesOn) {
  Bystander bystander(endpoint());
  Attacker attacker(endpoint(), Stage::io);
  ASSERT_TRUE(attacker.ready());
  for (int code = 0; code < 256; ++code) {
    SCOPED_TRACE(fmt::format("opcode {:02x}h", code));
    const auto opcode = static_cast<std::uint8_t>(code);
    if (opcode != client::opcode::fabrics) {
      const auto done = attacker.queue().execute({.entry = client::Entry(opcode).nsid(1)});
      ASSERT_GOOD(done);
      const bool known = code == 0 || code == 1 || code == 2 || code == 4 || code == 5 ||
                         code == 8 || code == 9 || code == 0x0c || code == 0x0d || code == 0x0e ||
                         code == 0x11 || code == 0x15 || code == 0x19;
      if (!known) {
        EXPECT_EQ(done.value().kind(), invalid_opcode);
      }
    }
    // An Async Event Request is answered when there is an event.
    if (opcode == client::opcode::async_event_request || opcode == client::opcode::fabrics) {
      continue;
    }
    ASSERT_GOOD(attacker.controller().admin().execute({.entry = client::Entry(opcode)}));
  }
  for (const int type : {0x02, 0x03, 0x05, 0x06, 0x07, 0x09, 0x7f, 0xff}) {
    client::Entry entry(client::opcode::fabrics);
    entry.byte(4, static_cast<std::uint8_t>(type));
    EXPECT_NE(status_of(attacker.queue(), {.entry = entry}), success);
    EXPECT_NE(status_of(attacker.controller().admin(), {.entry = entry}), success);
  }
  write_and_read_back(attacker.queue(), 1, 0, 1, 4096, 1);
  bystander.expect_undisturbed();
}

TEST_F(IllegalState, NamespacesAndBlocksThatAreNotThere) {
  Attacker attacker(endpoint(), Stage::io);
  ASSERT_TRUE(attacker.ready());
  client::Queue& queue = attacker.queue();
  constexpr std::uint64_t blocks = (16U << 20) / 4096;
  for (const std::uint32_t nsid : {0U, 2U, 1024U, 0xfffffffeU, 0xffffffffU}) {
    SCOPED_TRACE(nsid);
    EXPECT_EQ(status_of(queue, io::read(nsid, 0, 1, 4096)), invalid_namespace);
    EXPECT_EQ(status_of(queue, io::write(nsid, 0, Bytes(4096), 4096)), invalid_namespace);
    EXPECT_EQ(status_of(queue, io::write(nsid, 0, Bytes(65536), 4096)), invalid_namespace);
  }
  for (const std::uint64_t lba :
       {blocks, blocks - 1, std::uint64_t{1} << 40, ~std::uint64_t{0}, ~std::uint64_t{0} - 1}) {
    SCOPED_TRACE(lba);
    EXPECT_EQ(status_of(queue, io::read(1, lba, 2, 4096)), lba_out_of_range);
    EXPECT_EQ(status_of(queue, io::write(1, lba, Bytes(8192), 4096)), lba_out_of_range);
    EXPECT_EQ(status_of(queue, io::compare(1, lba, Bytes(8192), 4096)), lba_out_of_range);
    EXPECT_EQ(status_of(queue, io::write_zeroes(1, lba, 2)), lba_out_of_range);
    EXPECT_EQ(status_of(queue, io::verify(1, lba, 2)), lba_out_of_range);
    EXPECT_EQ(status_of(queue, io::dataset_management(1, {{.lba = lba, .blocks = 2}})),
              lba_out_of_range);
  }
  write_and_read_back(queue, 1, blocks - 1, 1, 4096, 1);
}

TEST_F(IllegalState, SglsOfOtherTypesAndLengthsAreRefusedByType) {
  Attacker attacker(endpoint(), Stage::io);
  ASSERT_TRUE(attacker.ready());
  client::Queue& queue = attacker.queue();
  const auto with_sgl = [](client::Command command, std::uint8_t type, std::uint64_t address,
                           std::uint32_t length) {
    command.entry.sgl(type, address, length);
    command.data_out.clear();
    return command;
  };
  for (const int code : {0x00, 0x02, 0x10, 0x20, 0x30, 0x40, 0x50, 0xf0}) {
    SCOPED_TRACE(fmt::format("SGL type {:02x}h", code));
    const auto type = static_cast<std::uint8_t>(code);
    EXPECT_EQ(status_of(queue, with_sgl(io::read(1, 0, 1, 4096), type, 0, 4096)), sgl_type_invalid);
    EXPECT_EQ(status_of(queue, with_sgl(io::write(1, 0, Bytes(4096), 4096), type, 0, 4096)),
              sgl_type_invalid);
  }
  EXPECT_EQ(status_of(queue, with_sgl(io::read(1, 0, 2, 4096), client::sgl_transport, 0, 4096)),
            data_sgl_length_invalid);
  // In the capsule, but there is less of it than the SGL says, or it lies outside.
  for (const auto& [address, length] :
       {std::pair{0U, 8192U}, std::pair{4096U, 4096U}, std::pair{0xfffff000U, 0x2000U}}) {
    auto command = io::write(1, 0, Bytes(4096), 4096);
    command.entry.sgl(client::sgl_in_capsule, address, length);
    command.transfer = client::Transfer::in_capsule;
    const auto status = status_of(queue, command);
    EXPECT_TRUE(status == data_sgl_length_invalid || status == 0x16 /* SGL Offset Invalid */)
        << status;
  }
  // PRPs (PSDT 00b) do not exist in fabrics.
  auto prp = io::read(1, 0, 1, 4096);
  prp.entry.sgl(client::sgl_transport, 0, 4096).byte(1, 0);
  EXPECT_EQ(status_of(queue, prp), invalid_field);
  write_and_read_back(queue, 1, 0, 2, 4096, 1);
}

TEST_F(IllegalState, IoAfterDisableOrShutdownDoesNotHappen) {
  for (const bool shutdown : {false, true}) {
    SCOPED_TRACE(shutdown ? "CC.SHN" : "CC.EN 0");
    Attacker attacker(endpoint(), Stage::io);
    ASSERT_TRUE(attacker.ready());
    ASSERT_NO_FATAL_FAILURE(write(attacker.queue(), 1, 0, pattern(4096, 1), 4096));
    if (shutdown) {
      ASSERT_GOOD(attacker.controller().shut_down());
    } else {
      ASSERT_GOOD(attacker.controller().disable());
    }
    const auto done = attacker.queue().execute(io::write(1, 0, pattern(4096, 2), 4096));
    EXPECT_TRUE(!done || !done.value().ok()) << "written after the controller was stopped";
    Host host(endpoint(), {.subsystem = prey_subsystem});
    ASSERT_TRUE(host.connected());
    EXPECT_TRUE(read(*host.queue, 1, 0, 1, 4096) == pattern(4096, 1));
  }
}

}  // namespace
}  // namespace end_to_end
