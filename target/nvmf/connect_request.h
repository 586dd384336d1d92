// ConnectRequest: a parsed Connect and where it came in.
#pragma once

#include "protocol/nvme/fabrics_command.h"
#include "target/nvmf/command.h"

namespace target::nvmf {

// Views the command's data and the port's link.
struct ConnectRequest {
  const protocol::nvme::Connect& command;
  const protocol::nvme::ConnectData& data;
  const LinkInfo& link;
};

}  // namespace target::nvmf
