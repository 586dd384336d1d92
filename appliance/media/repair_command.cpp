#include "appliance/media/repair_command.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <optional>

#include "appliance/media/cache_file.h"
#include "appliance/media/exit_code.h"
#include "engine/cache/cache_repair.h"

namespace media {
namespace {

namespace json = boost::json;
using engine::RepairPlan;
using engine::RepairStep;
using engine::Uuid;

std::optional<std::vector<Uuid>> parse_cuts(const std::vector<std::string>& texts) {
  std::vector<Uuid> cuts;
  for (const std::string& text : texts) {
    const auto uuid = Uuid::parse(text);
    if (!uuid) {
      complain("--cut " + text + ": not a UUID; forebay-media inspect shows those of the volumes");
      return std::nullopt;
    }
    cuts.push_back(*uuid);
  }
  return cuts;
}

int verdict(const engine::CacheSurvey& survey) {
  if (survey.any_damage()) return exit_damage;
  return survey.findings.empty() ? exit_good : exit_harmless;
}

json::object step_object(const RepairStep& step) {
  json::object object{{"kind", step.name()}, {"text", step.text}};
  if (step.kind == RepairStep::Kind::cut_log) {
    object["first_lost_sequence"] = step.cut.last + 1;
    object["lost_to_sequence_at_least"] = step.cut.known_to;
    object["lost_readable_ksets"] = step.cut.whole_ksets;
    object["lost_readable_bytes"] = step.cut.whole_bytes.value;
  }
  return object;
}

void print_json(const Uuid& cache, const RepairPlan& plan, bool done) {
  json::array steps;
  for (const RepairStep& step : plan.steps) steps.push_back(step_object(step));
  json::array remains;
  for (const std::string& text : plan.remains) remains.emplace_back(text);
  fmt::print("{}\n", json::serialize(json::object{{"uuid", cache.text()},
                                                  {"steps", std::move(steps)},
                                                  {"remains", std::move(remains)},
                                                  {"done", done}}));
}

void print_plan(const std::string& path, const Uuid& cache, const RepairPlan& plan) {
  fmt::print("cache {} on {}\n", cache.text(), path);
  if (plan.steps.empty()) fmt::print("There is nothing to repair.\n");
  int number = 0;
  for (const RepairStep& step : plan.steps) fmt::print("{}. {}\n", ++number, step.text);
  for (const std::string& text : plan.remains) fmt::print("! stays: {}\n", text);
}

std::string command_for(const std::string& path, const Uuid& cache, const RepairOptions& options) {
  std::string command = fmt::format("forebay-media repair {} --yes --uuid {}", path, cache.text());
  for (const std::string& cut : options.cut) command += " --cut " + cut;
  return command;
}

}  // namespace

int repair(const std::string& path, const RepairOptions& options) {
  const auto cuts = parse_cuts(options.cut);
  if (!cuts) return exit_failed;
  const auto region =
      open_region(path, options.yes ? engine::PmemAccess::write : engine::PmemAccess::read_only);
  if (!region) return exit_failed;
  const auto found = survey(path, *region, engine::SurveyDepth::entries);
  if (!found) return exit_failed;
  const Uuid cache = found->device->uuid();
  const auto plan = engine::plan_repair(*found, *cuts);
  if (!plan) {
    complain(path + ": " + plan.error().text);
    return exit_failed;
  }
  if (options.yes && Uuid::parse(options.uuid) != cache) {
    complain(fmt::format("{} carries cache {}; name it with --uuid to have it repaired", path,
                         cache.text()));
    return exit_failed;
  }
  const bool doing = options.yes && !plan.value().steps.empty();
  if (options.output == Output::json) {
    print_json(cache, plan.value(), doing);
  } else {
    print_plan(path, cache, plan.value());
    if (!plan.value().steps.empty() && !options.yes) {
      fmt::print("Nothing was changed. To do it: {}\n", command_for(path, cache, options));
    }
  }
  if (!doing) return verdict(*found);
  std::fflush(stdout);  // said before it is done
  const auto done = engine::repair_cache(*region, cache, *found, plan.value());
  if (!done) {
    complain(path + ": " + done.error().text + "; repair it again");
    return exit_failed;
  }
  const auto after = survey(path, *region, engine::SurveyDepth::entries);
  if (!after) return exit_failed;
  if (options.output == Output::text) {
    fmt::print("Done. {}\n", after->findings.empty()
                                 ? "Nothing is wrong with it now."
                                 : fmt::format("What is left: forebay-media check {}", path));
  }
  return verdict(*after);
}

}  // namespace media
