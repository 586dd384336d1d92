// The keys of a direction in the form in which Linux takes them (<linux/tls.h>).
#pragma once

#include <cstddef>
#include <vector>

#include "protocol/tls/record_cipher.h"

namespace target::tls {

// struct tls12_crypto_info_aes_gcm_128 or _256, for TLS 1.3. The caller wipes it.
[[nodiscard]] std::vector<std::byte> kernel_keys(const protocol::tls::RecordKeys& keys);

}  // namespace target::tls
