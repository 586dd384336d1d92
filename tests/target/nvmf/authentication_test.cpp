// DH-HMAC-CHAP on the queues of a target, in virtual time: what is refused before it, what it is
// told, and that its arithmetic holds nobody up.
#include <deque>

#include "protocol/auth/dhchap_authenticator.h"
#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

namespace auth = protocol::auth;
using Bytes = std::vector<std::byte>;
using namespace std::chrono_literals;

auth::DhchapSecret secret_of(unsigned fill) {
  return {.bytes = Bytes(32, static_cast<std::byte>(fill)), .transformation = std::nullopt};
}

HostKeys keys_of(unsigned fill, auth::DhGroup group = auth::DhGroup::null) {
  return {.nqn = host_1,
          .required = true,
          .credentials = {.keys = {.host = secret_of(fill), .controller = secret_of(fill + 100)},
                          .hashes = {auth::DhchapHash::sha256},
                          .groups = {group}}};
}

// Jobs that are done when the test says so.
class HeldJobs final : public JobTaker {
 public:
  bool submit(Job job) override {
    if (refuses) return false;
    waiting.push_back(std::move(job));
    return true;
  }
  void run_all() {
    while (!waiting.empty()) {
      const Job job = std::move(waiting.front());
      waiting.pop_front();
      job();
    }
  }
  std::deque<Job> waiting;
  bool refuses = false;
};

nvme::SubmissionEntry authentication(nvme::FabricsType type, std::size_t bytes) {
  auto entry = fabrics_entry(type);
  entry.cdw10 = 0xe901'0100;
  entry.cdw11 = static_cast<std::uint32_t>(bytes);
  entry.data_pointer.length = static_cast<std::uint32_t>(bytes);
  return entry;
}

const FakePort::Answer* send(Link& link, const Bytes& message) {
  auto entry = authentication(nvme::FabricsType::authentication_send, message.size());
  entry.data_pointer.identifier = nvme::sgl_in_capsule;
  return link.run(entry, message);
}
FakePort::Answer receive(Link& link, std::size_t bytes = 4096) {
  auto entry = authentication(nvme::FabricsType::authentication_receive, bytes);
  entry.data_pointer.identifier = nvme::sgl_transport;
  return link.must(entry);
}

Bytes negotiate(auth::DhGroup group = auth::DhGroup::null) {
  Bytes message(8 + 64);
  message[4] = std::byte{7};
  message[7] = message[8] = message[10] = message[11] = std::byte{1};
  message[12] = std::byte{1};
  message[42] = static_cast<std::byte>(group);
  return message;
}

// Of a host with that secret to the challenge that it was given.
Bytes reply(const Bytes& challenge, unsigned fill, bool mutual = false,
            const std::string& subsystem = subsystem_a) {
  std::uint32_t sequence = 0;
  std::memcpy(&sequence, challenge.data() + 12, 4);
  const auto response =
      auth::host_response({.transaction = 7, .host_nqn = host_1, .subsystem_nqn = subsystem},
                          secret_of(fill), std::span(challenge).subspan(16, 32), sequence);
  Bytes message(16);
  message[0] = std::byte{1};
  message[1] = std::byte{2};
  message[4] = std::byte{7};
  message[6] = std::byte{32};
  message[8] = static_cast<std::byte>(mutual);
  message.insert(message.end(), response.bytes().begin(), response.bytes().end());
  message.insert(message.end(), 32, mutual ? std::byte{9} : std::byte{0});
  return message;
}

unsigned message_id(const FakePort::Answer& answer) {
  return answer.data.size() < 2 ? 0xffff : std::to_integer<unsigned>(answer.data[1]);
}
unsigned explanation(const FakePort::Answer& answer) {
  EXPECT_EQ(message_id(answer), 0xf1U);
  return answer.data.size() < 8 ? 0 : std::to_integer<unsigned>(answer.data[7]);
}
constexpr std::uint64_t authreq_atr = 1U << 17;

class AuthenticationTest : public TargetHarness {
 protected:
  void expect_accepted(Link& link, const nvme::SubmissionEntry& entry) {
    EXPECT_FALSE(link.must(entry).status.is(status::authentication_required));
  }
  // Up to the reply.
  FakePort::Answer attempt(Link& link, unsigned fill, const std::string& subsystem = subsystem_a) {
    EXPECT_EQ(send(link, negotiate())->status, status::success);
    const auto challenge = receive(link);
    EXPECT_EQ(message_id(challenge), 1U);
    EXPECT_EQ(send(link, reply(challenge.data, fill, false, subsystem))->status, status::success);
    return receive(link);
  }
  // An Admin queue of host 1 that has proved itself.
  std::unique_ptr<Link> proved(unsigned fill) {
    auto made = link();
    const auto answer = made->connect({});
    cntlid = static_cast<std::uint16_t>(answer.result);
    EXPECT_EQ(message_id(attempt(*made, fill)), 3U);
    EXPECT_EQ(made->must(property_set(nvme::property::cc, cc_enable)).status, status::success);
    return made;
  }
};

TEST_F(AuthenticationTest, NothingElseIsDoneBeforeTheHostHasProvedWhoItIs) {
  target.set_host_keys(keys_of(1));
  auto first = link();
  const auto connected = first->connect({});
  EXPECT_EQ(connected.status, status::success);
  EXPECT_EQ(connected.result & 0xffff'0000U, authreq_atr);
  for (const auto& entry :
       {property_get(nvme::property::cap, 8), property_set(nvme::property::cc, cc_enable),
        identify_entry(1), entry_of(nvme::AdminOpcode::keep_alive),
        fabrics_entry(nvme::FabricsType::disconnect), fabrics_entry(nvme::FabricsType::connect)}) {
    EXPECT_TRUE(first->must(entry).status.is(status::authentication_required))
        << unsigned{entry.opcode};
  }
  EXPECT_EQ(target.status().controllers.front().security, "none");
  EXPECT_EQ(message_id(attempt(*first, 1)), 3U);
  EXPECT_EQ(first->must(property_get(nvme::property::cap, 8)).status, status::success);
  EXPECT_EQ(target.status().controllers.front().security, "dhchap");
  EXPECT_EQ(target.status().authentications, 1U);
}

TEST_F(AuthenticationTest, HostsWithoutKeysAreAskedForNothing) {
  target.set_host_keys(keys_of(1));
  auto second = link();
  const auto connected = second->connect({.host = host_2});
  EXPECT_EQ(connected.result & 0xffff'0000U, 0U);
  EXPECT_EQ(second->must(property_set(nvme::property::cc, cc_enable)).status, status::success);
}

TEST_F(AuthenticationTest, KeysThatAreNotRequiredMayBeProved) {
  auto keys = keys_of(1);
  keys.required = false;
  target.set_host_keys(keys);
  auto first = link();
  EXPECT_EQ(first->connect({}).result & 0xffff'0000U, 0U);
  EXPECT_EQ(first->must(property_set(nvme::property::cc, cc_enable)).status, status::success);
  EXPECT_EQ(message_id(attempt(*first, 1)), 3U);
  EXPECT_EQ(target.status().controllers.front().security, "dhchap");
}

TEST_F(AuthenticationTest, EveryQueueProvesItself) {
  target.set_host_keys(keys_of(1));
  auto first = proved(1);
  auto queue = link();
  const auto connected = queue->connect({.qid = 1, .cntlid = cntlid});
  EXPECT_EQ(connected.result & 0xffff'0000U, authreq_atr);
  auto read = entry_of(0x02, 512);
  read.nsid = 1;
  EXPECT_TRUE(queue->must(read).status.is(status::authentication_required));
  EXPECT_EQ(message_id(attempt(*queue, 1)), 3U);
  EXPECT_EQ(queue->must(fabrics_entry(nvme::FabricsType::disconnect)).status, status::success);
}

// Hosts have tools that give their kernels no key for discovery.
TEST_F(AuthenticationTest, DiscoveryAsksOnlyWhereThatIsWanted) {
  target.set_host_keys(keys_of(1));
  const std::string name(nvme::discovery_nqn);
  auto plain = link("disc", "198.51.100.7:8009");
  EXPECT_EQ(plain->connect({.subsystem = name}).result & 0xffff'0000U, 0U);
  EXPECT_EQ(plain->must(property_set(nvme::property::cc, cc_enable)).status, status::success);
  EXPECT_EQ(message_id(attempt(*plain, 1, name)), 3U);

  HostKeys strict = keys_of(1);
  strict.required_at_discovery = true;
  target.set_host_keys(strict);
  auto asked = link("disc", "198.51.100.7:8009");
  EXPECT_EQ(asked->connect({.subsystem = name}).result & 0xffff'0000U, authreq_atr);
  EXPECT_EQ(message_id(attempt(*asked, 1, name)), 3U);
  EXPECT_EQ(asked->must(property_set(nvme::property::cc, cc_enable)).status, status::success);
}

TEST_F(AuthenticationTest, AWrongKeyIsToldAndEndsTheConnection) {
  target.set_host_keys(keys_of(1));
  auto first = link();
  (void)first->connect({});
  EXPECT_EQ(explanation(attempt(*first, 2)), 1U);
  EXPECT_EQ(first->port.ended, EndReason::authentication_failed);
  EXPECT_EQ(target.status().authentication_failures, 1U);
  EXPECT_EQ(target.status().hosts.all().at(host_1).authentication_failures, 1U);
}

// A host that waits for the answer of Failure2 would wait for minutes.
TEST_F(AuthenticationTest, AHostThatRefusesUsIsAnswered) {
  target.set_host_keys(keys_of(1));
  auto first = link();
  (void)first->connect({});
  (void)send(*first, negotiate());
  const auto challenge = receive(*first);
  (void)send(*first, reply(challenge.data, 1, /*mutual=*/true));
  const auto success1 = receive(*first);
  ASSERT_EQ(message_id(success1), 3U);
  EXPECT_EQ(success1.data[8], std::byte{1});
  EXPECT_TRUE(first->must(identify_entry(1)).status.is(status::authentication_required))
      << "the host has not said yet that it believes us";
  Bytes failure2(8);
  failure2[1] = std::byte{0xf0};
  failure2[4] = std::byte{7};
  failure2[6] = failure2[7] = std::byte{1};
  const auto* answer = send(*first, failure2);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->status, status::success);
  EXPECT_EQ(first->port.ended, EndReason::authentication_failed);
}

TEST_F(AuthenticationTest, BothSidesMayProveThemselves) {
  target.set_host_keys(keys_of(1));
  auto first = link();
  (void)first->connect({});
  (void)send(*first, negotiate());
  const auto challenge = receive(*first);
  (void)send(*first, reply(challenge.data, 1, /*mutual=*/true));
  (void)receive(*first);
  Bytes success2(16);
  success2[0] = std::byte{1};
  success2[1] = std::byte{4};
  success2[4] = std::byte{7};
  EXPECT_EQ(send(*first, success2)->status, status::success);
  EXPECT_EQ(first->must(property_set(nvme::property::cc, cc_enable)).status, status::success);
  EXPECT_EQ(target.status().controllers.front().security, "mutual dhchap");
}

TEST_F(AuthenticationTest, CommandsThatAreNotSoAreRefused) {
  target.set_host_keys(keys_of(1));
  auto first = link();
  (void)first->connect({});
  auto other_protocol = authentication(nvme::FabricsType::authentication_receive, 4096);
  other_protocol.data_pointer.identifier = nvme::sgl_transport;
  other_protocol.cdw10 = 0x0101'0100;
  EXPECT_TRUE(first->must(other_protocol).status.is(status::invalid_field));
  EXPECT_TRUE(receive(*first).status.is(status::command_sequence_error)) << "nothing to fetch";
  (void)send(*first, negotiate());
  EXPECT_TRUE(receive(*first, 16).status.is(status::invalid_field)) << "too short for it";
  EXPECT_EQ(message_id(receive(*first)), 1U) << "it is still there";
}

TEST_F(AuthenticationTest, AReplyGivenAgainOnAnotherConnectionFails) {
  target.set_host_keys(keys_of(1));
  auto first = link();
  (void)first->connect({});
  (void)send(*first, negotiate());
  const Bytes overheard = reply(receive(*first).data, 1);
  (void)send(*first, overheard);
  EXPECT_EQ(message_id(receive(*first)), 3U);
  auto second = link();
  (void)second->connect({});
  (void)send(*second, negotiate());
  (void)receive(*second);
  (void)send(*second, overheard);
  EXPECT_EQ(explanation(receive(*second)), 1U);
}

TEST_F(AuthenticationTest, WithoutAnEndInTimeTheConnectionEnds) {
  target.set_host_keys(keys_of(1));
  auto first = link();
  (void)first->connect({});
  pass(29s);
  (void)send(*first, negotiate());  // does not begin the time anew
  EXPECT_FALSE(first->port.ended);
  pass(2s);
  EXPECT_EQ(first->port.ended, EndReason::authentication_timeout);
}

TEST_F(AuthenticationTest, AgainAtAnyTimeWhileOthersAreServed) {
  target.set_host_keys(keys_of(1));
  auto first = proved(1);
  target.set_host_keys(keys_of(2));
  EXPECT_EQ(first->must(identify_entry(1)).status, status::success) << "new keys disturb nobody";
  (void)send(*first, negotiate());
  EXPECT_EQ(first->must(identify_entry(1)).status, status::success);
  const auto challenge = receive(*first);
  (void)send(*first, reply(challenge.data, 2));
  EXPECT_EQ(message_id(receive(*first)), 3U);
  EXPECT_EQ(first->must(identify_entry(1)).status, status::success);
  EXPECT_EQ(explanation(attempt(*first, 1)), 1U) << "the old key";
  EXPECT_EQ(first->port.ended, EndReason::authentication_failed);
}

TEST_F(AuthenticationTest, WhoFailsTooOftenIsTurnedAwayForAWhile) {
  target.set_host_keys(keys_of(1));
  for (std::uint32_t i = 0; i < AttemptLimit::most_failures; ++i) {
    auto first = link();
    EXPECT_EQ(first->connect({}).status, status::success);
    EXPECT_EQ(explanation(attempt(*first, 2)), 1U);
  }
  EXPECT_TRUE(link()->connect({}).status.is(status::connect_controller_busy));
  auto from_elsewhere = link();
  from_elsewhere->port.link_.peer_address = "192.0.2.21:50000";
  EXPECT_EQ(from_elsewhere->connect({}).status, status::success);
  EXPECT_EQ(link()->connect({.host = host_2}).status, status::success);
  pass(AttemptLimit::interval);
  EXPECT_EQ(link()->connect({}).status, status::success);
}

// The arithmetic is out; the reactor goes on with what others and this queue want meanwhile.
TEST(AuthenticationWork, NobodyWaitsForAnothersDiffieHellman) {
  ManualClock clock;
  SimReactor reactor(clock);
  HeldJobs jobs;
  TargetOptions options;
  options.discovery_nqn = unique_discovery;
  options.listeners = {{.name = "san-a", .address = "192.0.2.10"}};
  options.host_keys = {keys_of(1, auth::DhGroup::ffdhe2048)};
  options.worker = &jobs;
  NvmfTarget target(options, clock);
  const std::string name(nvme::discovery_nqn);
  Link first(target, reactor.get());
  Link other(target, reactor.get());
  (void)first.connect({.subsystem = name});
  (void)other.connect({.host = host_2, .subsystem = name});

  EXPECT_EQ(send(first, negotiate(auth::DhGroup::ffdhe2048)), nullptr) << "not before the job";
  const std::uint16_t sent = first.last_command();
  ASSERT_EQ(jobs.waiting.size(), 1U);
  reactor.run_until_idle();
  EXPECT_EQ(other.must(property_get(nvme::property::cap, 8)).status, status::success);
  EXPECT_TRUE(receive(first).status.is(status::command_sequence_error));
  EXPECT_TRUE(
      send(first, negotiate(auth::DhGroup::ffdhe2048))->status.is(status::command_sequence_error));
  EXPECT_EQ(first.port.answer_to(sent), nullptr);

  jobs.run_all();
  EXPECT_EQ(first.port.answer_to(sent), nullptr) << "answered by the reactor, not by the worker";
  reactor.run_until_idle();
  ASSERT_NE(first.port.answer_to(sent), nullptr);
  EXPECT_EQ(receive(first).data[9], std::byte{1});

  // A connection that ends meanwhile.
  EXPECT_EQ(send(first, negotiate(auth::DhGroup::ffdhe2048)), nullptr);
  const std::uint16_t late = first.last_command();
  first.close();
  jobs.run_all();
  reactor.run_until_idle();
  EXPECT_NE(first.port.answer_to(late), nullptr);

  // Too many at a time: this one may try again.
  jobs.refuses = true;
  Link second(target, reactor.get());
  (void)second.connect({.subsystem = name});
  const auto* refused = send(second, negotiate(auth::DhGroup::ffdhe2048));
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(refused->status, status::command_interrupted);
  jobs.refuses = false;
  EXPECT_EQ(send(second, negotiate(auth::DhGroup::ffdhe2048)), nullptr);
  jobs.run_all();
  reactor.run_until_idle();
  EXPECT_EQ(message_id(receive(second)), 1U);
}

}  // namespace
}  // namespace target::nvmf
