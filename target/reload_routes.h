// The API's part that changes the configuration:
//   POST /v1/plan?file=NAME      the file's text; answered with the plan, whatever it says
//   POST /v1/apply?file=NAME&disconnect=HOST,HOST&confirm_within_ms=N&drop_overrides=1&plan_hash=H
//                                the same, carried out
//   POST /v1/reload              the daemon's own file
//   POST /v1/confirm
//   GET  /v1/configuration       what was applied, with the entity tag that If-Match is for
#pragma once

#include <functional>
#include <vector>

#include "target/control/audit.h"
#include "target/control/http.h"
#include "target/reloader.h"

namespace target {

// `find`: nullptr while the daemon starts; control thread, as whatever is in the routes.
[[nodiscard]] std::vector<control::Route> reload_routes(std::function<Reloader*()> find,
                                                        const control::Audit& audit);

// With the hash of what runs as its entity tag.
[[nodiscard]] control::Answer tagged(control::Answer answer, const Reloader& reloader);

}  // namespace target
