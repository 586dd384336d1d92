// Node names: good ones and their one spelling, bad ones and why.
#include "protocol/iscsi/names.h"

#include <gtest/gtest.h>

namespace protocol::iscsi {
namespace {

TEST(Names, GoodNamesAreNormalised) {
  struct Case {
    std::string_view name;
    std::string_view normal;
  };
  for (const Case& good : {
           Case{"iqn.2001-04.com.example:storage:diskarrays-sn-a8675309",
                "iqn.2001-04.com.example:storage:diskarrays-sn-a8675309"},
           Case{"iqn.2001-04.com.example", "iqn.2001-04.com.example"},
           Case{"IQN.1991-05.com.Microsoft:HOST.example.com",
                "iqn.1991-05.com.microsoft:host.example.com"},
           Case{"iqn.1991-05.com.microsoft:my_host", "iqn.1991-05.com.microsoft:my_host"},
           Case{"iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test",
                "iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test"},
           Case{"eui.02004567A425678D", "eui.02004567a425678d"},
           Case{"naa.52004567BA64678D", "naa.52004567ba64678d"},
           Case{"NAA.62004567BA64678D0123456789ABCDEF", "naa.62004567ba64678d0123456789abcdef"},
       }) {
    const auto normal = normalise_name(good.name);
    ASSERT_TRUE(normal.has_value()) << good.name << " " << text_of(normal.error());
    EXPECT_EQ(normal.value(), good.normal);
    EXPECT_EQ(normalise_name(normal.value()).value(), good.normal);
  }
}

TEST(Names, LongestName) {
  const std::string longest = "iqn.2001-04.com.example:" + std::string(223 - 24, 'x');
  ASSERT_EQ(longest.size(), 223U);
  EXPECT_TRUE(normalise_name(longest).has_value());
  EXPECT_EQ(normalise_name(longest + "x").error(), NameError::too_long);
}

TEST(Names, BadNames) {
  struct Case {
    std::string_view name;
    NameError error;
  };
  for (const Case& bad : {
           Case{"", NameError::empty},
           Case{"iqn", NameError::wrong_type},
           Case{"iqn:2001-04.com.example", NameError::wrong_type},
           Case{"host", NameError::wrong_type},
           Case{"nqn.2014-08.org.nvmexpress.discovery", NameError::wrong_type},
           Case{"iqn.", NameError::wrong_date},
           Case{"iqn.2001-4.com.example", NameError::wrong_date},
           Case{"iqn.2001-13.com.example", NameError::wrong_date},
           Case{"iqn.2001-00.com.example", NameError::wrong_date},
           Case{"iqn.2001-04com.example", NameError::wrong_date},
           Case{"iqn.2001-04.", NameError::wrong_domain},
           Case{"iqn.2001-04.:x", NameError::wrong_domain},
           Case{"iqn.2001-04.com..example", NameError::wrong_domain},
           Case{"iqn.2001-04.com.example:", NameError::wrong_domain},
           Case{"iqn.2001-04.com.example: disk", NameError::wrong_character},
           Case{"iqn.2001-04.com.example:a,b", NameError::wrong_character},
           Case{"iqn.2001-04.com.example:a/b", NameError::wrong_character},
           Case{"iqn.2001-04.com.example:\xc3\xa4", NameError::wrong_character},
           Case{"iqn.2001-04.com.example:\n", NameError::wrong_character},
           Case{"eui.02004567A425678", NameError::wrong_digits},
           Case{"eui.02004567A425678DE", NameError::wrong_digits},
           Case{"eui.02004567A425678G", NameError::wrong_digits},
           Case{"naa.", NameError::wrong_digits},
           Case{"naa.62004567BA64678D01234567", NameError::wrong_digits},
       }) {
    const auto normal = normalise_name(bad.name);
    ASSERT_FALSE(normal.has_value()) << bad.name;
    EXPECT_EQ(normal.error(), bad.error) << bad.name << ": " << text_of(normal.error());
  }
}

TEST(Names, EveryErrorHasAText) {
  for (int error = 0; error <= static_cast<int>(NameError::wrong_digits); ++error) {
    EXPECT_NE(text_of(static_cast<NameError>(error)), "is no name of an iSCSI node");
  }
}

}  // namespace
}  // namespace protocol::iscsi
