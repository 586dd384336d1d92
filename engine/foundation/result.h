// Result<T, E>: a value or one of a module's few named errors. Expected failures are values;
// exceptions are for start-up only (configuration, yaml-cpp).
#pragma once

#include <boost/outcome/basic_result.hpp>
#include <boost/outcome/policy/terminate.hpp>
#include <boost/outcome/success_failure.hpp>
#include <boost/outcome/try.hpp>

// TRY(auto header, read_header(at)); returns early with the callee's error.
#define TRY(...) BOOST_OUTCOME_TRY(__VA_ARGS__)
#define CO_TRY(...) BOOST_OUTCOME_CO_TRY(__VA_ARGS__)

namespace engine {

// Reading the value of a failed result (or the error of a good one) terminates: it is a bug.
template <class T, class E>
using Result = boost::outcome_v2::basic_result<T, E, boost::outcome_v2::policy::terminate>;

using boost::outcome_v2::success;

}  // namespace engine
