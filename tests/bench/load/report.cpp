#include "tests/bench/load/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace bench {
namespace {

double microseconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; }

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (static_cast<unsigned char>(letter) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(letter));
    } else {
      out += letter;
    }
  }
  return out + "\"";
}

std::string direction_text(const char* name, const Figures& figures, std::uint64_t operations,
                           const Histogram& latency, std::uint32_t block_bytes) {
  if (operations == 0) return {};
  const double rate = per_second(figures, operations);
  return fmt::format(
      "{:<6} {:>10.0f} IOPS {:>9.1f} MiB/s   latency us: mean {:.1f} p50 {:.1f} p90 {:.1f} p99 "
      "{:.1f} "
      "p99.9 {:.1f} max {:.1f}\n",
      name, rate, rate * block_bytes / (1 << 20), latency.mean() / 1000,
      microseconds(latency.percentile(0.5)), microseconds(latency.percentile(0.9)),
      microseconds(latency.percentile(0.99)), microseconds(latency.percentile(0.999)),
      microseconds(latency.max()));
}

std::string direction_json(const Figures& figures, std::uint64_t operations,
                           const Histogram& latency, std::uint32_t block_bytes) {
  const double rate = per_second(figures, operations);
  return fmt::format(
      R"({{"ios": {}, "iops": {:.1f}, "mib_per_s": {:.2f}, "latency_us": {{"min": {:.2f}, "mean": {:.2f}, )"
      R"("p50": {:.2f}, "p90": {:.2f}, "p99": {:.2f}, "p99.9": {:.2f}, "max": {:.2f}}}}})",
      operations, rate, rate * block_bytes / (1 << 20), microseconds(latency.min()),
      latency.mean() / 1000, microseconds(latency.percentile(0.5)),
      microseconds(latency.percentile(0.9)), microseconds(latency.percentile(0.99)),
      microseconds(latency.percentile(0.999)), microseconds(latency.max()));
}

}  // namespace

Figures merge(const std::vector<std::unique_ptr<Worker>>& workers) {
  Figures sum;
  for (const auto& worker : workers) {
    const Figures& one = worker->figures();
    sum.read_latency.merge(one.read_latency);
    sum.write_latency.merge(one.write_latency);
    sum.reads += one.reads;
    sum.writes += one.writes;
    sum.io_errors += one.io_errors;
    sum.verify_errors += one.verify_errors;
    sum.verified_blocks += one.verified_blocks;
    sum.unknown_blocks += one.unknown_blocks;
    sum.elapsed_ns = std::max(sum.elapsed_ns, one.elapsed_ns);
    sum.messages.insert(sum.messages.end(), one.messages.begin(), one.messages.end());
    sum.connection_lost = sum.connection_lost || one.connection_lost;
  }
  return sum;
}

double per_second(const Figures& figures, std::uint64_t operations) {
  if (figures.elapsed_ns == 0) return 0;
  return static_cast<double>(operations) * 1e9 / static_cast<double>(figures.elapsed_ns);
}

std::string as_text(const LoadOptions& options, const Figures& figures) {
  std::string text =
      direction_text("read", figures, figures.reads, figures.read_latency, options.block_bytes) +
      direction_text("write", figures, figures.writes, figures.write_latency, options.block_bytes);
  if (options.verify) {
    text +=
        fmt::format("verify {} blocks right, {} not known (never written in this run), {} wrong\n",
                    figures.verified_blocks, figures.unknown_blocks, figures.verify_errors);
  }
  if (figures.io_errors != 0) text += fmt::format("errors {} I/Os failed\n", figures.io_errors);
  for (const std::string& message : figures.messages) text += "error: " + message + "\n";
  return text;
}

std::string as_json(const LoadOptions& options, const Figures& figures) {
  std::string messages;
  for (const std::string& message : figures.messages) {
    messages += (messages.empty() ? "" : ", ") + quoted(message);
  }
  std::string json = fmt::format(
      R"({{"subsystem": {}, "address": {}, "port": {}, "connections": {}, "queues": {}, "depth": {}, )"
      R"("threads": {}, "poll": {}, "block_size": {}, "read_percent": {}, "pattern": "{}", )"
      R"("header_digest": {}, "data_digest": {}, "elapsed_s": {:.6f}, )",
      quoted(options.subsystem_nqn), quoted(options.address), options.port, options.connections,
      options.queues, options.depth, options.threads, options.poll, options.block_bytes,
      options.read_percent, options.pattern == Pattern::random ? "random" : "sequential",
      options.header_digest, options.data_digest, static_cast<double>(figures.elapsed_ns) / 1e9);
  json += fmt::format(
      R"("read": {}, "write": {}, "io_errors": {}, "verify": {}, "verify_errors": {}, )"
      R"("verified_blocks": {}, "unknown_blocks": {}, "connection_lost": {}, "ok": {}, "messages": [{}]}})",
      direction_json(figures, figures.reads, figures.read_latency, options.block_bytes),
      direction_json(figures, figures.writes, figures.write_latency, options.block_bytes),
      figures.io_errors, options.verify, figures.verify_errors, figures.verified_blocks,
      figures.unknown_blocks, figures.connection_lost, !failed(figures), messages);
  return json + "\n";
}

}  // namespace bench
