#include "protocol/nvme_tcp/pdu_error.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <set>
#include <string>

#include "protocol/nvme_tcp/pdu.h"

namespace protocol::nvme_tcp {
namespace {

TEST(PduError, EveryFaultHasItsOwnWords) {
  std::set<std::string> words;
  for (unsigned fault = 0; fault <= static_cast<unsigned>(PduFault::out_of_order_data); ++fault) {
    words.insert(describe(static_cast<PduFault>(fault)));
  }
  EXPECT_EQ(words.size(), static_cast<std::size_t>(PduFault::out_of_order_data) + 1);
  EXPECT_EQ(words.count("unknown fault"), 0U);
}

TEST(PduError, TransferErrorsNameTheFieldOfH2cData) {
  EXPECT_EQ(unknown_transfer_tag_error().fei, offsetof(H2cData, ttag));
  EXPECT_EQ(command_mismatch_error().fei, offsetof(H2cData, cccid));
  EXPECT_EQ(last_pdu_error().fei, offsetof(H2cData, common.flags));
  EXPECT_EQ(static_cast<unsigned>(out_of_range_error().fes), 4U);
  EXPECT_EQ(static_cast<unsigned>(out_of_order_error().fes), 2U);
  EXPECT_FALSE(out_of_range_error().closes_silently());
  EXPECT_TRUE((PduError{.fault = PduFault::malformed_term_req}).closes_silently());
}

}  // namespace
}  // namespace protocol::nvme_tcp
