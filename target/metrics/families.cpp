#include "target/metrics/families.h"

#include <utility>

namespace target::metrics {
namespace {

double seconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

}  // namespace

void Families::Family::add(const Labels& labels, double value) {
  prometheus::ClientMetric metric;
  metric.label = labels;
  metric.counter.value = metric.gauge.value = value;
  family_.metric.push_back(std::move(metric));
}

void Families::Family::add(const Labels& labels, const LatencyCounts& counts) {
  prometheus::ClientMetric metric;
  metric.label = labels;
  std::uint64_t sum = 0;
  // The last bucket has no bound: the serializer makes it of the count.
  for (std::size_t i = 0; i < LatencyCounts::bounds_ns.size(); ++i) {
    sum += counts.counts[i];
    metric.histogram.bucket.push_back(
        {.cumulative_count = sum, .upper_bound = seconds(LatencyCounts::bounds_ns[i])});
  }
  metric.histogram.sample_count = counts.count();
  metric.histogram.sample_sum = static_cast<double>(counts.sum_ns) / 1e9;
  family_.metric.push_back(std::move(metric));
}

Families::Family Families::make(std::string name, const char* help, prometheus::MetricType type) {
  families_.push_back({.name = std::move(name), .help = help, .type = type, .metric = {}});
  return Family(families_.back());
}

Families::Family Families::counter(const char* name, const char* help) {
  return make(std::string("forebay_") + name, help, prometheus::MetricType::Counter);
}
Families::Family Families::gauge(const char* name, const char* help) {
  return make(std::string("forebay_") + name, help, prometheus::MetricType::Gauge);
}
Families::Family Families::histogram(const char* name, const char* help) {
  return make(std::string("forebay_") + name, help, prometheus::MetricType::Histogram);
}
Families::Family Families::process_counter(const char* name, const char* help) {
  return make(std::string("process_") + name, help, prometheus::MetricType::Counter);
}
Families::Family Families::process_gauge(const char* name, const char* help) {
  return make(std::string("process_") + name, help, prometheus::MetricType::Gauge);
}

std::vector<prometheus::MetricFamily> Families::take() {
  std::erase_if(families_, [](const auto& family) { return family.metric.empty(); });
  return std::move(families_);
}

}  // namespace target::metrics
