#include "target/iscsi/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace target::iscsi {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::string store = "iqn.2026-11.com.example:store";
const std::string host_a = "iqn.2026-11.com.example:a";
const std::string host_b = "iqn.2026-11.com.example:b";
constexpr auto peer = "192.0.2.1:51000";

Directory sample() {
  Directory directory;
  EXPECT_TRUE(directory.add_listener({.name = "fixed", .address = "192.0.2.10"}));
  EXPECT_TRUE(directory.add_listener({.name = "wild", .address = {}, .portal_group = 2}));
  EXPECT_TRUE(directory.add_listener({.name = "six",
                                      .family = ListenerOptions::Family::ipv6,
                                      .address = "2001:db8::5",
                                      .portal_group = 2}));
  NodeOptions node;
  node.name = store;
  node.initiators.names = {host_a};
  node.listeners = {"fixed", "wild", "six"};
  EXPECT_TRUE(directory.add_node(node));
  return directory;
}

std::vector<std::string> addresses(const Directory& directory, const char* local) {
  std::vector<std::string> found;
  for (const TargetRecord& record : directory.targets_for(host_a, peer, local, "")) {
    for (const auto& portal : record.portals) {
      found.push_back(portal.host + " " + std::to_string(portal.port) + " " +
                      std::to_string(portal.group));
    }
  }
  return found;
}

TEST(Directory, NamesMayBeUsedOnce) {
  Directory directory = sample();
  EXPECT_FALSE(directory.add_listener({.name = "fixed", .address = {}}));
  NodeOptions node;
  node.name = store;
  EXPECT_FALSE(directory.add_node(node));
  EXPECT_FALSE(directory.remove_node("iqn.2026-11.com.example:other"));
  EXPECT_FALSE(directory.remove_listener("other"));
}

TEST(Directory, AccessSaysWhyNot) {
  Directory directory = sample();
  const auto access = [&](const std::string& node, const std::string& host, const char* listener) {
    return directory.access(node, host, listener, peer);
  };
  EXPECT_EQ(access(store, host_a, "fixed"), Access::granted);
  EXPECT_EQ(access(store, host_b, "fixed"), Access::not_admitted);
  EXPECT_EQ(access("iqn.2026-11.com.example:other", host_a, "fixed"), Access::no_target);
  EXPECT_EQ(access(store, host_a, "gone"), Access::no_listener);
  ASSERT_TRUE(directory.add_listener({.name = "another", .address = "192.0.2.11"}));
  EXPECT_EQ(access(store, host_a, "another"), Access::not_here);
  ASSERT_TRUE(directory.set_initiators(store, {.allow_any = true, .names = {}}));
  EXPECT_EQ(access(store, host_b, "fixed"), Access::granted);
}

TEST(Directory, AnInitiatorOfOtherNetworksIsNeitherAdmittedNorShownAnything) {
  Directory directory = sample();
  directory.set_initiator({.name = host_a, .chap = {}, .networks = {"198.51.100.0/24"}});
  EXPECT_EQ(directory.access(store, host_a, "fixed", peer), Access::foreign_network);
  EXPECT_THAT(addresses(directory, "192.0.2.10:3260"), IsEmpty());
  EXPECT_EQ(directory.access(store, host_a, "fixed", "198.51.100.7:40000"), Access::granted);
  EXPECT_EQ(directory.access(store, host_a, "fixed", "nonsense"), Access::foreign_network);
  ASSERT_TRUE(directory.remove_initiator(host_a));
  EXPECT_EQ(directory.access(store, host_a, "fixed", peer), Access::granted);
}

TEST(Directory, TheInitiatorsOwnChapComesBeforeTheTargets) {
  Directory directory = sample();
  EXPECT_EQ(directory.chap_of(store, host_a), nullptr);
  NodeOptions node;
  node.name = "iqn.2026-11.com.example:chap";
  node.chap = ChapOptions{.initiator = {"anyone", "of-the-target"}, .mutual = {}};
  ASSERT_TRUE(directory.add_node(node));
  EXPECT_EQ(directory.chap_of(node.name, host_a)->initiator.user, "anyone");
  directory.set_initiator({.name = host_a,
                           .chap = ChapOptions{.initiator = {"a", "its-own"}, .mutual = {}},
                           .networks = {}});
  EXPECT_EQ(directory.chap_of(node.name, host_a)->initiator.user, "a");
  EXPECT_EQ(directory.chap_of(store, host_a)->initiator.user, "a");
  EXPECT_EQ(directory.chap_of(node.name, host_b)->initiator.user, "anyone");
}

TEST(Directory, AWildcardIsTheAddressThatWasReached) {
  const Directory directory = sample();
  EXPECT_THAT(addresses(directory, "192.0.2.77:3260"),
              ElementsAre("192.0.2.10 3260 1", "2001:db8::5 3260 2", "192.0.2.77 3260 2"));
  EXPECT_THAT(addresses(directory, "[2001:db8::77]:3260"),
              ElementsAre("192.0.2.10 3260 1", "2001:db8::5 3260 2", "2001:db8::77 3260 2"));
}

TEST(Directory, WhatDoesNotListenIsNotShown) {
  Directory directory = sample();
  EXPECT_TRUE(directory.announce_listener("fixed", false));
  EXPECT_TRUE(directory.announce_listener("six", false));
  EXPECT_THAT(addresses(directory, "192.0.2.77:3260"), ElementsAre("192.0.2.77 3260 2"));
  ASSERT_TRUE(directory.remove_listener("wild"));
  // Not even the name: an initiator would look for the target where it asked.
  EXPECT_THAT(directory.targets_for(host_a, peer, "192.0.2.77:3260", ""), IsEmpty());
}

TEST(Directory, OnlyOneTargetIsShownIfOneIsAskedFor) {
  Directory directory = sample();
  NodeOptions node;
  node.name = "iqn.2026-11.com.example:second";
  node.initiators.allow_any = true;
  node.listeners = {"fixed"};
  ASSERT_TRUE(directory.add_node(node));
  EXPECT_EQ(directory.targets_for(host_a, peer, "192.0.2.10:3260", "").size(), 2U);
  EXPECT_EQ(directory.targets_for(host_a, peer, "192.0.2.10:3260", store).size(), 1U);
  EXPECT_EQ(directory.targets_for(host_b, peer, "192.0.2.10:3260", "").size(), 1U);
  EXPECT_THAT(directory.targets_for(host_b, peer, "192.0.2.10:3260", store), IsEmpty());
}

TEST(Directory, PortalGroupsOfATargetAreThoseOfItsListeners) {
  const Directory directory = sample();
  EXPECT_THAT(directory.portal_groups(store), ElementsAre(1, 2));
  EXPECT_THAT(directory.portal_groups("iqn.2026-11.com.example:other"), IsEmpty());
}

}  // namespace
}  // namespace target::iscsi
