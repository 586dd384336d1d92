#include "protocol/auth/digest.h"

#include <openssl/evp.h>

#include "engine/foundation/check.h"

namespace protocol::auth {

Sha256 sha256(std::string_view text) {
  Sha256 sum{};
  unsigned bytes = 0;
  CHECK(::EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(sum.data()), &bytes,
                     ::EVP_sha256(), nullptr) == 1);
  CHECK(bytes == sum.size());
  return sum;
}

}  // namespace protocol::auth
