// Collection: what one scrape is answered.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "target/metrics/snapshot.h"

namespace target::metrics {

// docs/metrics.md has every name. Any thread.
class Collection final : public prometheus::Collectable {
 public:
  // The snapshot outlives it.
  explicit Collection(const Snapshot& snapshot) : snapshot_(snapshot) {}

  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;
  // In Prometheus' text format, version 0.0.4.
  [[nodiscard]] std::string text() const;

  static constexpr const char* content_type = "text/plain; version=0.0.4; charset=utf-8";

 private:
  const Snapshot& snapshot_;
};

}  // namespace target::metrics
