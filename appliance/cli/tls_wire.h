// TLS over a connection that is there.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "appliance/cli/wire.h"

namespace cli {

// Shakes hands with `server`, whose certificate must be of its name and of an authority that is
// trusted.
[[nodiscard]] WireResult secure(std::unique_ptr<boost::asio::io_context> io,
                                boost::asio::ip::tcp::socket socket, const Server& server);

}  // namespace cli
