// What forebayctl says of how far a drain, a detachment or a retirement is, and how long it takes.
#include "appliance/cli/progress.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

namespace cli {
namespace {

boost::json::object volume(std::uint64_t bytes, std::int64_t seconds,
                           const std::string& state = "online",
                           const std::string& cache = "pmem0") {
  return {{"cache", cache},
          {"dirty_bytes", bytes},
          {"drain_bytes", bytes},
          {"drain_seconds", seconds},
          {"state", state}};
}

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

TEST(Progress, SaysHowLongItTakesOnlyWhereThatIsKnown) {
  EXPECT_EQ(drain_text(volume(3174 * mib, 125)), "3.1 GiB, about 2m 5s left");
  EXPECT_EQ(drain_text(volume(512, 1)), "512 B, about 1s left");
  EXPECT_EQ(drain_text(volume(3 * mib, -1)), "3.0 MiB left");
  EXPECT_EQ(drain_text(volume(0, 0)), "0 B left") << "about to end, or only zeros";
  EXPECT_EQ(drain_text(volume(0, -1)), "0 B left");
}

TEST(Progress, SaysWhereItDoesNotGetOn) {
  EXPECT_EQ(drain_text(volume(3 * mib, -1, "degraded")),
            "3.0 MiB left; it does not get on: forebayctl status says why");
  EXPECT_EQ(drain_text(volume(3 * mib, 9, "degraded")), "3.0 MiB, about 9s left")
      << "something else is not well";
}

TEST(Progress, OfARetirementIsThatOfAllItsVolumes) {
  const auto text = [](const boost::json::array& volumes) {
    return retirement_text(boost::json::object{{"volumes", volumes}}, "pmem0");
  };
  EXPECT_EQ(text({}), "0 B left of 0 volumes");
  EXPECT_EQ(text({volume(mib, 3)}), "1.0 MiB, about 3s left of 1 volume");
  EXPECT_EQ(text({volume(mib, 3), volume(2 * mib, 7), volume(9 * mib, 99, "online", "pmem1")}),
            "3.0 MiB, about 7s left of 2 volumes");
  EXPECT_EQ(text({volume(mib, 3), volume(2 * mib, -1)}), "3.0 MiB left of 2 volumes");
}

}  // namespace
}  // namespace cli
