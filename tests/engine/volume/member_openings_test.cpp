// A member that hangs when it is opened is waited for once, and asked again when it answers.
#include "engine/volume/member_openings.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <thread>

#include "tests/engine/test_directory.h"

namespace engine {
namespace {

TEST(MemberOpenings, OneThatHangsIsWaitedForOnceAndTheOthersAreThere) {
  const TestDirectory place("member-openings-test");
  const std::vector<std::string> paths{place.path() + "/well", place.path() + "/hung",
                                       place.path() + "/none"};
  for (const std::string& path : {paths[0], paths[1]}) {
    std::ofstream(path).put('x');
    std::filesystem::resize_file(path, 1U << 20);
  }
  struct Gate {
    std::promise<void> open;
    std::shared_future<void> is_open{open.get_future()};
    std::atomic<int> calls{0};
  };
  const auto gate = std::make_shared<Gate>();
  const auto open_one = [gate, hung = paths[1]](const std::string& path) {
    if (path == hung) {
      ++gate->calls;
      gate->is_open.wait();
    }
    return MemberOpenings::open_and_try(path);
  };
  MemberOpenings openings(std::chrono::seconds(2), open_one);
  for (int round = 0; round < 3; ++round) {
    const auto members = openings.open(paths);
    ASSERT_EQ(members.size(), 3U);
    ASSERT_TRUE(members[0].opened);
    EXPECT_EQ(members[0].opened.value()->info().size.value, 1U << 20);
    ASSERT_FALSE(members[1].opened);
    EXPECT_EQ(members[1].opened.error().code, ETIMEDOUT);
    EXPECT_EQ(members[1].path, paths[1]);
    ASSERT_FALSE(members[2].opened);
    EXPECT_EQ(members[2].opened.error().code, ENOENT);
    EXPECT_EQ(gate->calls, 1) << "no second thread waits for it";
  }
  gate->open.set_value();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  bool is_there = false;
  while (!is_there && std::chrono::steady_clock::now() < deadline) {
    is_there = static_cast<bool>(openings.open(paths)[1].opened);
    std::this_thread::yield();
  }
  EXPECT_TRUE(is_there);
  EXPECT_EQ(gate->calls, 2) << "opened anew: another disk may stand there now";
}

}  // namespace
}  // namespace engine
