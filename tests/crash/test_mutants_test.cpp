// Guards that the tests of their own code miss, where the crash suite does not go: each is switched
// off, and those tests, run once more over that engine, must fail.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "tests/crash/guards.h"

namespace engine::test {
namespace {

constexpr const char* off_variable = "FOREBAY_GUARD_OFF";

// In the process that runs the tests.
class SwitchesGuardOff final : public testing::Environment {
 public:
  void SetUp() override {
    if (const char* const name = std::getenv(off_variable)) switch_guard_off(name);
  }
};
const testing::Environment* const switches =
    testing::AddGlobalTestEnvironment(new SwitchesGuardOff);  // gtest's from then on

struct Mutant {
  const char* guard;
  const char* tests;  // a filter of gtest's
  int goes = 1;       // of tests that only a race of real threads can fail
};

constexpr Mutant mutants[] = {
    // The way of commands.
    {"outcome of the commit", "*CacheFrontSpace.ALogThatFailsAcknowledgesNothing/*"},
    {"payload crc of reads", "*CacheFrontTest.RotOf*"},
    {"payload crc of reads in place", "*InPlaceRead.RotIsNotGivenOut/*"},
    {"nothing is pinned while writes wait",
     "*InPlaceRead.NothingIsPinnedWhileAWriteWaitsForSpace/*"},
    {"a miss looks again", "*CacheFrontTest.AMissLooksAgainBeforeItAsksTheBacking/*"},
    {"a fill can be overtaken", "*CacheFrontTest.WhoAsksAfterAWriteDoesNotGetWhatWasReadBefore/*"},
    {"overtaken misses are closed",
     "*CacheFrontTest.WhoAsksAfterAWriteDoesNotGetWhatWasReadBefore/*"},
    {"readers see commands whole", "WholeRead.*", 20},
    {"a read of several parts looks again", "*WholeWrite.IsSeenWhole*"},
    {"a direct write under way", "MissTable.AMissBesideADirectWriteNeverFills"},
    {"room in the log for what goes around",
     "*CacheModeTest.WritesThatGoAroundGetRoomInAFullLog/*"},
    {"forgotten before the disk is written", "DirectWriteCrash.*"},
    {"direct only while nothing is dirty", "DirectWriteCrash.*"},
    {"on the disk before it is lost", "DirectWriteCrash.*"},
    {"direct writes are durable", "DirectWriteCrash.*"},
    {"answer behind the dirty tail", "*WriteThroughFront.AnswersBehindTheBackingsFlush/*"},
    {"journal ends before the dirty tail",
     "WriteBackJournal.NothingCountsAnyMoreWhenOthersMayWrite"},
    {"mark in doubt is written again", "WriteBackJournal.AMarkThatIsInDoubtIsWrittenAgainFirst"},
    {"a scrub compares what it could read",
     "*ScrubTest.WhatTheBackingDoesNotGiveBackIsNamedToTheBlock/*"},
    {"a scrub heals nothing that is lost", "*ScrubTest.RotThatNobodyElseHasIsLost/*"},
    // Which cache, which image.
    {"record dirty before the first key",
     "*CacheKeeperTest.TheRecordIsDirtyBeforeAnythingIsServed/*"},
    {"record written before service", "*CacheKeeperTest.ARecordThatCannotBeWrittenIsTriedAgain/*"},
    {"nothing waits behind a clean record", "*CachedEngine.WithoutItsDirtyCache*"},
    {"identity of the cache device", "CacheBinding.EveryCombinationHasItsVerdict"},
    {"attach epoch of the cache", "*CachedEngine.AnOlderCopyOfTheCacheIsRefused/*"},
    {"attach epoch of the image", "*CachedEngine.AnOlderCopyOfTheImageIsRefused/*"},
    {"an epoch for each resumption", "*CachedEngine.AnOlderCopyOfTheCacheIsRefused/*"},
    {"journal settled before its cache is forgotten",
     "*JournalledEngine.ALostCacheLeavesWhatItsJournalHas/*"},
    {"no damage behind the image", "*CachedEngine.ALogThatIsDamagedBehindTheImageIsNotServed/*"},
    {"cache grows before its face", "*CachedEngine.GrowsOnlineAndKeepsWhatWasWritten*"},
    // Without the cache, and with it again.
    {"space promised before the write",
     "*ThinVolume.AWriteIsRefusedBeforeItCouldNotBeWrittenBack/0"},
    {"no place where zeros are on their way", "*ThinVolume.WhatIsBeingDeallocatedIsNoPlace*"},
    {"no write is on its way into the cache",
     "*CacheDetach.WhatIsOnItsWayIntoTheCacheReachesTheImageFirst/*"},
    {"an era has ended before the next like it",
     "*CacheDetach.ADetachmentThatWasGivenUpIsNotForgottenByTheNext/*"},
    {"record says so before the image is written alone",
     "*CacheDetach.ARecordThatCannotBeWrittenKeepsTheCache/*"},
    {"a cache that joins is gone around",
     "*CacheDetach.JoinsAgainAndIsGoneAroundWhileTheImageIsWrittenAlone/*"},
    // Tables.
    {"grown tables before the superblock", "CacheCrash.Grow"},
    {"replicas made equal", "OpenCache.AnyBitOfOneTableIsHealed"},
    {"superblock crc", "CacheCrash.Grow:CacheLayout.HostileSuperblocks"},
    {"superblock before its magic", "CacheCrash.Format*"},
    {"old cache withdrawn first", "CacheCrash.Format*"},
    {"one superblock at a time", "CacheCrash.Grow"},
    {"entries of a slot before its identity", "CacheCrash.Attach*"},
    {"what was left is settled before it is healed",
     "CacheCrash.OpenSettlesWhatAKilledProcessHasLeft"},
    {"destroying before its files are removed", "Destroy.PowerLossAtEveryStep*"},
    {"adopted image durable before its entry", "Adopt.PowerLossAtEveryStep*"},
    {"removed before its entry", "Destroy.PowerLossAtEveryStep*"},
    // A volume over several members.
    {"members that were written are synced",
     "ExtentBackingTest.PowerLossLeavesOnEveryMemberWhatWasSynced"},
    {"a sync has what ended before it",
     "OrderedStripe.ASyncDoesNotHaveWhatAnotherLaneWroteBehindIt"},
    // Device pools: who is a member, which table counts, what a new volume shows.
    {"member label crc", "MemberLabel.EveryFlippedBitIsRefused"},
    {"device table crc", "DeviceTable.EveryFlippedBitIsRefused"},
    {"overlapping extents", "DeviceTable.ContradictionsAreDamage"},
    {"pool of a member", "MemberSet.AnotherPoolsMemberIsNotTaken"},
    {"members are told apart", "MemberSet.TheSameMemberTwiceNamesBothPaths"},
    {"outdated members", "MemberSet.AnOlderCopyOfAMemberIsNotTaken"},
    {"members are those of the table", "MemberSet.AStrangerWithALabelOfThePoolIsNotTaken"},
    {"members that have gone on alone", "HalfAPool.PartsThatWereServed*"},
    {"the others say who is missing", "MissingMemberCrash.*:HalfAPool.*"},
    {"tables without a member have numbers of their own", "MissingMemberCrash.*:HalfAPool.*"},
    {"one that was away has no say", "MissingMemberCrash.*"},
    {"a newcomer gets a table last", "DevicePoolCrash.ANewcomerThatStaysAway*"},
    {"what an adding has left", "DevicePoolCrash.AskedForAgainABlankDisk*"},
    {"the newest table counts", "DevicePoolCrash.EveryStepOf*"},
    {"members are synced before they are read", "DevicePoolCrash.*"},
    {"replicas of a device table made equal", "DevicePoolCrash.*:MemberSet.AnySingleReplica*"},
    {"first slots synced before the second are written", "DevicePoolCrash.EveryStepOf*"},
    {"a failed second slot is written first", "DevicePoolCrash.PowerLossInTheNextChange*"},
    {"the place of a new marker is cleared", "DevicePool.EachVolumeHasAPlaceForItsMarker*"},
    {"units are zeroed before they are seen", "DevicePool.WhatIsGivenOutAgainIsZeroedFirst"},
    {"zeros are durable before they are seen", "DevicePoolCrash.EveryStepOf*"},
    // What lies beside the images.
    {"pool label crc", "PoolLabel.EveryFlippedBitIsRefused"},
    {"volume table crc", "VolumeTable.EveryFlippedBitIsRefused"},
    {"registrant crc", "KeptReservations.EveryTruncationAndEveryFlippedBitIsRefused"},
    {"reservations before their volume",
     "KeptReservationsOfAVolume.ReservationsAreThereBeforeTheirVolumeIsServed"},
    {"a format goes on after a restart", "*FormattedVolume.IsHiddenThroughRestarts*"},
    {"a volume keeps its blocks while it runs", "*FormattedVolume.ComesBackWithTheBlocks*"},
    {"marker crc", "MarkerFile.AnyFlippedBitLeavesTheOtherSlot"},
    {"journal crc", "JournalFile.NothingIsChangedByOneThatIsDamagedAnywhere"},
    {"journal data crc", "JournalFile.NothingIsChangedByOneThatIsDamagedAnywhere"},
    {"stale behind the dirty tail is damage", "VolumeRecovery.StaleKeyBehindTheDirtyTailIsDamage"},
};

struct Outcome {
  int status = 0;
  std::string failure;  // the first test that failed, or the check of the engine that did
};

// Of this program, in a process of its own.
Outcome run_tests(const char* guard, const std::string& tests) {
  std::array<char, 4096> path{};
  EXPECT_GT(readlink("/proc/self/exe", path.data(), path.size() - 1), 0);
  ::setenv(off_variable, guard, 1);
  const std::string command =
      std::string("timeout 100 '") + path.data() + "' --gtest_filter='" + tests + "' 2>&1";
  Outcome outcome;
  FILE* const output = ::popen(command.c_str(), "r");
  ::unsetenv(off_variable);
  EXPECT_NE(output, nullptr);
  std::array<char, 1024> line{};
  while (std::fgets(line.data(), line.size(), output) != nullptr) {
    std::string text(line.data());  // of a long line a part
    if (text.ends_with('\n')) text.pop_back();
    const bool tells = text.starts_with("[  FAILED  ]") || text.find("CHECK") != std::string::npos;
    if (tells && outcome.failure.empty()) outcome.failure = text;
  }
  const int status = ::pclose(output);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

class TestMutants : public testing::TestWithParam<Mutant> {};

TEST_P(TestMutants, Dies) {
  const Mutant& mutant = GetParam();
  Outcome outcome;
  for (int go = 0; go < mutant.goes && outcome.status == 0; ++go) {
    outcome = run_tests(mutant.guard, mutant.tests);
  }
  std::cout << "mutant: " << mutant.guard << " -> "
            << (outcome.status != 0 ? "killed: " + outcome.failure
                                    : "SURVIVED " + std::string(mutant.tests))
            << "\n";
  EXPECT_NE(outcome.status, 0) << mutant.guard << " is not missed";
  EXPECT_FALSE(outcome.failure.empty()) << "something else went wrong";
}

std::string name_of(const testing::TestParamInfo<Mutant>& info) {
  std::string name;
  bool upper = true;
  for (const char letter : std::string(info.param.guard)) {
    if (letter != ' ') name += upper ? static_cast<char>(std::toupper(letter)) : letter;
    upper = letter == ' ';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Without, TestMutants, testing::ValuesIn(mutants), name_of);

TEST(TestMutantsBuild, WithAllGuardsTheTestsPass) {
  std::string all;
  for (const Mutant& mutant : mutants) all += std::string(mutant.tests) + ":";
  const Outcome outcome = run_tests("", all);
  EXPECT_EQ(outcome.status, 0) << outcome.failure;
}

}  // namespace
}  // namespace engine::test
