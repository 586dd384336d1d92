#include "protocol/nvme/nqn.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace protocol::nvme {
namespace {

using namespace std::string_literals;

TEST(Nqn, NamesInUseAreAccepted) {
  for (const std::string& nqn :
       {std::string(discovery_nqn),
        "nqn.2014-08.org.nvmexpress:uuid:0fdb0a0e-6b3f-4f0a-8d8e-0d5a2c1b3e4f"s,
        "nqn.2014-08.org.nvmexpress:uuid:0FDB0A0E-6B3F-4F0A-8D8E-0D5A2C1B3E4F"s,
        "nqn.2014-08.org.nvmexpress:NVMf:uuid:0fdb0a0e-6b3f-4f0a-8d8e-0d5a2c1b3e4f"s,
        "nqn.2024-01.io.example:vol1"s, "nqn.2016-06.io.example:a:b c/d"s,
        "nqn.1991-12.com.example-corp.storage:disk"s, "nqn.2024-01.io.example:f\xc3\xbcr"s}) {
    EXPECT_EQ(check_nqn(nqn), std::nullopt) << nqn;
  }
}

struct Bad {
  std::string nqn;
  NqnError error;
};

TEST(Nqn, EachMistakeHasItsName) {
  const Bad table[] = {
      {"", NqnError::empty},
      {"nqn.2024-01.io.example:" + std::string(201, 'x'), NqnError::too_long},
      {"nqn.2024-01.io.example:a\0b"s, NqnError::not_text},
      {"nqn.2024-01.io.example:a\nb", NqnError::not_text},
      {"nqn.2024-01.io.example:a\x7f", NqnError::not_text},
      {"nqn.2024-01.io.example:a\xff", NqnError::not_text},
      {"nqn.2024-01.io.example:\xc3", NqnError::not_text},              // cut sequence
      {"nqn.2024-01.io.example:\xc0\xaf", NqnError::not_text},          // overlong, two bytes
      {"nqn.2024-01.io.example:\xe0\x80\xaf", NqnError::not_text},      // overlong, three bytes
      {"nqn.2024-01.io.example:\xf0\x80\x80\xaf", NqnError::not_text},  // overlong, four bytes
      {"nqn.2024-01.io.example:\xed\xa0\x80", NqnError::not_text},      // surrogate
      {"nqn.2024-01.io.example:\xf4\x90\x80\x80", NqnError::not_text},  // above 10FFFFh
      {"nqn.2024-01.io.example:\xc2\x9b", NqnError::not_text},  // C1 control (a terminal's CSI)
      {"nqn.2024-01.io.example:\xc3(", NqnError::not_text},     // bad continuation
      {"iqn.2024-01.io.example:x", NqnError::wrong_prefix},
      {"NQN.2024-01.io.example:x", NqnError::wrong_prefix},
      {"nqn.", NqnError::wrong_date},
      {"nqn.2024", NqnError::wrong_date},
      {"nqn.2024-1.io.example:x", NqnError::wrong_date},
      {"nqn.2024-00.io.example:x", NqnError::wrong_date},
      {"nqn.2024-13.io.example:x", NqnError::wrong_date},
      {"nqn.20x4-01.io.example:x", NqnError::wrong_date},
      {"nqn.2024-01.", NqnError::wrong_domain},
      {"nqn.2024-01.:x", NqnError::wrong_domain},
      {"nqn.2024-01.io..example:x", NqnError::wrong_domain},
      {"nqn.2024-01.io.example.:x", NqnError::wrong_domain},
      {"nqn.2024-01.io.-example:x", NqnError::wrong_domain},
      {"nqn.2024-01.io.exa mple:x", NqnError::wrong_domain},
      {"nqn.2024-01." + std::string(64, 'a') + ":x", NqnError::wrong_domain},
      {"nqn.2024-01.io.example:", NqnError::wrong_domain},
      {"nqn.2014-08.org.nvmexpress:uuid:", NqnError::wrong_uuid},
      {"nqn.2014-08.org.nvmexpress:uuid:not-a-uuid", NqnError::wrong_uuid},
      {"nqn.2014-08.org.nvmexpress:uuid:0fdb0a0e-6b3f-4f0a-8d8e-0d5a2c1b3e4f0",
       NqnError::wrong_uuid},
  };
  for (const auto& row : table) {
    const auto error = check_nqn(row.nqn);
    ASSERT_TRUE(error.has_value()) << row.nqn;
    EXPECT_EQ(*error, row.error) << row.nqn << ' ' << text_of(*error);
  }
}

TEST(Nqn, TheLongestNameIs223Bytes) {
  const std::string longest = "nqn.2024-01.io.example:" + std::string(200, 'x');
  ASSERT_EQ(longest.size(), max_nqn_bytes);
  EXPECT_EQ(check_nqn(longest), std::nullopt);
}

TEST(Nqn, FieldsEndWithinTheirLimit) {
  std::array<char, nqn_field_bytes> field{};
  EXPECT_EQ(nqn_in_field(field), "");
  field.fill('x');
  field[3] = '\0';
  EXPECT_EQ(nqn_in_field(field), "xxx");
  field.fill('x');
  field[223] = '\0';
  EXPECT_EQ(nqn_in_field(field).value().size(), 223u);
  field.fill('x');
  field[224] = '\0';
  EXPECT_EQ(nqn_in_field(field), std::nullopt);
}

}  // namespace
}  // namespace protocol::nvme
