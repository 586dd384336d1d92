// What a host makes of its key for one subsystem: identity and PSK as TLS is given them. By
// OpenSSL, with nothing of the target's own derivation in it.
#pragma once

#include <string>
#include <string_view>

#include "tests/client/error.h"
#include "tests/client/tls_client.h"

namespace client {

// `key` is a text, "NVMeTLSkey-1:01:...:". Identity of version 0, derived as RFC 8446 has it
// (NVMe/TCP 1.1, "PSK identity and key derivation"). The text's CRC is not looked at. Errors:
// misuse.
[[nodiscard]] Result<TlsOptions> tls_options_of(std::string_view key, const std::string& host_nqn,
                                                const std::string& subsystem_nqn);

}  // namespace client
