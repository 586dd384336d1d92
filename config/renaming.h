// Renaming: volumes that two configurations mean by different names.
#pragma once

#include <map>
#include <string>

#include "config/config.h"

namespace config {

// By the name that they have in `before`, that of `after`: there they say what they were
// (Volume::was), or `before` has said so and `after` goes back to it. One whose former name another
// volume of `after` has is not among them. Pure.
[[nodiscard]] std::map<std::string, std::string> renamed_volumes(const Config& before,
                                                                 const Config& after);

// `before`, with volumes called as `after` calls them, wherever they are named; diff() tells of
// each that its `was` has changed.
[[nodiscard]] Config renamed(Config before, const std::map<std::string, std::string>& names);

}  // namespace config
