#include "appliance/cli/task_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "appliance/cli/control_client.h"
#include "appliance/cli/format_option.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/output.h"
#include "appliance/cli/progress.h"
#include "appliance/cli/request.h"
#include "appliance/cli/status_screen.h"
#include "appliance/cli/table.h"
#include "appliance/cli/time_text.h"
#include "config/values.h"

namespace cli {

namespace json = boost::json;

struct TaskCommands::Commands {
  std::string socket = default_socket;
  Format format = Format::table;
  std::string id;
  std::string volume;
  std::string rate;
  bool all_volumes = false;
  bool no_wait = false;
  CLI::App* tasks = nullptr;
  CLI::App* show = nullptr;
  CLI::App* cancel = nullptr;
  CLI::App* wait = nullptr;
  CLI::App* flush = nullptr;
  CLI::App* scrub = nullptr;
  CLI::App* lost = nullptr;
};

namespace {

int complain(const std::string& sentence) {
  fmt::print(stderr, "forebayctl: {}\n", sentence);
  return 1;
}

bool has_ended(const json::value& task) {
  const std::string state = text(task, "state");
  return state != "queued" && state != "running";
}

std::string title_of(const json::value& task) {
  return fmt::format("{} of {}", text(task, "kind"), text(task, "object"));
}

std::string since(std::uint64_t ms) { return ms == 0 ? "-" : time_text(ms); }

// What scripts see of how it ended.
int code_of(const json::value& task) {
  if (text(task, "state") != "done") return 1;
  return number(task, "findings_total") == 0 ? 0 : 2;
}

void print_end(const json::value& task) {
  fmt::print("{}: {}: {}\n", title_of(task), text(task, "state"), text(task, "result"));
  for (const auto& finding : list(task, "findings")) {
    fmt::print("  {}\n", text(finding, "text"));
  }
  const std::uint64_t more = number(task, "findings_total") - list(task, "findings").size();
  if (more > 0) fmt::print("  and {} more\n", more);
}

enum class OnInterrupt { cancels, ends_the_waiting };

// Until it has ended; nullopt: stderr has said why not.
std::optional<json::value> await_end(const std::string& socket, const std::string& id,
                                     OnInterrupt on_interrupt) {
  const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
  bool is_cancelled = false;
  for (;;) {
    const auto task = get(socket, "/v1/tasks/" + id);
    if (!task) {
      if (is_terminal) fmt::print("\n");
      complain(task.error());
      return std::nullopt;
    }
    if (is_terminal) fmt::print("\r\033[K");
    if (has_ended(task.value())) return task.value();
    if (is_terminal) {
      fmt::print("{}: {}", title_of(task.value()), task_progress(task.value()));
      std::fflush(stdout);
    }
    if (is_interrupted() && !is_cancelled) {
      if (is_terminal) fmt::print("\n");
      if (on_interrupt == OnInterrupt::ends_the_waiting) {
        fmt::print("task {} goes on.\n", id);
        return std::nullopt;
      }
      is_cancelled = true;
      if (const auto done = post(socket, "/v1/tasks/" + id + "/cancel", json::object{}); !done) {
        complain(done.error());
        return std::nullopt;
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

int wait_for(const std::string& socket, const std::string& id, Format format,
             OnInterrupt on_interrupt) {
  const auto task = await_end(socket, id, on_interrupt);
  if (!task) return 1;
  if (format == Format::table) {
    print_end(*task);
  } else {
    print(*task, format);
  }
  return code_of(*task);
}

// Of those that the kind of work is for; nullopt: no answer.
std::optional<std::vector<std::string>> all_volumes(const std::string& socket, bool with_cache) {
  const auto status = get(socket, "/v1/status");
  if (!status) {
    complain(status.error());
    return std::nullopt;
  }
  std::vector<std::string> names;
  for (const auto& volume : list(status.value(), "volumes")) {
    if (!with_cache || !text(volume, "cache").empty()) names.push_back(text(volume, "name"));
  }
  return names;
}

}  // namespace

std::string task_progress(const json::value& task) {
  if (text(task, "state") == "queued") return "queued";
  constexpr std::uint64_t width = 20;
  const std::uint64_t total = number(task, "total_bytes");
  const std::uint64_t done = number(task, "done_bytes");
  const std::uint64_t percent = total == 0 ? 0 : done * 100 / total;
  const std::uint64_t marks = percent * width / 100;
  std::string out =
      fmt::format("[{}{}] {:3}%  {} of {}", std::string(marks, '#'),
                  std::string(width - marks, '-'), percent, size_text(done), size_text(total));
  if (const std::uint64_t rate = number(task, "bytes_per_second"); rate > 0) {
    out += fmt::format(", {}/s", size_text(rate));
  }
  const auto seconds = member(task, "seconds_left").to_number<std::int64_t>();
  if (seconds >= 0) {
    out += fmt::format(", about {} left", duration_text(static_cast<std::uint64_t>(seconds)));
  }
  return out;
}

std::string task_list(const json::value& tasks) {
  Table table({"TASK", "KIND", "OF", "STATE", "PROGRESS", "STARTED BY", "SINCE", "RESULT"});
  for (const auto& task : list(tasks, "tasks")) {
    table.add({text(task, "id"), text(task, "kind"), text(task, "object"), text(task, "state"),
               has_ended(task) ? "-" : task_progress(task), text(task, "started_by"),
               since(number(task, "created_ms")), or_dash(text(task, "result"))});
  }
  if (table.empty()) return {};
  std::string out = table.text();
  out.erase(0, out.find_first_not_of('\n'));
  return out;
}

std::string task_text(const json::value& task) {
  std::string out =
      fmt::format("task {}: {}, {}\n", text(task, "id"), title_of(task), text(task, "state"));
  out += fmt::format("  started by  {}\n", text(task, "started_by"));
  out += fmt::format("  asked for   {}\n", since(number(task, "created_ms")));
  out += fmt::format("  began       {}\n", since(number(task, "started_ms")));
  if (has_ended(task)) {
    out += fmt::format("  ended       {}\n", since(number(task, "ended_ms")));
    out += fmt::format("  result      {}\n", text(task, "result"));
  } else {
    out += fmt::format("  progress    {}\n", task_progress(task));
  }
  for (const auto& finding : list(task, "findings")) {
    out += fmt::format("  ! {}\n", text(finding, "text"));
  }
  return out;
}

namespace {

std::string table_of_blocks(const json::array& ranges, std::uint64_t block_bytes) {
  const std::uint64_t block = std::max<std::uint64_t>(block_bytes, 1);
  Table table({"FIRST BLOCK", "BLOCKS", "AT", "LENGTH"});
  for (const auto& range : ranges) {
    const std::uint64_t offset = number(range, "offset_bytes");
    const std::uint64_t length = number(range, "length_bytes");
    const std::uint64_t first = offset / block;
    const std::uint64_t end = (offset + length + block - 1) / block;
    table.add({std::to_string(first), std::to_string(end - first), std::to_string(offset),
               size_text(length)});
  }
  return table.text();
}

// Found by a scrub, or by write-back, and not in the volume's own list yet.
const json::array& found_lost(const json::value& volume) {
  return list(member(volume, "scrub"), "lost");
}

}  // namespace

std::string lost_text(const json::value& volume) {
  const std::string name = text(volume, "name");
  const std::uint64_t bytes = number(volume, "lost_bytes");
  const std::uint64_t block = number(volume, "block_size");
  const json::array& found = found_lost(volume);
  if (bytes == 0 && found.empty()) return fmt::format("volume {}: nothing is lost.\n", name);
  std::string out;
  if (bytes != 0) {
    out += fmt::format("volume {}: {} are lost; reads of these blocks fail:\n", name,
                       size_text(bytes)) +
           table_of_blocks(list(volume, "lost_ranges"), block) + "\n";
  }
  if (!found.empty()) {
    out += fmt::format(
               "volume {}: a scrub, or write-back, has found these blocks bad in the cache, which "
               "alone has them; reads of them fail unless they were written since:\n",
               name) +
           table_of_blocks(found, block) +
           fmt::format("They keep the rest from being written back: forebayctl give-up-lost {}\n\n",
                       name);
  }
  out += fmt::format(
      "{} read{} failed there since the daemon started. Restore the blocks from a backup: "
      "whatever a host writes there is not lost any more.\n",
      number(volume, "lost_reads"), number(volume, "lost_reads") == 1 ? " has" : "s have");
  return out;
}

namespace {

// The task's number; nullopt: stderr has said why not.
std::optional<std::string> begin_task(const std::string& socket, const json::object& wish) {
  const auto task = post(socket, "/v1/tasks", wish);
  if (!task) {
    complain(task.error());
    return std::nullopt;
  }
  return text(task.value(), "id");
}

// One after the other is waited for; whatever is worst is the exit code.
int work_on(const std::string& socket, Format format, const std::vector<std::string>& volumes,
            json::object wish, bool no_wait) {
  note_interrupt();
  std::vector<std::string> ids;
  int code = 0;
  for (const std::string& volume : volumes) {
    wish["object"] = volume;
    const auto id = begin_task(socket, wish);
    if (id) {
      ids.push_back(*id);
    } else {
      code = 1;
    }
  }
  for (const std::string& id : ids) {
    if (no_wait) {
      fmt::print("task {} has begun; forebayctl tasks shows it.\n", id);
      continue;
    }
    const int ended = wait_for(socket, id, format, OnInterrupt::cancels);
    code = code == 1 || ended == 1 ? 1 : std::max(code, ended);
  }
  return code;
}

int show_lost(const std::string& socket, Format format, const std::string& name) {
  const auto status = get(socket, "/v1/status");
  if (!status) return complain(status.error());
  const json::value volume = find(status.value(), "volumes", name);
  if (volume.is_null()) return complain("there is no volume " + name);
  if (format == Format::table) {
    print(lost_text(volume));
  } else {
    print(json::object{{"volume", name},
                       {"lost_bytes", member(volume, "lost_bytes")},
                       {"lost_ranges", member(volume, "lost_ranges")},
                       {"lost_reads", member(volume, "lost_reads")}},
          format);
  }
  return number(volume, "lost_bytes") == 0 && found_lost(volume).empty() ? 0 : 2;
}

int show_tasks(const std::string& socket, Format format) {
  const auto tasks = get(socket, "/v1/tasks");
  if (!tasks) return complain(tasks.error());
  if (format != Format::table) {
    print(tasks.value(), format);
    return 0;
  }
  const std::string table = task_list(tasks.value());
  print(table.empty() ? "There is none.\n" : table);
  return 0;
}

int show_task(const std::string& socket, Format format, const std::string& id) {
  const auto task = get(socket, "/v1/tasks/" + id);
  if (!task) return complain(task.error());
  if (format == Format::table) {
    print(task_text(task.value()));
  } else {
    print(task.value(), format);
  }
  return 0;
}

int cancel_task(const std::string& socket, const std::string& id) {
  const auto done = post(socket, "/v1/tasks/" + id + "/cancel", json::object{});
  if (!done) return complain(done.error());
  fmt::print("task {} is being cancelled; forebayctl tasks show {} says when it has ended.\n", id,
             id);
  return 0;
}

}  // namespace

TaskCommands::TaskCommands(CLI::App& app) : commands_(std::make_unique<Commands>()) {
  Commands& c = *commands_;
  c.tasks = app.add_subcommand("tasks", "Long work of the daemon: under way, and lately ended");
  add_socket(*c.tasks, c.socket);
  add_format(*c.tasks, c.format);
  c.show = c.tasks->add_subcommand("show", "All there is to know of one, with what it has found");
  c.cancel = c.tasks->add_subcommand("cancel", "End it: what it has done stays done");
  c.wait =
      c.tasks->add_subcommand("wait", "Return when it has ended; Ctrl-C ends only the waiting");
  for (CLI::App* const command : {c.show, c.cancel, c.wait}) {
    command->add_option("id", c.id, "As forebayctl tasks lists it")->required();
    add_socket(*command, c.socket);
    if (command != c.cancel) add_format(*command, c.format);
  }
  c.flush = app.add_subcommand(
      "flush", "Write all that is only in the cache to the pool now; the mode stays as it is");
  c.scrub = app.add_subcommand(
      "scrub", "Look at every copy of a volume's blocks, in its cache and its pool");
  c.scrub->add_option("--rate", c.rate,
                      "At most so much a second: 50MiB ...; else scrub.rate of the configuration");
  for (CLI::App* const command : {c.flush, c.scrub}) {
    auto* const name = command->add_option("volume", c.volume, "As the configuration calls it");
    command->add_flag("--all", c.all_volumes, "Every volume")->excludes(name);
    command->add_flag("--no-wait", c.no_wait, "Return when it has begun");
    add_socket(*command, c.socket);
    add_format(*command, c.format);
  }
  c.lost =
      app.add_subcommand("lost", "Blocks of a volume that nobody has any more, and what to do");
  c.lost->add_option("volume", c.volume, "As the configuration calls it")->required();
  add_socket(*c.lost, c.socket);
  add_format(*c.lost, c.format);
}

TaskCommands::~TaskCommands() = default;

std::optional<int> TaskCommands::run() const {
  const Commands& c = *commands_;
  if (c.show->parsed()) return show_task(c.socket, c.format, c.id);
  if (c.cancel->parsed()) return cancel_task(c.socket, c.id);
  if (c.wait->parsed()) {
    note_interrupt();
    return wait_for(c.socket, c.id, c.format, OnInterrupt::ends_the_waiting);
  }
  if (c.tasks->parsed()) return show_tasks(c.socket, c.format);
  if (c.lost->parsed()) return show_lost(c.socket, c.format, c.volume);
  if (!c.flush->parsed() && !c.scrub->parsed()) return std::nullopt;
  if (c.volume.empty() && !c.all_volumes) return complain("name a volume, or --all");
  json::object wish{{"kind", c.flush->parsed() ? "flush" : "scrub"}};
  if (!c.rate.empty()) {
    const auto rate = config::parse_size(c.rate);
    if (!rate) return complain(rate.error().text);
    wish["bytes_per_second"] = rate.value().value;
  }
  const auto volumes = c.all_volumes ? all_volumes(c.socket, c.flush->parsed())
                                     : std::optional(std::vector<std::string>{c.volume});
  if (!volumes) return 1;
  return work_on(c.socket, c.format, *volumes, wish, c.no_wait);
}

}  // namespace cli
