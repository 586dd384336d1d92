// What of the status page is the same at all times.
#pragma once

namespace target::control {

// Their bytes are named in the page's policy by their digests: nothing else is obeyed.
extern const char* const page_style;
extern const char* const page_script;

}  // namespace target::control
