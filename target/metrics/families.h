// Families: metrics by name, as they are put together for one scrape.
#pragma once

#include <prometheus/metric_family.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "target/reactor/latency_counters.h"

namespace target::metrics {

// Names without the prefix "forebay_".
class Families {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  // One name. Used before the next one is asked for.
  class Family {
   public:
    explicit Family(prometheus::MetricFamily& family) : family_(family) {}
    void add(const Labels& labels, double value);
    void add(const Labels& labels, std::uint64_t value) { add(labels, static_cast<double>(value)); }
    void add(const Labels& labels, bool value) { add(labels, value ? 1.0 : 0.0); }
    void add(const Labels& labels, const LatencyCounts& counts);

   private:
    prometheus::MetricFamily& family_;
  };

  [[nodiscard]] Family counter(const char* name, const char* help);
  [[nodiscard]] Family gauge(const char* name, const char* help);
  // Of seconds.
  [[nodiscard]] Family histogram(const char* name, const char* help);
  // Of the process as any other, with the name that all programs give it.
  [[nodiscard]] Family process_counter(const char* name, const char* help);
  [[nodiscard]] Family process_gauge(const char* name, const char* help);

  // Those that have a series.
  [[nodiscard]] std::vector<prometheus::MetricFamily> take();

 private:
  [[nodiscard]] Family make(std::string name, const char* help, prometheus::MetricType type);

  std::vector<prometheus::MetricFamily> families_;
};

// By block::CommandStage.
inline constexpr const char* stage_names[] = {"receive", "qos_wait", "cache",
                                              "commit",  "backing",  "send"};

// A part of all that is told, each in a file of its own.
struct Snapshot;
void add_volumes(Families& families, const Snapshot& snapshot);
void add_caches(Families& families, const Snapshot& snapshot);
void add_pools(Families& families, const Snapshot& snapshot);
void add_hosts(Families& families, const Snapshot& snapshot);
void add_reactors(Families& families, const Snapshot& snapshot);
void add_daemon(Families& families, const Snapshot& snapshot);
void add_process(Families& families);

}  // namespace target::metrics
