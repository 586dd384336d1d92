#include "target/control/status_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <utility>

#include "protocol/auth/binary_text.h"
#include "protocol/auth/digest.h"
#include "target/control/chart.h"
#include "target/control/page_frame.h"
#include "target/control/page_text.h"
#include "target/control/page_troubles.h"

namespace target::control {
namespace {

constexpr std::size_t wide_points = 200;
constexpr std::size_t row_points = 50;

template <class... Args>
void put(std::string& out, fmt::format_string<Args...> form, Args&&... args) {
  fmt::format_to(std::back_inserter(out), form, std::forward<Args>(args)...);
}

std::string size_of(std::uint64_t bytes) { return bytes_text(static_cast<double>(bytes)); }

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

Figures latest(const std::vector<Figures>& figures) {
  constexpr float none = std::numeric_limits<float>::quiet_NaN();
  if (!figures.empty()) return figures.back();
  return {.reads = none,
          .writes = none,
          .read_bytes = none,
          .written_bytes = none,
          .read_p99_us = none,
          .write_p99_us = none,
          .hit_ratio = none,
          .dirty_bytes = none};
}

// What is not measured yet is no zero.
template <class Text>
std::string or_none(float value, Text text) {
  return std::isnan(value) ? "–" : text(static_cast<double>(value));
}

std::string percent_text(double ratio) { return fmt::format("{:.0f}%", std::floor(ratio * 100)); }

std::string clock_text(std::uint64_t ms) {
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

void put_head(std::string& out, const Status& status, std::span<const Trouble> troubles,
              std::uint64_t now_ms) {
  const bool is_well = status.healthy();
  const char* const word = !is_well ? "DEGRADED" : troubles.empty() ? "HEALTHY" : "HEALTHY, but";
  put(out,
      R"(<header data-title="{} {}"><h1>{}</h1><span class="state {}">{}</span><span class="facts">)",
      is_well ? "●" : "▲", escaped(status.node), escaped(status.node),
      !is_well           ? "bad"
      : troubles.empty() ? "ok"
                         : "warn",
      word);
  put(out, "forebay {} · up {} · config {} · {}</span></header>", escaped(status.version),
      age_text(status.uptime_seconds), escaped(status.config_hash), clock_text(now_ms));
}

void put_troubles(std::string& out, std::span<const Trouble> troubles, std::uint64_t now_ms) {
  if (troubles.empty()) return;
  put(out, R"(<ul class="troubles">)");
  const std::size_t shown = std::min(troubles.size(), StatusPage::most_troubles);
  for (const Trouble& trouble : troubles.first(shown)) {
    put(out, "<li{}><b>{}</b> {}", trouble.is_bad ? "" : R"( class="w")", escaped(trouble.what),
        escaped(trouble.text));
    if (trouble.since_ms != 0 && trouble.since_ms <= now_ms) {
      put(out, R"( <span class="soft">for {}</span>)",
          age_text((now_ms - trouble.since_ms) / 1000));
    }
    out += "</li>";
  }
  if (troubles.size() > shown) {
    put(out, "<li><b>and {} more</b>: forebayctl status</li>", troubles.size() - shown);
  }
  out += "</ul>";
}

void put_card(std::string& out, const char* name, const std::string& value, const std::string& most,
              const std::string& picture) {
  put(out,
      R"(<div class="card"><div class="name"><span>{}</span><span class="opt2">peak {}</span></div>)"
      "<b>{}</b>{}</div>",
      name, most, value, picture);
}

const std::vector<Line> command_lines{{"read", &Figures::reads}, {"write", &Figures::writes}};
const std::vector<Line> latency_lines{{"read", &Figures::read_p99_us},
                                      {"write", &Figures::write_p99_us}};

void put_cards(std::string& out, const History& history) {
  const std::vector<Figures>& all = history.of_all();
  const Figures now = latest(all);
  const auto both = [](float a, float b, auto text) {
    return fmt::format(R"(<span class="r">{}</span> <span class="w-c">{}</span>)", or_none(a, text),
                       or_none(b, text));
  };
  const auto most = [&all](float Figures::*a, float Figures::*b, auto text) {
    return text(static_cast<double>(std::max(greatest(all, a), greatest(all, b))));
  };
  out += R"(<section class="cards" id="charts">)";
  put_card(out, "Commands/s", both(now.reads, now.writes, count_text),
           most(&Figures::reads, &Figures::writes, count_text),
           chart(all, command_lines, wide_points, "Commands per second, ten minutes"));
  const auto rate_of = [](double bytes) { return bytes_text(bytes); };
  put_card(out, "Bytes/s", both(now.read_bytes, now.written_bytes, rate_of),
           most(&Figures::read_bytes, &Figures::written_bytes, rate_of),
           chart(all, {{"read", &Figures::read_bytes}, {"write", &Figures::written_bytes}},
                 wide_points, "Bytes per second, ten minutes"));
  put_card(out, "Latency, 99 of 100", both(now.read_p99_us, now.write_p99_us, latency_text),
           most(&Figures::read_p99_us, &Figures::write_p99_us, latency_text),
           chart(all, latency_lines, wide_points, "Latency, ten minutes"));
  put_card(out, "Dirty in caches",
           fmt::format(R"(<span class="d">{}</span>)", or_none(now.dirty_bytes, rate_of)),
           most(&Figures::dirty_bytes, &Figures::dirty_bytes, rate_of),
           chart(all, {{"dirty", &Figures::dirty_bytes}}, wide_points, "Dirty bytes, ten minutes"));
  put(out,
      R"(</section><p class="legend soft"><i class="r">read</i><i class="w-c">write</i><i class="d">dirty</i>)"
      "the last ten minutes, now at the right{}</p>",
      all.size() >= History::kept
          ? ""
          : fmt::format(
                "; so far {} of them",
                age_text(all.size() * static_cast<std::uint64_t>(History::period.count()))));
}

// How much a volume deserves to be seen.
struct Rank {
  const VolumeStatus* volume = nullptr;
  bool is_bad = false;
  float busy = 0;
};

bool is_in_trouble(const VolumeStatus& volume) {
  return volume.state != "online" || volume.lost_bytes != 0;
}

std::vector<Rank> ranked(const Status& status, const History& history) {
  std::vector<Rank> all;
  for (const VolumeStatus& volume : status.volumes) {
    const auto& figures = history.of(volume.name);
    const float busy = figures.empty() ? 0 : figures.back().reads + figures.back().writes;
    all.push_back({.volume = &volume, .is_bad = is_in_trouble(volume), .busy = busy});
  }
  std::ranges::stable_sort(all, [](const Rank& a, const Rank& b) {
    return a.is_bad != b.is_bad ? a.is_bad : a.busy > b.busy;
  });
  return all;
}

void put_volume(std::string& out, const VolumeStatus& volume, const History& history) {
  const std::vector<Figures>& figures = history.of(volume.name);
  const Figures now = latest(figures);
  const auto pair = [](float a, float b, auto text) {
    return fmt::format(R"(<span class="r">{}</span> / <span class="w-c">{}</span>)",
                       or_none(a, text), or_none(b, text));
  };
  const char* const colour = !is_in_trouble(volume)       ? "ok"
                             : volume.state == "degraded" ? "warn"
                                                          : "bad";
  put(out,
      R"(<tr data-volume="{0}"><td class="name">{0}</td><td class="{1}">{2}</td>)"
      R"(<td class="n opt2" data-size>{3}</td><td class="opt soft">{4}</td>)",
      escaped(volume.name), colour, escaped(volume.state), size_of(volume.size_bytes),
      volume.cache_mode.empty() ? "no cache" : escaped(volume.cache_mode));
  put(out, R"(<td class="n">{}</td><td class="pic">{}</td><td class="n opt2">{}</td>)",
      pair(now.reads, now.writes, count_text),
      chart(figures, command_lines, row_points, "Commands per second of " + volume.name),
      pair(now.read_bytes, now.written_bytes, bytes_text));
  put(out,
      R"(<td class="n opt2">{}</td><td class="pic opt">{}</td><td class="n opt">{}</td><td class="n d">{}</td></tr>)",
      pair(now.read_p99_us, now.write_p99_us, latency_text),
      chart(figures, latency_lines, row_points, "Latency of " + volume.name),
      or_none(now.hit_ratio, percent_text),
      volume.cache.empty() ? "–" : size_of(volume.dirty_bytes));
}

void put_volumes(std::string& out, const Status& status, const History& history, bool all_of_them) {
  const std::vector<Rank> ranks = ranked(status, history);
  const std::size_t shown =
      all_of_them ? ranks.size() : std::min(ranks.size(), StatusPage::most_volumes);
  put(out, R"(<h2>Volumes <small>{}</small></h2>)", ranks.size());
  if (ranks.empty()) {
    out += R"(<p class="soft">None: the configuration has no volumes.</p>)";
    return;
  }
  out +=
      R"(<div class="scroll"><table id="volumes"><tr><th>Name</th><th>State</th><th class="n opt2">Size</th><th class="opt">Cache mode</th>)"
      R"(<th class="n">Commands/s</th><th>10 min</th><th class="n opt2">Bytes/s</th><th class="n opt2">p99</th>)"
      R"(<th class="opt">10 min</th><th class="n opt">Hits</th><th class="n">Dirty</th></tr>)";
  for (const Rank& rank : std::span(ranks).first(shown)) put_volume(out, *rank.volume, history);
  out += "</table></div>";
  if (shown == ranks.size()) return;
  const auto bad = std::ranges::count_if(std::span(ranks).subspan(shown), &Rank::is_bad);
  put(out, R"(<p class="soft">{} more, {}; <a href="/?volumes=all">show all</a></p>)",
      ranks.size() - shown,
      bad != 0 ? fmt::format("{} of them in trouble", bad)
               : fmt::format("all online, none with more than {} commands/s",
                             count_text(static_cast<double>(ranks[shown].busy))));
}

void put_caches(std::string& out, const Status& status) {
  if (status.caches.empty()) return;
  out +=
      R"(<h2>Caches</h2><div class="scroll"><table id="caches"><tr><th>Name</th><th>State</th><th class="opt2">Media</th>)"
      R"(<th>Dirty, clean, free</th><th class="n">Dirty</th><th class="n opt2">Used</th><th class="n">Size</th></tr>)";
  for (const CacheStatus& cache : status.caches) {
    const bool is_well = cache.retired || (cache.open && cache.reason.empty());
    const char* const state = cache.retired    ? "retired"
                              : !cache.open    ? "not open"
                              : !is_well       ? "failed"
                              : cache.retiring ? "retiring"
                                               : "open";
    const std::uint64_t used = cache.size_bytes - std::min(cache.free_bytes, cache.size_bytes);
    const std::uint64_t dirty = std::min(cache.dirty_bytes, used);
    put(out,
        R"(<tr><td class="name">{}</td><td class="{}">{}</td><td class="opt2 soft long">{}</td><td class="pic">{}</td>)"
        R"(<td class="n d">{}</td><td class="n opt2">{}</td><td class="n">{}</td></tr>)",
        escaped(cache.name), is_well ? "ok" : "bad", state, escaped(cache.media),
        bar({{"dirty", share(dirty, cache.size_bytes)},
             {"used", share(used - dirty, cache.size_bytes)}},
            "Occupancy of " + cache.name),
        size_of(cache.dirty_bytes), size_of(used), size_of(cache.size_bytes));
  }
  out += "</table></div>";
}

void put_pools(std::string& out, const Status& status) {
  if (status.pools.empty()) return;
  out +=
      R"(<h2>Pools</h2><div class="scroll"><table id="pools"><tr><th>Name</th><th>State</th><th class="opt2">Kind</th>)"
      R"(<th class="n opt2">Disks</th><th>Used, promised, free</th><th class="n">Free</th><th class="n opt2">Size</th></tr>)";
  for (const PoolStatus& pool : status.pools) {
    const bool is_well = pool.open && pool.reason.empty();
    const std::uint64_t used = pool.size_bytes - std::min(pool.free_bytes, pool.size_bytes);
    put(out,
        R"(<tr><td class="name">{}</td><td class="{}">{}</td><td class="opt2 soft">{} {}</td><td class="n opt2">{}</td>)"
        R"(<td class="pic">{}</td><td class="n">{}</td><td class="n opt2">{}</td></tr>)",
        escaped(pool.name),
        !is_well       ? "bad"
        : pool.filling ? "warn"
                       : "ok",
        !pool.open     ? "not open"
        : !is_well     ? "does not answer"
        : pool.filling ? "filling"
                       : "open",
        escaped(pool.kind), escaped(pool.provisioning), pool.disks.size(),
        bar({{"used", share(used, pool.size_bytes)},
             {"promised", share(pool.promised_bytes, pool.size_bytes)}},
            "Use of " + pool.name),
        size_of(pool.free_bytes), size_of(pool.size_bytes));
  }
  out += "</table></div>";
}

// All connections of one host by one protocol.
struct HostRow {
  std::string name;  // as the configuration calls it; else its own
  const char* protocol = "nvme-tcp";
  std::string security{};
  std::map<std::string, std::size_t> by_listener{};
  std::uint64_t connected_seconds = 0;  // the newest
  std::uint64_t queues = 0;
};

std::vector<HostRow> host_rows(const Status& status) {
  std::map<std::pair<std::string, std::string>, HostRow> rows;
  const auto known_as = [&status](std::string KnownHost::*id, const std::string& own) {
    const auto found = std::ranges::find(status.known_hosts, own, id);
    return found == status.known_hosts.end() ? own : found->name;
  };
  const auto add = [&rows](HostRow row, const std::string& own, const std::string& listener) {
    const auto [place, is_new] = rows.try_emplace({own, row.protocol}, row);
    HostRow& kept = place->second;
    ++kept.by_listener[listener];
    if (is_new) return;
    kept.queues += row.queues;
    kept.connected_seconds = std::min(kept.connected_seconds, row.connected_seconds);
  };
  for (const HostStatus& host : status.hosts) {
    if (host.discovery) continue;
    add({.name = known_as(&KnownHost::nqn, host.nqn),
         .security = host.security,
         .connected_seconds = host.connected_seconds,
         .queues = host.io_queues},
        host.nqn, host.listener);
  }
  for (const SessionStatus& session : status.sessions) {
    if (session.target.empty()) continue;
    add({.name = known_as(&KnownHost::iqn, session.initiator),
         .protocol = "iscsi",
         .security = session.security,
         .connected_seconds = session.connected_seconds,
         .queues = 1},
        session.initiator, session.listener);
  }
  for (const KnownHost& known : status.known_hosts) {
    if (!known.nqn.empty()) rows.try_emplace({known.nqn, "nvme-tcp"}, HostRow{.name = known.name});
    if (known.iqn.empty()) continue;
    rows.try_emplace({known.iqn, "iscsi"}, HostRow{.name = known.name, .protocol = "iscsi"});
  }
  std::vector<HostRow> sorted;
  for (auto& [key, row] : rows) sorted.push_back(std::move(row));
  std::ranges::stable_sort(sorted, [](const HostRow& a, const HostRow& b) {
    return a.by_listener.empty() && !b.by_listener.empty();
  });
  return sorted;
}

void put_hosts(std::string& out, const Status& status) {
  const std::vector<HostRow> rows = host_rows(status);
  put(out, R"(<h2>Hosts <small>{}</small></h2>)", rows.size());
  if (rows.empty()) {
    out += R"(<p class="soft">None is connected, and none is named in the configuration.</p>)";
    return;
  }
  out +=
      R"(<div class="scroll"><table id="hosts"><tr><th>Name</th><th>Protocol</th><th class="opt2">Security</th><th>Connections by listener</th>)"
      R"(<th class="n opt2">I/O queues</th><th class="n opt2">Since</th></tr>)";
  constexpr std::size_t most_hosts = 200;
  const std::size_t shown = std::min(rows.size(), most_hosts);
  for (const HostRow& row : std::span(rows).first(shown)) {
    std::string by;
    for (const auto& [listener, count] : row.by_listener) {
      by += fmt::format("{}{} × {}", by.empty() ? "" : ", ", count, escaped(listener));
    }
    put(out,
        R"(<tr><td class="name">{}</td><td class="soft">{}</td><td class="opt2 soft">{}</td><td class="long{}">{}</td>)"
        R"(<td class="n opt2">{}</td><td class="n soft opt2">{}</td></tr>)",
        escaped(row.name), row.protocol, escaped(row.security), by.empty() ? " soft" : "",
        by.empty() ? "not connected" : by, row.queues,
        by.empty() ? "–" : age_text(row.connected_seconds));
  }
  out += "</table></div>";
  if (rows.size() > shown) {
    put(out, R"(<p class="soft">{} more: forebayctl hosts</p>)", rows.size() - shown);
  }
}

void put_listeners(std::string& out, const Status& status) {
  if (status.listeners.empty()) return;
  out +=
      R"(<h2>Listeners</h2><div class="scroll"><table id="listeners"><tr><th>Name</th><th>State</th><th class="opt2">Protocol</th><th>Address</th><th class="n">Connections</th></tr>)";
  for (const ListenerStatus& listener : status.listeners) {
    put(out,
        R"(<tr><td class="name">{}</td><td class="{}">{}</td><td class="opt2 soft">{}</td><td>{}</td><td class="n">{}</td></tr>)",
        escaped(listener.name), listener.listening ? "ok" : "bad",
        listener.listening ? "listening" : "not listening", escaped(listener.protocol),
        escaped(listener.address), listener.connections);
  }
  out += "</table></div>";
}

std::string digest_of(const char* text) {
  // "0b", as iSCSI writes it.
  return "'sha256-" + protocol::auth::to_base64(protocol::auth::sha256(text)).substr(2) + "'";
}

Answer page_answer(std::string body) {
  return {.body = std::move(body),
          .content_type = "text/html; charset=utf-8",
          .headers = {{"Content-Security-Policy", StatusPage::content_security_policy()},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cross-Origin-Resource-Policy", "same-origin"}}};
}

}  // namespace

std::string StatusPage::content(const Status& status, const History& history,
                                const PageWish& wish) {
  const std::vector<Trouble> troubles = troubles_of(status);
  std::string out;
  put_head(out, status, troubles, wish.now_ms);
  put_troubles(out, troubles, wish.now_ms);
  put_cards(out, history);
  put_volumes(out, status, history, wish.all_volumes);
  put_caches(out, status);
  put_pools(out, status);
  put_hosts(out, status);
  put_listeners(out, status);
  put(out, R"(<footer>Memory {} of {} · this page only looks; forebayctl changes</footer>)",
      size_of(status.memory_used_bytes), size_of(status.memory_limit_bytes));
  return out;
}

std::string StatusPage::whole(const Status& status, const History& history, const PageWish& wish) {
  std::string out =
      R"(<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">)"
      R"(<link rel="icon" href="data:,"><noscript><meta http-equiv="refresh" content="10"></noscript>)";
  put(out,
      R"(<title>{} {}</title><style>{}</style></head><body><p id="stale" role="alert" hidden></p><main>)",
      status.healthy() ? "●" : "▲", escaped(status.node), page_style);
  out += content(status, history, wish);
  put(out, "</main><script>{}</script></body></html>\n", page_script);
  return out;
}

std::string StatusPage::content_security_policy() {
  static const std::string policy = fmt::format(
      "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src data:; "
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      digest_of(page_style), digest_of(page_script));
  return policy;
}

std::vector<Route> StatusPage::routes(std::function<Status()> status, const History& history,
                                      Role role) {
  const auto ask = std::make_shared<const std::function<Status()>>(std::move(status));
  const auto wish_of = [](const Request& request) {
    const auto found = request.query.find("volumes");
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return PageWish{.all_volumes = found != request.query.end() && found->second == "all",
                    .now_ms = static_cast<std::uint64_t>(
                        std::chrono::duration_cast<std::chrono::milliseconds>(now).count())};
  };
  std::vector<Route> routes;
  routes.push_back({.method = Method::get,
                    .pattern = "/",
                    .role = role,
                    .handle = [ask, wish_of, &history](const Request& request, const Reply& reply) {
                      reply->answer(page_answer(whole((*ask)(), history, wish_of(request))));
                      return true;
                    }});
  routes.push_back({.method = Method::get,
                    .pattern = "/page",
                    .role = role,
                    .handle = [ask, wish_of, &history](const Request& request, const Reply& reply) {
                      reply->answer(page_answer(content((*ask)(), history, wish_of(request))));
                      return true;
                    }});
  return routes;
}

}  // namespace target::control
