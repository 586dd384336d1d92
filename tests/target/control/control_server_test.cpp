#include "target/control/control_server.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "target/control/user_name.h"

namespace target::control {
namespace {

class ControlServerTest : public testing::Test {
 protected:
  ControlServerTest() {
    std::string pattern = testing::TempDir() + "/controlXXXXXX";
    directory = ::mkdtemp(pattern.data());
    path = directory / "control.sock";
  }
  ~ControlServerTest() override {
    if (answering.joinable()) answering.join();
    std::filesystem::remove_all(directory);
  }

  auto start() {
    ControlRoutes routes{
        .audit = {.tell = [this](const AuditRecord& record) { audited_changes.push_back(record); },
                  .running = [this] { return fmt::format("run{}", runs++); }},
        .status = [] { return std::string(R"({"node":"n"})"); },
        .grow =
            [this](const std::string& volume, std::uint64_t size, ControlRoutes::Done done) {
              asked = volume + " " + std::to_string(size);
              if (volume == "slow") {  // on another thread, later
                answering = std::thread([done] { done(engine::success()); });
              } else if (volume == "db01") {
                done(engine::success());
              } else {
                done("there is no volume \"" + volume + "\"");
              }
            },
        .destroy =
            [this](const std::string& volume, const ControlRoutes::Destruction& wanted,
                   ControlRoutes::DestroyDone done) {
              asked = volume + " with " + wanted.uuid + " is destroyed";
              if (!wanted.cache.empty()) asked += " with what " + wanted.cache + " has";
              done(ControlRoutes::Destroyed{.cache_text = "nothing", .cache_freed_bytes = 4096});
            },
        .rename =
            [this](const std::string& volume, const std::string& uuid, const std::string& to,
                   ControlRoutes::Done done) {
              asked = volume + " with " + uuid + " is called " + to;
              done(engine::success());
            },
        .adopt =
            [this](const std::string& volume, const ControlRoutes::Adoption& adoption,
                   ControlRoutes::AdoptDone done) {
              asked = volume + " is " + adoption.file + " of " + adoption.pool + " in " +
                      std::to_string(adoption.block_size);
              if (adoption.pool == "none") return done("there is no pool none");
              done(ControlRoutes::Adopted{
                  .uuid = "77a1", .size_bytes = 8192, .provisioning = "thin"});
            },
        .add_member =
            [this](const std::string& pool, const ControlRoutes::Newcomer& newcomer,
                   ControlRoutes::AddMemberDone done) {
              asked = newcomer.disk + " for " + pool;
              for (const std::string& word : newcomer.overwrite) asked += " over " + word;
              if (pool == "none") return done("there is no pool none");
              done(ControlRoutes::GrownPool{.members = {"/dev/a", newcomer.disk},
                                            .was_member = true,
                                            .is_configured = false,
                                            .free_bytes = 4096});
            },
        .drain =
            [this](const std::string& volume, bool cancel, ControlRoutes::Done done) {
              asked = volume + (cancel ? " is not drained" : " is drained");
              done(engine::success());
            },
        .detach =
            [this](const std::string& volume, ControlRoutes::Done done) {
              asked = volume + " is detached";
              done(engine::success());
            },
        .attach =
            [this](const std::string& volume, const std::string& device, ControlRoutes::Done done) {
              asked = volume + " is attached to " + device;
              done(engine::success());
            },
        .retire =
            [this](const std::string& device, ControlRoutes::Done done) {
              asked = device + " is retired";
              if (device == "none") return done("there is no cache device none");
              done(engine::success());
            },
        .abandon =
            [this](const std::string& volume, const std::string& cache,
                   ControlRoutes::AbandonDone done) {
              asked = volume + " without " + cache;
              if (cache == "none") return done("there is no such cache");
              done(ControlRoutes::Abandoned{"as it was at \"noon\""});
            },
        .give_up_lost =
            [this](const std::string& volume, ControlRoutes::Done done) {
              asked = volume + " has lost something";
              done(engine::success());
            },
        .protect =
            [this](const std::string& volume, bool on, ControlRoutes::Done done) {
              asked = volume + (on ? " is protected" : " is not protected");
              done(engine::success());
            }};
    return ControlServer::start(path, "", api_routes(std::move(routes)));
  }
  std::string change(const std::string& what, const std::string& body) const {
    return post("volumes/" + what, body);
  }
  std::string post(const std::string& what, const std::string& body) const {
    return exchange("POST /v1/" + what + " HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  std::string grow(const std::string& volume, const std::string& body) const {
    return change(volume + "/grow", body);
  }
  // Sends `request`, and returns what comes back until the server closes.
  std::string exchange(const std::string& request) const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    // A server that has had enough of it closes before it has taken everything.
    EXPECT_GT(::send(fd, request.data(), request.size(), MSG_NOSIGNAL), 0);
    std::string answer;
    char piece[4096];
    for (ssize_t got = 0; (got = ::recv(fd, piece, sizeof(piece), 0)) > 0;) {
      answer.append(piece, static_cast<std::size_t>(got));
    }
    ::close(fd);
    return answer;
  }

  std::string asked;
  int runs = 0;                              // of the same threads
  std::vector<AuditRecord> audited_changes;  // of the server's thread, or one that answers
  std::thread answering;
  std::filesystem::path directory;
  std::filesystem::path path;
};

TEST_F(ControlServerTest, AnswersStatusAndRefusesTheRest) {
  const auto server = start();
  ASSERT_TRUE(server) << server.error();
  EXPECT_NE(exchange("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n").find(R"({"node":"n"})"),
            std::string::npos);
  EXPECT_NE(exchange("GET /other HTTP/1.1\r\nHost: x\r\n\r\n").find(" 404 "), std::string::npos);
  EXPECT_NE(
      exchange("POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").find(" 405 "),
      std::string::npos);
}

TEST_F(ControlServerTest, GrowsAVolumeAndSaysWhyNot) {
  const auto server = start();
  ASSERT_TRUE(server) << server.error();
  EXPECT_NE(grow("db01", R"({"size_bytes":1048576})").find(" 200 "), std::string::npos);
  EXPECT_EQ(asked, "db01 1048576");
  EXPECT_NE(grow("slow", R"({"size_bytes":4096})").find(" 200 "), std::string::npos);
  const std::string refused = grow("none", R"({"size_bytes":4096})");
  EXPECT_NE(refused.find(" 409 "), std::string::npos) << refused;
  EXPECT_NE(refused.find(R"({"error":"there is no volume \"none\""})"), std::string::npos)
      << refused;
  asked.clear();
  for (const char* body : {"", "{", "[]", "{}", R"({"size_bytes":-1})", R"({"size_bytes":"1"})",
                           R"({"size_bytes":1.5})", R"({"size_bytes":1e40})"}) {
    EXPECT_NE(grow("db01", body).find(" 400 "), std::string::npos) << body;
  }
  EXPECT_EQ(asked, "");
  EXPECT_NE(exchange("GET /v1/volumes/db01/grow HTTP/1.1\r\nHost: x\r\n\r\n").find(" 405 "),
            std::string::npos);
  EXPECT_NE(exchange("GET /v1/volumes/grow HTTP/1.1\r\nHost: x\r\n\r\n").find(" 40"),
            std::string::npos);
}

TEST_F(ControlServerTest, ChangesWhatACacheDoes) {
  const auto server = start();
  ASSERT_TRUE(server) << server.error();
  EXPECT_NE(change("db01/drain", R"({"cancel":false})").find(" 200 "), std::string::npos);
  EXPECT_EQ(asked, "db01 is drained");
  EXPECT_NE(change("db01/drain", R"({"cancel":true})").find(" 200 "), std::string::npos);
  EXPECT_EQ(asked, "db01 is not drained");
  const std::string abandoned = change("db01/abandon", R"({"cache":"x"})");
  EXPECT_NE(abandoned.find(" 200 "), std::string::npos);
  EXPECT_NE(abandoned.find(R"({"what_is_left":"as it was at \"noon\""})"), std::string::npos)
      << abandoned;
  EXPECT_EQ(asked, "db01 without x");
  EXPECT_NE(change("db01/abandon", R"({"cache":"none"})").find(" 409 "), std::string::npos);
  EXPECT_NE(change("db01/give-up-lost", "{}").find(" 200 "), std::string::npos);
  EXPECT_EQ(asked, "db01 has lost something");
  EXPECT_NE(change("db01/write-protection", R"({"on":true})").find(" 200 "), std::string::npos);
  EXPECT_EQ(asked, "db01 is protected");
  EXPECT_NE(change("db01/write-protection", R"({"on":1})").find(" 400 "), std::string::npos);
  asked.clear();
  for (const char* body : {"", "[]", "{}", R"({"mode":1})", R"({"cancel":"no"})"}) {
    EXPECT_NE(change("db01/drain", body).find(" 400 "), std::string::npos) << body;
    EXPECT_NE(change("db01/abandon", body).find(" 400 "), std::string::npos) << body;
  }
  EXPECT_NE(change("db01/other", "{}").find(" 404 "), std::string::npos);
  EXPECT_EQ(asked, "");
}

TEST_F(ControlServerTest, DestroysOnlyWhatIsNamedByItsUuid) {
  const auto server = start();
  ASSERT_TRUE(server) << server.error();
  EXPECT_NE(change("db01/destroy", R"({"uuid":"6f0c"})").find(" 200 "), std::string::npos);
  EXPECT_EQ(asked, "db01 with 6f0c is destroyed");
  const std::string answer = change("db01/destroy", R"({"uuid":"6f0c","cache":"77a1"})");
  EXPECT_NE(answer.find(R"({"cache_text":"nothing","cache_freed_bytes":4096})"), std::string::npos)
      << answer;
  EXPECT_EQ(asked, "db01 with 6f0c is destroyed with what 77a1 has");
  asked.clear();
  for (const char* body : {"", "[]", "{}", R"({"uuid":1})", R"({"uuid":"6f0c","cache":1})"}) {
    EXPECT_NE(change("db01/destroy", body).find(" 400 "), std::string::npos) << body;
  }
  EXPECT_EQ(asked, "");
}

TEST_F(ControlServerTest, RenamesAndAdopts) {
  const auto server = start();
  ASSERT_TRUE(server) << server.error();
  EXPECT_NE(change("db01/rename", R"({"uuid":"6f0c","to":"db02"})").find(" 200 "),
            std::string::npos);
  EXPECT_EQ(asked, "db01 with 6f0c is called db02");
  const std::string adopted =
      change("vm/adopt", R"({"pool":"bulk","file":"vm.raw","block_size":4096})");
  EXPECT_NE(adopted.find(R"({"uuid":"77a1","size_bytes":8192,"provisioning":"thin"})"),
            std::string::npos)
      << adopted;
  EXPECT_EQ(asked, "vm is vm.raw of bulk in 4096");
  EXPECT_NE(change("vm/adopt", R"({"pool":"none","file":"a","block_size":512})").find(" 409 "),
            std::string::npos);
  asked.clear();
  for (const char* body :
       {"", "[]", "{}", R"({"uuid":"6f0c"})", R"({"to":"a"})", R"({"pool":"bulk","file":"vm.raw"})",
        R"({"pool":"bulk","file":"vm.raw","block_size":"4096"})"}) {
    EXPECT_NE(change("db01/rename", body).find(" 400 "), std::string::npos) << body;
    EXPECT_NE(change("db01/adopt", body).find(" 400 "), std::string::npos) << body;
  }
  EXPECT_EQ(asked, "");
}

TEST_F(ControlServerTest, ChangesWhichCacheServes) {
  const auto server = start();
  ASSERT_TRUE(server) << server.error();
  EXPECT_NE(change("db01/detach", "{}").find(" 200 "), std::string::npos);
  EXPECT_EQ(asked, "db01 is detached");
  EXPECT_NE(change("db01/attach", R"({"cache":"pmem1"})").find(" 200 "), std::string::npos);
  EXPECT_EQ(asked, "db01 is attached to pmem1");
  EXPECT_NE(post("caches/pmem0/retire", "{}").find(" 200 "), std::string::npos);
  EXPECT_EQ(asked, "pmem0 is retired");
  const std::string refused = post("caches/none/retire", "{}");
  EXPECT_NE(refused.find(" 409 "), std::string::npos) << refused;
  EXPECT_NE(refused.find(R"({"error":"there is no cache device none"})"), std::string::npos)
      << refused;
  asked.clear();
  for (const char* body : {"", "{", "[]"}) {
    EXPECT_NE(change("db01/detach", body).find(" 400 "), std::string::npos) << body;
    EXPECT_NE(change("db01/attach", body).find(" 400 "), std::string::npos) << body;
    EXPECT_NE(post("caches/pmem0/retire", body).find(" 400 "), std::string::npos) << body;
  }
  for (const char* body : {"{}", R"({"cache":1})", R"({"device":"pmem1"})"}) {
    EXPECT_NE(change("db01/attach", body).find(" 400 "), std::string::npos) << body;
  }
  EXPECT_NE(exchange("GET /v1/caches/pmem0/retire HTTP/1.1\r\nHost: x\r\n\r\n").find(" 405 "),
            std::string::npos);
  // What is asked of one kind is not asked of the other.
  for (const char* what : {"caches/pmem0/detach", "caches/retire", "volumes/db01/retire"}) {
    EXPECT_NE(post(what, "{}").find(" 404 "), std::string::npos) << what;
  }
  EXPECT_EQ(asked, "");
}

TEST_F(ControlServerTest, AddsAMemberToAPool) {
  const auto server = start();
  ASSERT_TRUE(server) << server.error();
  const std::string added =
      post("pools/fast/add-member", R"({"disk":"/dev/b","overwrite":["77a1","gpt@S1"]})");
  EXPECT_EQ(asked, "/dev/b for fast over 77a1 over gpt@S1");
  EXPECT_NE(added.find(R"({"members":["/dev/a","/dev/b"],"was_member":true,"is_configured":false,)"
                       R"("free_bytes":4096})"),
            std::string::npos)
      << added;
  const std::string refused = post("pools/none/add-member", R"({"disk":"/dev/b","overwrite":[]})");
  EXPECT_NE(refused.find(" 409 "), std::string::npos) << refused;
  EXPECT_NE(refused.find(R"({"error":"there is no pool none"})"), std::string::npos) << refused;
  asked.clear();
  for (const char* body :
       {"", "[]", "{}", R"({"disk":"/dev/b"})", R"({"overwrite":[]})",
        R"({"disk":"/dev/b","overwrite":"77a1"})", R"({"disk":"/dev/b","overwrite":[1]})"}) {
    EXPECT_NE(post("pools/fast/add-member", body).find(" 400 "), std::string::npos) << body;
  }
  EXPECT_NE(post("volumes/fast/add-member", "{}").find(" 404 "), std::string::npos);
  EXPECT_EQ(asked, "");
}

TEST_F(ControlServerTest, EachChangeIsToldToTheAuditWithWhoHasAskedForIt) {
  const auto server = start();
  ASSERT_TRUE(server) << server.error();
  EXPECT_NE(grow("db01", R"({"size_bytes":4096})").find(" 200 "), std::string::npos);
  EXPECT_NE(grow("none", R"({"size_bytes":4096})").find(" 409 "), std::string::npos);
  EXPECT_NE(grow("db01", "{}").find(" 400 "), std::string::npos);
  EXPECT_NE(exchange("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n").find(" 200 "),
            std::string::npos);
  ASSERT_EQ(audited_changes.size(), 2U) << "neither what makes no sense nor what changes nothing";
  const AuditRecord& done = audited_changes[0];
  EXPECT_TRUE(done.done);
  EXPECT_EQ(done.caller.uid, ::getuid());
  EXPECT_EQ(done.caller.name, user_name(::getuid()));
  EXPECT_EQ(done.from, "control socket");
  EXPECT_EQ(done.request, "POST /v1/volumes/db01/grow");
  EXPECT_EQ(done.before, "run0");
  EXPECT_EQ(done.after, "run1");
  EXPECT_EQ(done.body, R"({"size_bytes":4096})");
  EXPECT_FALSE(audited_changes[1].done);
  EXPECT_EQ(audited_changes[1].reason, "there is no volume \"none\"");
}

TEST_F(ControlServerTest, AUserHasANameEvenIfNobodyKnowsIt) {
  EXPECT_EQ(user_name(0), "root");
  EXPECT_EQ(user_name(4'000'000'123), "uid 4000000123");
}

TEST_F(ControlServerTest, GarbageEndsOnlyItsOwnConnection) {
  const auto server = start();
  ASSERT_TRUE(server);
  EXPECT_NE(exchange("\x01\x02garbage\r\n\r\n").find(" 400 "), std::string::npos);
  EXPECT_NE(exchange("GET /v1/status HTTP/1.1\r\nX: " + std::string(100 << 10, 'a') + "\r\n\r\n")
                .find(" 431 "),
            std::string::npos);
  EXPECT_NE(exchange("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n").find(" 200 "),
            std::string::npos);
}

TEST_F(ControlServerTest, OnlyTheOwnerMayUseTheSocket) {
  const auto server = start();
  ASSERT_TRUE(server);
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(ControlServerTest, AStaleSocketIsReplacedALiveOneIsNot) {
  {
    const int fd =
        ::socket(AF_UNIX, SOCK_STREAM, 0);  // bound, never listening: what kill -9 leaves
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ::close(fd);
  }
  const auto first = start();
  ASSERT_TRUE(first) << first.error();
  const auto second = start();
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().find("another forebayd answers"), std::string::npos) << second.error();
  EXPECT_NE(exchange("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n").find(" 200 "),
            std::string::npos);
}

TEST_F(ControlServerTest, AMissingFolderOrGroupIsNamed) {
  const auto no_folder = ControlServer::start(directory / "none" / "s", "", {});
  ASSERT_FALSE(no_folder);
  EXPECT_NE(no_folder.error().find("does its folder exist"), std::string::npos)
      << no_folder.error();
  const auto no_group = ControlServer::start(path, "no-such-group", {});
  ASSERT_FALSE(no_group);
  EXPECT_NE(no_group.error().find("no group \"no-such-group\""), std::string::npos)
      << no_group.error();
  const auto too_long = ControlServer::start(directory / std::string(120, 'x'), "", {});
  ASSERT_FALSE(too_long);
}

TEST_F(ControlServerTest, ChoresRunOnTheControlThread) {
  const auto server = start();
  ASSERT_TRUE(server);
  std::promise<void> twice;
  server.value()->every(std::chrono::seconds(1), [&, count = 0]() mutable {
    if (++count == 2) twice.set_value();
  });
  EXPECT_EQ(twice.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
}

// As an event that happens while the daemon ends.
TEST_F(ControlServerTest, WhatItIsAtWhenItStopsFindsItStill) {
  auto server = start();
  ASSERT_TRUE(server);
  std::promise<void> begun;
  std::promise<void> stopping;
  std::atomic<bool> has_posted = false;
  std::atomic<bool> has_run_later = false;
  server.value()->post([&] {
    begun.set_value();
    stopping.get_future().wait();
    server.value()->post([&] { has_run_later = true; });
    has_posted = true;
  });
  begun.get_future().wait();
  std::thread stops([&] {
    stopping.set_value();
    server.value()->stop();
  });
  stops.join();
  EXPECT_TRUE(has_posted) << "it has waited for what it was at";
  const bool had_run = has_run_later;
  server.value()->post([&] { has_run_later = true; });
  server.value()->stop();
  EXPECT_EQ(has_run_later, had_run) << "nothing runs after it";
}

}  // namespace
}  // namespace target::control
