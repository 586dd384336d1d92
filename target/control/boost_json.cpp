// Boost.JSON, compiled once for the whole daemon (it is header-only elsewhere).
#include <boost/json/src.hpp>
