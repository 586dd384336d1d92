// What a daemon under test answers on its metrics port, and what is asked of a Prometheus.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace end_to_end {

struct HttpReply {
  int status = 0;  // 0 and a test failure: there was none
  std::string body;
};
[[nodiscard]] HttpReply http_get(std::uint16_t port, const std::string& path);
// The same, but nobody may listen yet: then the status is 0.
[[nodiscard]] HttpReply try_http_get(std::uint16_t port, const std::string& path);

// A text in Prometheus' format, by what stands before the value: `forebay_ready`,
// `forebay_volume_online{volume="big"}`.
class Scrape {
 public:
  explicit Scrape(const std::string& text);
  // A test failure when there is none.
  [[nodiscard]] double value(const std::string& series) const;
  // Of `name` whatever its labels.
  [[nodiscard]] double sum(const std::string& name) const;
  [[nodiscard]] const std::map<std::string, double>& all() const { return values_; }

 private:
  std::map<std::string, double> values_;
};
[[nodiscard]] Scrape scrape(std::uint16_t port);

}  // namespace end_to_end
