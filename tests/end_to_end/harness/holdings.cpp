#include "tests/end_to_end/harness/holdings.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <ostream>

namespace end_to_end {

std::ostream& operator<<(std::ostream& out, const Holdings& holdings) {
  return out << holdings.connections << " connections, " << holdings.places << " places, "
             << holdings.associations << " associations, " << holdings.timers << " timers, "
             << holdings.disk_operations << " disk operations, " << holdings.removed_volumes
             << " removed volumes";
}

Holdings holdings_of(const boost::json::value& status) {
  const auto count = [](const boost::json::value& of, const char* key) {
    return of.at(key).to_number<std::uint64_t>();
  };
  Holdings all;
  for (const auto& reactor : status.at("reactors").as_array()) {
    all.connections += count(reactor, "connections");
    all.timers += count(reactor, "timers");
    all.disk_operations += count(reactor, "disk_operations");
  }
  for (const auto& listener : status.at("listeners").as_array()) {
    all.places += count(listener, "connections");
    if (!listener.at("listening").as_bool()) --all.timers;
  }
  all.removed_volumes = count(status, "removed_volumes");
  all.associations = status.at("hosts").as_array().size() + status.at("sessions").as_array().size();
  return all;
}

}  // namespace end_to_end
