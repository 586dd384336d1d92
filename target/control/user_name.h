// The name of a user of this machine, for people to read.
#pragma once

#include <sys/types.h>

#include <string>

namespace target::control {

// "root"; "uid 1234" of one that /etc/passwd does not know. A directory service is not asked: it
// may take its time, and the thread that asks has none.
[[nodiscard]] std::string user_name(uid_t uid);

}  // namespace target::control
