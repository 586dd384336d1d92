// A plan as people and programs read it: screen() and to_json().
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "target/applied_copy.h"
#include "target/override_routes.h"
#include "target/plan.h"
#include "target/utc_text.h"

namespace target {
namespace {

namespace json = boost::json;
using config::Part;

constexpr std::size_t effect_width = 55;

// At blanks, into lines of at most `width`; a longer word has a line of its own.
std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines{""};
  while (!text.empty()) {
    const std::size_t blank = text.find(' ');
    const std::string_view word = text.substr(0, blank);
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width) {
      lines.emplace_back();
    }
    if (!lines.back().empty()) lines.back() += ' ';
    lines.back() += word;
    text = blank == std::string_view::npos ? std::string_view{} : text.substr(blank + 1);
  }
  return lines;
}

// "namespace 3 of nqn....", "volume web01".
std::string noun_of(const config::Subject& subject) {
  switch (subject.part) {
    case Part::settings:
      return "settings";
    case Part::listener:
      return "listener " + subject.name;
    case Part::cache_device:
      return "cache device " + subject.name;
    case Part::pool:
      return "pool " + subject.name;
    case Part::volume:
      return "volume " + subject.name;
    case Part::host:
      return "host " + subject.name;
    case Part::subsystem:
      return "subsystem " + subject.name;
    case Part::space:
      return fmt::format("namespace {} of {}", subject.number, subject.name);
    case Part::target:
      return "target " + subject.name;
    case Part::lun:
      return fmt::format("LUN {} of {}", subject.number, subject.name);
  }
  return {};
}

char sign_of(const config::Change& change) {
  if (std::holds_alternative<config::Added>(change.what)) return '+';
  return std::holds_alternative<config::Removed>(change.what) ? '-' : '~';
}

void add_change(std::string& out, const PlannedChange& planned) {
  const std::string noun = noun_of(planned.change.subject);
  out += fmt::format("{} {}", sign_of(planned.change), noun);
  if (!planned.what.empty()) out += "   " + planned.what;
  out += '\n';
  const std::string indent(noun.size() + 5, ' ');
  for (const std::string& more : planned.more) out += indent + more + '\n';
}

void add_hosts(std::string& out, const std::vector<HostEffect>& hosts) {
  if (hosts.empty()) {
    out += "  No host is connected.\n\n";
    return;
  }
  std::size_t width = 4;
  for (const HostEffect& host : hosts) width = std::max(width, host.name.size());
  out += fmt::format("  {:<{}}  {:<{}}  {}\n", "HOST", width, "EFFECT", effect_width, "PAUSE");
  for (const HostEffect& host : hosts) {
    std::vector<std::string> lines;
    for (const std::string& sentence : host.sentences) {
      const auto some = wrapped(sentence, effect_width);
      lines.insert(lines.end(), some.begin(), some.end());
    }
    if (!host.lost_volumes.empty()) {
      const auto some = wrapped(fmt::format("It has these disks now, and loses them: {}.",
                                            fmt::join(host.lost_volumes, ", ")),
                                effect_width);
      lines.insert(lines.end(), some.begin(), some.end());
    }
    for (const std::string& use : host.uses) {
      const auto some = wrapped(use + ".", effect_width);
      lines.insert(lines.end(), some.begin(), some.end());
    }
    if (lines.empty()) lines.emplace_back("none (not concerned)");
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const bool is_last = i + 1 == lines.size();
      std::string line = fmt::format("  {:<{}}  ", i == 0 ? host.name : "", width);
      line += is_last ? fmt::format("{:<{}}  {}", lines[i], effect_width, host.pause) : lines[i];
      out += line + '\n';
    }
  }
  out += '\n';
}

std::string overrides_part(const Plan& plan) {
  std::string out;
  for (const Override& one : plan.overrides) {
    out += fmt::format(
        "override: {}; {}\n", sentence(one),
        plan.drops_overrides ? "goes with this" : "stays (apply --drop-overrides drops it)");
  }
  return out.empty() ? out : out + '\n';
}

std::string ending(const Plan& plan) {
  if (plan.outcome == Plan::Outcome::failed) {
    return fmt::format("FAILED: {}\nWhat ran before runs on. Exit 1.\n", plan.failure);
  }
  if (plan.outcome == Plan::Outcome::applied) {
    if (plan.confirm_ms == 0) return fmt::format("Applied: {} runs.\n", plan.file_hash);
    return fmt::format(
        "Applied: {} runs, and is taken back in {} s unless you confirm it: forebayctl confirm\n",
        plan.file_hash, plan.confirm_ms / 1000);
  }
  switch (plan.result()) {
    case PlanResult::nothing_to_do:
      return plan.overrides.empty() || plan.drops_overrides
                 ? "Nothing to do: what runs is what the file says. Exit 0.\n"
                 : "Nothing to do: what runs is what the file says, but for what is overridden. "
                   "Exit 0.\n";
    case PlanResult::refused:
      return "REFUSED: nothing was changed, and nothing can be before that is mended. Exit 1.\n";
    case PlanResult::changes:
      // A reload keeps overrides.
      return fmt::format(
          "Nothing was changed. Exit 2: changes pending. Apply: {0}{1}\n"
          "Or this and nothing else: forebayctl apply {2} --plan-hash {3}{1}\n",
          plan.drops_overrides ? "forebayctl apply " + plan.file : "systemctl reload forebay",
          plan.drops_overrides ? " --drop-overrides" : "", plan.file, plan.hash);
    case PlanResult::needs_confirmation:
      break;
  }
  std::string apply = "forebayctl apply " + plan.file;
  for (const std::string& host : plan.unconfirmed) apply += " --disconnect " + host;
  return fmt::format(
      "REFUSED unless confirmed: a host that is connected would lose its disk.\n"
      "Apply anyway: {}\n"
      "Exit 3: needs confirmation. (A plain reload of this file changes nothing and fails.)\n",
      apply);
}

json::array strings(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& one : texts) out.emplace_back(one);
  return out;
}

const char* text_of(Part part) {
  switch (part) {
    case Part::settings:
      return "settings";
    case Part::listener:
      return "listener";
    case Part::cache_device:
      return "cache-device";
    case Part::pool:
      return "pool";
    case Part::volume:
      return "volume";
    case Part::host:
      return "host";
    case Part::subsystem:
      return "subsystem";
    case Part::space:
      return "namespace";
    case Part::target:
      return "target";
    case Part::lun:
      return "lun";
  }
  return "settings";
}

json::object json_of(const PlannedChange& planned) {
  const char sign = sign_of(planned.change);
  json::object out{{"part", text_of(planned.change.subject.part)},
                   {"name", planned.change.subject.name},
                   {"action", sign == '+'   ? "added"
                              : sign == '-' ? "removed"
                                            : "changed"},
                   {"effect", text(planned.effect)},
                   {"path", planned.change.path},
                   {"line", planned.change.at.line},
                   {"what", planned.what}};
  const Part part = planned.change.subject.part;
  if (part == Part::space || part == Part::lun) out["number"] = planned.change.subject.number;
  json::array keys;
  if (const auto* changed = std::get_if<config::Changed>(&planned.change.what)) {
    for (const auto& key : changed->keys) {
      keys.push_back(json::object{{"key", key.key},
                                  {"before", key.before},
                                  {"after", key.after},
                                  {"line", key.at.line},
                                  {"column", key.at.column}});
    }
  }
  out["keys"] = std::move(keys);
  return out;
}

json::object json_of(const HostEffect& host) {
  json::array events;
  const auto add = [&](bool comes, const char* name) {
    if (comes) events.emplace_back(name);
  };
  add(host.events.namespace_attributes, "namespace-attribute-changed");
  add(host.events.discovery_log, "discovery-log-changed");
  add(host.events.ana, "ana-changed");
  add(host.events.luns_changed, "reported-luns-changed");
  add(host.events.capacity_changed, "capacity-changed");
  add(host.events.inquiry_changed, "inquiry-data-changed");
  add(host.events.mode_changed, "mode-parameters-changed");
  add(host.events.access_changed, "access-state-changed");
  add(host.events.connections_end, "connections-end");
  return {{"name", host.name},
          {"identity", host.identity},
          {"effect", text(host.effect)},
          {"concerned", !host.sentences.empty()},
          {"sentences", strings(host.sentences)},
          {"pause", host.pause},
          {"lost_volumes", strings(host.lost_volumes)},
          {"uses", strings(host.uses)},
          {"events", std::move(events)}};
}

json::array json_of(const std::vector<config::Message>& messages) {
  json::array out;
  for (const auto& message : messages) out.emplace_back(config::format(message));
  return out;
}

}  // namespace

std::string screen(const Plan& plan) {
  std::string out =
      fmt::format("running: {} (applied {} by {})     file: {}     {} change{}\n\n",
                  plan.running_hash, utc_text(plan.applied_ms), plan.applied_by, plan.file_hash,
                  plan.changes.size(), plan.changes.size() == 1 ? "" : "s");
  for (const PlannedChange& planned : plan.changes) add_change(out, planned);
  if (!plan.changes.empty()) out += '\n';
  if (!plan.changes.empty() || plan.drops_access()) add_hosts(out, plan.hosts);
  for (const auto& message : plan.warnings) out += config::format(message) + '\n';
  for (const auto& message : plan.refusals) out += config::format(message) + '\n';
  if (!plan.warnings.empty() || !plan.refusals.empty()) out += '\n';
  return out + overrides_part(plan) + ending(plan);
}

std::string plan_hash(const Plan& plan) {
  std::string all =
      fmt::format("{}\n{}\n{}\n", plan.file_hash, plan.running_hash, plan.drops_overrides);
  for (const PlannedChange& planned : plan.changes) {
    json::object change = json_of(planned);
    change.erase("what");
    all += json::serialize(change) + '\n';
  }
  for (const HostEffect& host : plan.hosts) {
    if (host.sentences.empty()) continue;
    json::object effect = json_of(host);
    effect.erase("uses");
    all += json::serialize(effect) + '\n';
  }
  for (const auto& message : plan.refusals) all += config::format(message) + '\n';
  for (const Override& one : plan.overrides) {
    if (one.kind != Override::Kind::drain) all += sentence(one) + '\n';
  }
  return content_hash(all);
}

std::string to_json(const Plan& plan) {
  json::array changes;
  for (const auto& planned : plan.changes) changes.push_back(json_of(planned));
  json::array hosts;
  for (const auto& host : plan.hosts) hosts.push_back(json_of(host));
  json::object out{{"result", text(plan.result())},
                   {"exit_code", static_cast<int>(plan.result())},
                   {"file", plan.file},
                   {"file_hash", plan.file_hash},
                   {"running_hash", plan.running_hash},
                   {"applied_ms", plan.applied_ms},
                   {"applied_by", plan.applied_by},
                   {"changes", std::move(changes)},
                   {"hosts", std::move(hosts)},
                   {"warnings", json_of(plan.warnings)},
                   {"refusals", json_of(plan.refusals)},
                   {"unconfirmed", strings(plan.unconfirmed)},
                   {"reason", plan.why_not()},
                   {"overrides", to_json(plan.overrides)},
                   {"drops_overrides", plan.drops_overrides},
                   {"plan_hash", plan.hash},
                   {"screen", screen(plan)},
                   {"applied", plan.outcome == Plan::Outcome::applied},
                   {"confirm_ms", plan.confirm_ms}};
  if (plan.outcome == Plan::Outcome::failed) out["error"] = plan.failure;
  return json::serialize(out);
}

}  // namespace target
