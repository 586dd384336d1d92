// What hosts reach the daemon by and see of it, and how that is changed while they are connected.
#pragma once

#include "target/iscsi/target.h"
#include "target/nvmf/target.h"

namespace target {

// Of both protocols, as one configuration has it.
struct Exports {
  nvmf::TargetOptions nvmf;
  iscsi::TargetOptions iscsi;
};

// Both serve `from` and shall serve `to`: what is new comes first, then what goes. Hosts that are
// not concerned see no event. Back again: with the two exchanged. The volumes of both are there
// until no host uses them any more. Control thread; nothing here can fail.
void change_exports(nvmf::NvmfTarget& nvmf, iscsi::IscsiTarget& iscsi, const Exports& from,
                    const Exports& to);

}  // namespace target
