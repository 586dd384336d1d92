#include "target/service_manager.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace target::service_manager {
namespace {

// Half of what the service manager allows: a ping that comes a little late is still in time.
TEST(ServiceManager, PingsComeTwiceInEachWatchdogPeriod) {
  ::unsetenv("WATCHDOG_PID");
  ::unsetenv("WATCHDOG_USEC");
  EXPECT_EQ(watchdog_period().count(), 0);
  struct Row {
    const char* microseconds;
    int period_ms;
  };
  for (const Row& row : {Row{"1000000", 500}, Row{"30000000", 15000}, Row{"500", 1}}) {
    ::setenv("WATCHDOG_USEC", row.microseconds, 1);
    EXPECT_EQ(watchdog_period().count(), row.period_ms);
  }
  ::unsetenv("WATCHDOG_USEC");
}

}  // namespace
}  // namespace target::service_manager
