#include "appliance/cli/change_report.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "appliance/cli/json_view.h"

namespace cli {
namespace {

std::string_view without_end(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

}  // namespace

int ChangeReport::done(std::string_view text, boost::json::value result) const {
  if (for_scripts()) {
    print_object(true, text, std::move(result));
  } else {
    fmt::print("{}", text);
  }
  return 0;
}

int ChangeReport::failed(std::string_view why, boost::json::value result, int code) const {
  if (for_scripts()) {
    print_object(false, why, std::move(result));
  } else {
    fmt::print(stderr, "forebayctl: {}\n", without_end(why));
  }
  return code;
}

int ChangeReport::given_up(std::string_view text) const {
  if (for_scripts()) {
    print_object(false, text, nullptr);
  } else {
    fmt::print("{}", text);
  }
  return 1;
}

int ChangeReport::planned(const boost::json::value& plan, bool is_done, int code) const {
  if (!for_scripts()) {
    print(text(plan, "screen"));
    return code;
  }
  std::string message = text(plan, "result");
  if (const auto* error = plan.as_object().if_contains("error")) {
    message = std::string_view(error->as_string());
  } else if (flag(plan, "applied")) {
    message = "applied";
  } else if (const auto& refusals = list(plan, "refusals"); !refusals.empty()) {
    message = std::string_view(refusals.front().as_string());
  }
  print_object(is_done, message, plan);
  return code;
}

void ChangeReport::print_object(bool is_done, std::string_view message,
                                boost::json::value result) const {
  const auto view = [](std::string_view text) {
    return boost::json::string_view(text.data(), text.size());
  };
  print(boost::json::object{{"command", command_},
                            {"name", name_},
                            {"done", is_done},
                            {"message", view(without_end(message))},
                            {"result", std::move(result)}},
        format_);
}

}  // namespace cli
