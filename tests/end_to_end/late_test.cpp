// What is not there yet when the daemon starts: disks and addresses. Nothing is refused for it,
// nothing is made up, and it is served as soon as it comes.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

// Path related status (SCT 3): Asymmetric Access Inaccessible. A host with multipath queues on it.
constexpr std::uint16_t inaccessible = 0x302;

bool volume_is(const boost::json::value& status, std::string_view name, std::string_view state) {
  return named(status, "volumes", name).at("state").as_string() == state;
}

TEST(Late, AVolumeWithoutItsDiskKeepsItsIdentityAndComesBackByItself) {
  Workplace workplace;
  const std::string pool = workplace.make_pool("pool");
  ConfigText config = file_config(pool);
  config.pools.push_back({.name = "mem"});
  config.volumes.push_back({.name = "other", .pool = "mem"});
  config.subsystems[0].namespaces.push_back({.nsid = 3, .volume = "other"});
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  client::NamespaceData known;
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    const auto space = host.controller->identify_namespace(1);
    ASSERT_GOOD(space);
    known = space.value();
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 9, pattern(4096, 1), 4096));
  }
  daemon.stop();

  std::filesystem::rename(pool, pool + ".away");
  std::filesystem::create_directory(pool);  // the mount point of a disk that is not mounted
  ASSERT_TRUE(daemon.start());
  EXPECT_TRUE(daemon.await_log({"disk", "mounted"}));
  const auto status = daemon.status();
  EXPECT_FALSE(status.at("healthy").as_bool());
  EXPECT_TRUE(volume_is(status, "big", "late"));
  EXPECT_TRUE(volume_is(status, "other", "online"));
  EXPECT_NE(named(status, "pools", "disk").at("reason").as_string(), "");
  EXPECT_TRUE(std::filesystem::is_empty(pool)) << "nothing may be made where a disk is missing";

  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected()) << "Connect is never refused for a late volume";
  const auto namespaces = host.controller->active_namespaces();
  ASSERT_GOOD(namespaces);
  EXPECT_EQ(namespaces.value(), (std::vector<std::uint32_t>{1, 2, 3}));
  const auto late = host.controller->identify_namespace(1);
  ASSERT_GOOD(late);
  EXPECT_EQ(late.value().nguid, known.nguid);
  EXPECT_EQ(late.value().blocks, known.blocks);
  EXPECT_EQ(ana_state(*host.controller, 1), 3);
  EXPECT_EQ(ana_state(*host.controller, 3), 1);
  EXPECT_EQ(status_of(*host.queue, client::io::read(1, 0, 1, 4096)), inaccessible);
  EXPECT_EQ(status_of(*host.queue, client::io::write(1, 0, Bytes(4096), 4096)), inaccessible);
  write_and_read_back(*host.queue, 3, 0, 8, 4096, 1);

  const auto event = request_event(*host.controller, ana_change_notices);
  ASSERT_GOOD(event);
  std::filesystem::remove(pool);
  std::filesystem::rename(pool + ".away", pool);
  const auto told = host.controller->admin().await(event.value());
  ASSERT_GOOD(told);
  EXPECT_EQ(told.value().dw0(), 0x0c0302U)
      << "a notice, Asymmetric Namespace Access Change, of log page 0Ch: "
      << told.value().describe();
  EXPECT_TRUE(daemon.await_status([](const boost::json::value& now) {
    return now.at("healthy").as_bool() && volume_is(now, "big", "online");
  }));
  EXPECT_EQ(ana_state(*host.controller, 1), 1);
  EXPECT_TRUE(read(*host.queue, 1, 9, 1, 4096) == pattern(4096, 1));
  write_and_read_back(*host.queue, 1, 0, 8, 4096, 2);
}

TEST(Late, ADirectoryWithoutALabelIsRefusedUntilItHasOne) {
  Workplace workplace;
  const std::string pool = workplace.path("pool");
  std::filesystem::create_directory(pool);
  Daemon daemon(workplace, file_config(pool));
  ASSERT_TRUE(daemon.start());
  const auto refused = named(daemon.status(), "pools", "disk");
  EXPECT_FALSE(refused.at("open").as_bool());
  EXPECT_NE(refused.at("reason").as_string().find("mounted"), std::string::npos)
      << refused.at("reason");
  Host before(daemon.endpoint());
  ASSERT_TRUE(before.connected());
  EXPECT_TRUE(std::filesystem::is_empty(pool));
  (void)workplace.make_pool("pool");
  EXPECT_TRUE(daemon.await_status(
      [](const boost::json::value& status) { return status.at("healthy").as_bool(); }));
  Host after(daemon.endpoint());
  ASSERT_TRUE(after.connected());
  write_and_read_back(*after.queue, 1, 0, 8, 4096, 1);
}

TEST(Late, PoolInitRefusesADirectoryThatHoldsSomethingElse) {
  Workplace workplace;
  const std::string pool = workplace.make_pool("pool");
  Outcome again = run({.arguments = {FOREBAYCTL, "pool", "init", pool}});
  EXPECT_EQ(again.exit.code, 1) << again.output;
  EXPECT_NE(again.output.find(pool), std::string::npos) << again.output;
  std::filesystem::create_directory(workplace.path("full"));
  write_file(workplace.path("full/letter.txt"), "dear reader");
  again = run({.arguments = {FOREBAYCTL, "pool", "init", workplace.path("full")}});
  EXPECT_EQ(again.exit.code, 1) << again.output;
  again = run({.arguments = {FOREBAYCTL, "pool", "init", workplace.path("nowhere")}});
  EXPECT_EQ(again.exit.code, 1) << again.output;
}

// A network of this thread alone, and of what it starts: nothing outside is changed.
class OwnNetwork {
 public:
  OwnNetwork() : socket_(-1) {
    if (::unshare(CLONE_NEWNET) != 0) return;
    socket_ = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq up{};
    up.ifr_name[0] = 'l';
    up.ifr_name[1] = 'o';
    if (::ioctl(socket_, SIOCGIFFLAGS, &up) != 0) return;
    up.ifr_flags = static_cast<short>(up.ifr_flags | IFF_UP);
    made_ = ::ioctl(socket_, SIOCSIFFLAGS, &up) == 0;
  }
  OwnNetwork(const OwnNetwork&) = delete;
  OwnNetwork& operator=(const OwnNetwork&) = delete;
  ~OwnNetwork() { ::close(socket_); }

  [[nodiscard]] bool made() const { return made_; }
  [[nodiscard]] bool add(const char* address) const {
    struct {  // linux/ipv6.h, which cannot be included beside netinet/in.h
      in6_addr address;
      std::uint32_t prefix_bits;
      int interface_index;
    } request{};
    ::inet_pton(AF_INET6, address, &request.address);
    request.prefix_bits = 128;
    request.interface_index = static_cast<int>(::if_nametoindex("lo"));
    return ::ioctl(socket_, SIOCSIFADDR, &request) == 0;
  }

 private:
  int socket_;
  bool made_ = false;
};

constexpr const char* late_address = "2001:db8:4660::5";

void serve_an_address_that_comes_up_late() {
  const OwnNetwork network;
  ASSERT_TRUE(network.made()) << "needs CAP_SYS_ADMIN and CAP_NET_ADMIN, as root has";
  Workplace workplace;
  ConfigText config = memory_config();
  config.listeners = {{.name = "lo"}, {.name = "san", .address = late_address}};
  config.subsystems[0].listeners = "[lo, san]";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const auto status = daemon.status();
  EXPECT_FALSE(status.at("healthy").as_bool());
  EXPECT_TRUE(named(status, "listeners", "lo").at("listening").as_bool());
  const auto waiting = named(status, "listeners", "san");
  EXPECT_FALSE(waiting.at("listening").as_bool());
  EXPECT_NE(waiting.at("reason").as_string(), "");
  EXPECT_TRUE(daemon.await_log({"san", late_address}));
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  write_and_read_back(*host.queue, 1, 0, 8, 4096, 1);
  const Outcome screen =
      run({.arguments = {FOREBAYCTL, "status", "--socket", daemon.config().control_socket}});
  EXPECT_EQ(screen.exit.code, 2) << "degraded\n" << screen.output;
  EXPECT_NE(screen.output.find(late_address), std::string::npos) << screen.output;

  EXPECT_TRUE(daemon.await_event("listener.waiting", "san"));
  ASSERT_TRUE(network.add(late_address));
  ASSERT_TRUE(daemon.await_status(
      [](const boost::json::value& now) { return now.at("healthy").as_bool(); }));
  EXPECT_TRUE(daemon.await_event("listener.listening", "san"));
  Host late(daemon.endpoint(1));
  ASSERT_TRUE(late.connected());
  write_and_read_back(*late.queue, 1, 0, 8, 4096, 2);
}

TEST(Late, AnAddressThatIsNotUpYetIsWaitedForAndTheOthersServe) {
  std::thread(serve_an_address_that_comes_up_late).join();
}

}  // namespace
}  // namespace end_to_end
