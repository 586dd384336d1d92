#include "config/values.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace config {
namespace {

using std::chrono::milliseconds;

Node plain(std::string text) {
  Node node;
  node.kind = Node::Kind::scalar;
  node.text = std::move(text);
  node.plain = true;
  return node;
}

Node in_quotes(std::string text) {
  Node node = plain(std::move(text));
  node.plain = false;
  return node;
}

TEST(Values, EachSizeUnitCountsAsItsNameSays) {
  const std::vector<std::pair<std::string, std::uint64_t>> sizes{
      {"0KiB", 0},
      {"1KiB", 1024},
      {"3MiB", 3ULL << 20},
      {"2GiB", 2ULL << 30},
      {"4TiB", 4ULL << 40},
      {"1KB", 1000},
      {"7MB", 7'000'000},
      {"8GB", 8'000'000'000},
      {"9TB", 9'000'000'000'000},
      {"1.5GiB", 3ULL << 29},
      {"0.5KiB", 512},
      {"1.125TiB", 9ULL << 37},
      {"16777215TiB", 16777215ULL << 40},
  };
  for (const auto& [text, bytes] : sizes) {
    const auto size = parse_size(text);
    ASSERT_TRUE(size.has_value()) << text;
    EXPECT_EQ(size.value().value, bytes) << text;
  }
}

TEST(Values, SizesThatAreNoneAreRefusedWithWhatToWrite) {
  const std::string units = "KiB MiB GiB TiB, or KB MB GB TB";
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"2000", "\"2000\" has no unit; write 2000MiB, 2000GiB ... (" + units + ")."},
      {"1.5", "\"1.5\" has no unit; write 1.5MiB, 1.5GiB ... (" + units + ")."},
      {"2G", "unknown unit \"G\"; did you mean 2GiB? (" + units + ")"},
      {"2Gi", "unknown unit \"Gi\"; did you mean 2GiB? (" + units + ")"},
      {"2gib", "unknown unit \"gib\"; did you mean 2GiB? (" + units + ")"},
      {"2mb", "unknown unit \"mb\"; did you mean 2MB? (" + units + ")"},
      {"2PiB", "unknown unit \"PiB\"; use one of " + units + "."},
      {"2 TiB", "\"2 TiB\" has a blank before the unit; write 2TiB."},
      {"2. TiB", "unknown unit \". TiB\"; use one of " + units + "."},
      {"-1GiB",
       "\"-1GiB\" is not a size; write a number and a unit, for example 10MiB (" + units + ")."},
      {"", "\"\" is not a size; write a number and a unit, for example 10MiB (" + units + ")."},
      {"GiB",
       "\"GiB\" is not a size; write a number and a unit, for example 10MiB (" + units + ")."},
      {"1:30", "1:30 is a base-60 number in YAML 1.1, not a size; write 90MiB, for example (" +
                   units + ")."},
      {"16777216TiB",
       "\"16777216TiB\" is too large or too fine; write a number with at most three decimals and a "
       "fitting unit (" +
           units + ")."},
      {"99999999999999999999KiB",
       "\"99999999999999999999KiB\" is too large or too fine; write a number with at most three "
       "decimals and a fitting unit (" +
           units + ")."},
      {"1.0001KiB",
       "\"1.0001KiB\" is too large or too fine; write a number with at most three decimals and a "
       "fitting unit (" +
           units + ")."},
      {"0.001KiB",
       "\"0.001KiB\" is too large or too fine; write a number with at most three decimals and a "
       "fitting unit (" +
           units + ")."},
  };
  for (const auto& [text, message] : wrong) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size.has_value()) << text;
    EXPECT_EQ(size.error().text, message);
  }
}

TEST(Values, RatesAreSizesForEachSecond) {
  EXPECT_EQ(parse_rate("200MiB/s").value().value, 200ULL << 20);
  EXPECT_EQ(parse_rate("1.5GB/s").value().value, 1'500'000'000ULL);
  EXPECT_EQ(rate_text(parse_rate("64GiB/s").value()), "64GiB/s");
  const std::string units = "KiB/s MiB/s GiB/s TiB/s, or KB/s MB/s GB/s TB/s";
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"200", "\"200\" has no unit; write 200MiB/s, 200GiB/s ... (" + units + ")."},
      {"200MiB", "unknown unit \"MiB\"; did you mean 200MiB/s? (" + units + ")"},
      {"200mib/S", "unknown unit \"mib/S\"; did you mean 200MiB/s? (" + units + ")"},
      {"200MiB/m", "unknown unit \"MiB/m\"; use one of " + units + "."},
      {"fast",
       "\"fast\" is not a rate; write a number and a unit, for example 10MiB/s (" + units + ")."},
  };
  for (const auto& [text, message] : wrong) {
    const auto rate = parse_rate(text);
    ASSERT_FALSE(rate.has_value()) << text;
    EXPECT_EQ(rate.error().text, message);
  }
}

TEST(Values, EachDurationUnitCountsAsItsNameSays) {
  const std::vector<std::pair<std::string, milliseconds>> durations{
      {"500ms", milliseconds{500}},    {"90s", milliseconds{90'000}},
      {"1.5s", milliseconds{1'500}},   {"5m", milliseconds{300'000}},
      {"2h", milliseconds{7'200'000}}, {"7d", milliseconds{604'800'000}},
  };
  for (const auto& [text, length] : durations) {
    const auto duration = parse_duration(text);
    ASSERT_TRUE(duration.has_value()) << text;
    EXPECT_EQ(duration.value(), length) << text;
  }
}

TEST(Values, DurationsThatAreNoneAreRefusedWithWhatToWrite) {
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"60", "\"60\" has no unit; write 60s, 60m ... (ms s m h d)."},
      {"1:30",
       "1:30 is a base-60 number in YAML 1.1, not a duration; write 90s, for example (ms s m h "
       "d)."},
      {"5min", "unknown unit \"min\"; use one of ms s m h d."},
      {"5S", "unknown unit \"S\"; did you mean 5s? (ms s m h d)"},
      {"soon",
       "\"soon\" is not a duration; write a number and a unit, for example 10s (ms s m h d)."},
      {"99999999d", "\"99999999d\" is too long; write a shorter duration."},
  };
  for (const auto& [text, message] : wrong) {
    const auto duration = parse_duration(text);
    ASSERT_FALSE(duration.has_value()) << text;
    EXPECT_EQ(duration.error().text, message);
  }
}

TEST(Values, PercentagesAreWholeAndHaveTheirSign) {
  EXPECT_EQ(parse_percent("0%").value(), 0U);
  EXPECT_EQ(parse_percent("40%").value(), 40U);
  EXPECT_EQ(parse_percent("100%").value(), 100U);
  EXPECT_EQ(parse_percent("1000000%").value(), 1'000'000U);
  EXPECT_EQ(parse_percent("40").error().text, "\"40\" has no unit; write 40%.");
  for (const std::string text : {"", "%", "40 %", "40.5%", "40%%", "-1%", "%40", "half", "1:30",
                                 "1000001%", "99999999999999999999%"}) {
    EXPECT_EQ(parse_percent(text).error().text,
              '"' + text + "\" is not a percentage; write a whole number and %, for example 40%.");
  }
}

TEST(Values, CpuListsAreReadAsTheKernelWritesThem) {
  EXPECT_EQ(parse_cpus("0").value(), std::vector<std::uint32_t>({0}));
  EXPECT_EQ(parse_cpus("2-4,7,6").value(), std::vector<std::uint32_t>({2, 3, 4, 7, 6}));
  EXPECT_EQ(parse_cpus("1,0-1").error().text, "CPU 1 is named twice; name each once.");
  for (const char* text : {"", ",", "1,", "3-2", "-1", "1-", "a", "1 2", "4096", "0-99999999999"}) {
    EXPECT_EQ(parse_cpus(text).error().text,
              '"' + std::string(text) +
                  "\" is not a list of CPUs; write numbers and ranges, for example \"2-3,6\".");
  }
}

TEST(Values, IntegersAreDecimalDigitsAndNothingThatYamlVersionsReadDifferently) {
  EXPECT_EQ(parse_integer(plain("0"), 0, 9).value(), 0U);
  EXPECT_EQ(
      parse_integer(plain("18446744073709551615"), 0, std::numeric_limits<std::uint64_t>::max())
          .value(),
      std::numeric_limits<std::uint64_t>::max());
  const std::vector<std::pair<Node, std::string>> wrong{
      {plain("0755"),
       "0755 is octal in YAML 1.1 and decimal in YAML 1.2; write 755 without the leading zero."},
      {plain("007"),
       "007 is octal in YAML 1.1 and decimal in YAML 1.2; write 7 without the leading zero."},
      {plain("00"),
       "00 is octal in YAML 1.1 and decimal in YAML 1.2; write 0 without the leading zero."},
      {plain("0x1f"), "0x1f is not a plain decimal number; write only the digits 0 to 9."},
      {plain("0o17"), "0o17 is not a plain decimal number; write only the digits 0 to 9."},
      {plain("1_000"), "1_000 is not a plain decimal number; write only the digits 0 to 9."},
      {plain("1:30"), "1:30 is a base-60 number in YAML 1.1; write a plain decimal number."},
      {in_quotes("44"), "\"44\" is a string; write 44 without quotes."},
      {in_quotes("x"), "\"x\" is not a whole number from 1 to 65535."},
      {plain("on"), "\"on\" is not a whole number from 1 to 65535."},
      {plain("1.0"), "\"1.0\" is not a whole number from 1 to 65535."},
      {plain("1e3"), "\"1e3\" is not a whole number from 1 to 65535."},
      {plain("-1"), "\"-1\" is not a whole number from 1 to 65535."},
      {plain("+1"), "\"+1\" is not a whole number from 1 to 65535."},
      {plain("0"), "\"0\" is not a whole number from 1 to 65535."},
      {plain("65536"), "\"65536\" is not a whole number from 1 to 65535."},
      {plain("18446744073709551617"),
       "\"18446744073709551617\" is not a whole number from 1 to 65535."},
  };
  for (const auto& [node, message] : wrong) {
    const auto number = parse_integer(node, 1, 65535);
    ASSERT_FALSE(number.has_value()) << node.text;
    EXPECT_EQ(number.error().text, message);
  }
}

TEST(Values, BooleansAreTrueAndFalseAlone) {
  EXPECT_TRUE(parse_boolean(plain("true")).value());
  EXPECT_FALSE(parse_boolean(plain("false")).value());
  for (const char* word : {"on", "On", "yes", "YES", "y", "True", "TRUE"}) {
    EXPECT_EQ(
        parse_boolean(plain(word)).error().text,
        std::string(word) + " is a boolean in YAML 1.1 and a string in YAML 1.2; write true.");
  }
  for (const char* word : {"off", "no", "n", "N", "False"}) {
    EXPECT_EQ(
        parse_boolean(plain(word)).error().text,
        std::string(word) + " is a boolean in YAML 1.1 and a string in YAML 1.2; write false.");
  }
  EXPECT_EQ(parse_boolean(in_quotes("true")).error().text,
            "\"true\" is a string; write true without quotes.");
  EXPECT_EQ(parse_boolean(in_quotes("off")).error().text,
            "\"off\" is a string; write false without quotes.");
  EXPECT_EQ(parse_boolean(plain("1")).error().text,
            "\"1\" is neither true nor false; write one of them.");
}

TEST(Values, TimesAreOfUtcAndOfDaysThatThereAre) {
  for (const char* const text : {"2027-01-31T00:00:00Z", "2028-02-29T23:59:59Z",
                                 "1970-01-01T00:00:00Z", "2199-12-31T23:59:59Z"}) {
    const auto time = parse_time(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(time_text(time.value()), text);
    // The system's clock has it too.
    EXPECT_EQ(std::chrono::floor<std::chrono::seconds>(
                  std::chrono::system_clock::time_point(time.value())),
              time.value());
  }
  for (const char* const text :
       {"", "2027-01-31", "2027-01-31T00:00:00", "2027-01-31 00:00:00Z", "2027-02-29T00:00:00Z",
        "2027-13-01T00:00:00Z", "2027-01-31T24:00:00Z", "2027-01-31T00:60:00Z",
        "2200-01-01T00:00:00Z", "2027-1-31T00:00:00Z"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

TEST(Values, LimitsAreShownInTheirLargestUnit) {
  EXPECT_EQ(size_text({4ULL << 40}), "4TiB");
  EXPECT_EQ(size_text({1536ULL << 20}), "1536MiB");
  EXPECT_EQ(size_text({1000}), "1000B");
  EXPECT_EQ(size_text({0}), "0B");
  EXPECT_EQ(duration_text(milliseconds{90'000}), "90s");
  EXPECT_EQ(duration_text(milliseconds{86'400'000}), "1d");
}

}  // namespace
}  // namespace config
