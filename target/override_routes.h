// The API's part that changes what runs beside the configuration file:
//   GET  /v1/overrides
//   POST /v1/overrides/clear         {"volume": NAME}, {"path": NAME} or {"all": true}
//   POST /v1/volumes/{name}/mode     {"mode": MODE}, or {"clear": true}
//   POST /v1/paths/{name}/access     {"state": STATE}
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <string>
#include <vector>

#include "target/control/audit.h"
#include "target/control/http.h"
#include "target/reloader.h"

namespace target {

// As reload_routes().
[[nodiscard]] std::vector<control::Route> override_routes(std::function<Reloader*()> find,
                                                          const control::Audit& audit);
// As the API has them everywhere.
[[nodiscard]] boost::json::array to_json(const std::vector<Override>& all);

}  // namespace target
