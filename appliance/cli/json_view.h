// Reading what the daemon has answered: a key that is not there is a daemon of another version, and
// throws what main reports.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cli {

[[nodiscard]] inline const boost::json::value& member(const boost::json::value& object,
                                                      std::string_view key) {
  return object.at(boost::json::string_view(key.data(), key.size()));
}
[[nodiscard]] inline std::string text(const boost::json::value& object, std::string_view key) {
  const auto& value = member(object, key).as_string();
  return {value.data(), value.size()};
}
[[nodiscard]] inline std::uint64_t number(const boost::json::value& object, std::string_view key) {
  return member(object, key).to_number<std::uint64_t>();
}
[[nodiscard]] inline bool flag(const boost::json::value& object, std::string_view key) {
  return member(object, key).as_bool();
}
[[nodiscard]] inline const boost::json::array& list(const boost::json::value& object,
                                                    std::string_view key) {
  return member(object, key).as_array();
}
[[nodiscard]] inline std::vector<std::string> texts(const boost::json::value& object,
                                                    std::string_view key) {
  std::vector<std::string> all;
  for (const auto& one : list(object, key)) {
    all.emplace_back(one.as_string().data(), one.as_string().size());
  }
  return all;
}

}  // namespace cli
