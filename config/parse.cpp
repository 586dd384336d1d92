// The only file that knows yaml-cpp. Its event stream is used, not its Node: that one keeps the
// second of two equal keys beside the first without a word, and forgets positions and quotes.
#include "config/parse.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <span>
#include <sstream>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "config/build.h"
#include "config/node.h"
#include "config/report.h"
#include "config/text_check.h"
#include "config/validate.h"
#include "config/values.h"
#include "config/yaml_traps.h"

namespace config {
namespace {

using std::string_view;

constexpr std::size_t max_depth = 16;  // the format needs seven
constexpr std::size_t max_nodes = 200'000;

// Ends the event stream; what is wrong is reported already.
struct Stop {};

Position position(const YAML::Mark& mark) {
  return {static_cast<std::uint32_t>(std::max(mark.line, 0)) + 1,
          static_cast<std::uint32_t>(std::max(mark.column, 0)) + 1};
}

class TreeBuilder final : public YAML::EventHandler {
 public:
  // The text is the one that the events come from; it outlives the builder.
  TreeBuilder(std::string_view text, Report& report) : report_(report) {
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      lines_.push_back(text.substr(0, end));
      text.remove_prefix(end == string_view::npos ? text.size() : end + 1);
    }
  }

  Node& root() { return root_; }
  [[nodiscard]] std::string path() const {
    std::string path;
    for (const Frame& frame : frames_) {
      if (frame.node->kind == Node::Kind::sequence) {
        if (!frame.node->items.empty()) path += fmt::format("[{}]", frame.node->items.size() - 1);
      } else if (!frame.node->entries.empty()) {
        path = join_path(path, frame.node->entries.back().key);
      }
    }
    return path;
  }
  // Of the innermost list or map that has not ended.
  [[nodiscard]] Position open_at() const {
    return frames_.empty() ? Position{1, 1} : frames_.back().node->at;
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ == 0) return;
    report_.error(position(mark), "", "a second document begins here; keep one in the file.");
    throw Stop{};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (awaits_key()) {
      refuse_null_word(position(mark));
      refuse_key(mark);
    }
    begin(mark, "", anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    if (awaits_key()) refuse_key(mark);
    Node& node = begin(mark, "", 0);
    refuse_anchor(node);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool plain = tag == "?";
    if (awaits_key()) {
      add_key(mark, tag, anchor, value);
      return;
    }
    Node& node = begin(mark, plain || tag == "!" ? "" : tag, anchor);
    if (node.kind == Node::Kind::reported) return;
    if (!plain && !check_quotes(node.at)) {
      node.kind = Node::Kind::reported;
      return;
    }
    node.kind = Node::Kind::scalar;
    node.text = value;
    node.plain = plain;
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, Node::Kind::sequence);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, Node::Kind::map);
  }
  void OnMapEnd() override {
    Frame& frame = frames_.back();
    std::vector<Node::Entry>& entries = frame.node->entries;
    for (auto index = frame.dropped.rbegin(); index != frame.dropped.rend(); ++index) {
      entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(*index));
    }
    close();
  }

 private:
  // A list or map under construction. Its node stays where it is: the vector that holds it grows
  // only after it has ended.
  struct Frame {
    Node* node;
    bool is_refused;       // has a message already (a tag, an anchor): nobody looks inside
    bool has_key = false;  // of a map: the next event is the value
    std::unordered_map<std::string, std::uint32_t> line_of_key{};
    std::vector<std::size_t> dropped{};  // entries that are reported and not kept
  };

  [[nodiscard]] bool awaits_key() const {
    return !frames_.empty() && frames_.back().node->kind == Node::Kind::map &&
           !frames_.back().has_key;
  }

  [[noreturn]] void refuse_key(const YAML::Mark& mark) {
    report_.error(position(mark), "", "a key is a single word; write \"KEY: VALUE\".");
    throw Stop{};
  }

  // Nothing if something else than a null word stands there (an empty key).
  void refuse_null_word(Position at) {
    const string_view line = at.line <= lines_.size() ? lines_[at.line - 1] : string_view{};
    const string_view rest = line.substr(std::min<std::size_t>(at.column - 1, line.size()));
    const string_view word = rest.substr(0, rest.find_first_of(" \t:,}\r"));
    if (!is_null_word(word)) return;
    report_.error(at, "",
                  fmt::format("{} means no value in YAML; write \"{}\" in quotes.", word, word));
    throw Stop{};
  }

  // yaml-cpp lets the end of the file close a quote. A quoted value also swallows what follows if
  // its end is forgotten, so it must end on its line: nothing here is that long.
  bool check_quotes(Position at) {
    const string_view line = at.line <= lines_.size() ? lines_[at.line - 1] : string_view{};
    const string_view rest = line.substr(std::min<std::size_t>(at.column - 1, line.size()));
    const char quote = rest.empty() ? '\0' : rest[0];
    if (quote != '"' && quote != '\'') {
      report_.error(
          at, path(),
          "is a text block (| or >) or has a tag (!); write the value alone, on one line.");
      return false;
    }
    for (std::size_t i = 1; i < rest.size(); ++i) {
      if (rest[i] == '\\' && quote == '"') {
        ++i;
      } else if (rest[i] == quote) {
        return true;  // of '' inside '...' too: what follows is then on this line as well
      }
    }
    report_.error(at, path(), "the quote is not closed on its line; close it.");
    throw Stop{};
  }

  void refuse_anchor(Node& node) {
    report_.error(node.at, path(),
                  "anchors (&), aliases (*) and merge keys (<<) are not read; write the "
                  "values out, and a value that begins with * or & in quotes.");
    node.kind = Node::Kind::reported;
  }

  void count_node(Position at) {
    if (++nodes_ <= max_nodes) return;
    report_.error(at, "",
                  fmt::format("more than {} values; no configuration needs that many.", max_nodes));
    throw Stop{};
  }

  void add_key(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
               const std::string& key) {
    Frame& frame = frames_.back();
    Node::Entry entry;
    entry.key = key;
    entry.at = position(mark);
    entry.plain = tag == "?";
    count_node(entry.at);
    frame.has_key = true;
    frame.node->entries.push_back(std::move(entry));
    Node::Entry& added = frame.node->entries.back();
    const std::size_t index = frame.node->entries.size() - 1;
    if (key == "<<" && added.plain) {
      Node at_key;
      at_key.at = added.at;
      refuse_anchor(at_key);
      frame.dropped.push_back(index);
      return;
    }
    if (anchor != 0 || (tag != "?" && tag != "!")) {
      report_.error(added.at, path(), "a key has no anchor (&) and no tag (!); remove it.");
    } else if (!added.plain) {
      (void)check_quotes(added.at);
    }
    const auto [first, fresh] = frame.line_of_key.emplace(key, added.at.line);
    if (fresh) return;
    report_.error(added.at, path(),
                  fmt::format("defined twice (first at line {}).", first->second));
    frame.dropped.push_back(index);
  }

  // The place of the next value in the tree.
  Node& begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    Node* node = &root_;
    if (!frames_.empty()) {
      Frame& frame = frames_.back();
      if (frame.node->kind == Node::Kind::sequence) {
        node = &frame.node->items.emplace_back();
      } else {
        node = &frame.node->entries.back().value;
        frame.has_key = false;
      }
    }
    node->at = position(mark);
    count_node(node->at);
    if (anchor != 0) {
      refuse_anchor(*node);
    } else if (!tag.empty()) {
      report_.error(node->at, path(),
                    fmt::format("tag {} is not read; remove it.", in_quotes(tag)));
      node->kind = Node::Kind::reported;
    }
    return *node;
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            Node::Kind kind) {
    if (awaits_key()) refuse_key(mark);
    Node& node = begin(mark, tag == "?" || tag == "!" ? "" : tag, anchor);
    if (frames_.size() == max_depth) {
      report_.error(
          node.at, path(),
          fmt::format("is nested more than {} deep; check brackets and indentation.", max_depth));
      throw Stop{};
    }
    const bool is_refused = node.kind == Node::Kind::reported;
    node.kind = kind;
    frames_.push_back({.node = &node, .is_refused = is_refused});
  }

  void close() {
    if (frames_.back().is_refused) frames_.back().node->kind = Node::Kind::reported;
    frames_.pop_back();
  }

  Report& report_;
  std::vector<string_view> lines_;
  Node root_;
  std::vector<Frame> frames_;
  std::size_t documents_ = 0;
  std::size_t nodes_ = 0;
};

// What yaml-cpp says, in words that name the usual cause.
struct Translation {
  string_view said;
  string_view text;
  bool in_value =
      false;  // the path so far is that of the value; otherwise it may be of the line above
};

std::span<const Translation> translations() {
  using namespace YAML::ErrorMsg;
  static const std::array<Translation, 14> table{{
      {ALIAS_NOT_FOUND, "* alone is not a value; write \"*\" in quotes.", true},
      {UNKNOWN_ANCHOR, "aliases (*) are not read; write a value that begins with * in quotes.",
       true},
      {ANCHOR_NOT_FOUND, "& alone is not a value; write it in quotes.", true},
      {UNKNOWN_TOKEN, "unexpected character; write a value that begins with @, % or ` in quotes.",
       true},
      {MAP_VALUE,
       "unexpected \":\"; write a value that contains it in quotes, and check the indentation."},
      {END_OF_MAP,
       "does not fit the lines above; check the indentation, and that each key ends in \": \"."},
      {END_OF_SEQ,
       "does not fit the list above; check the indentation, and that each item begins with \"- "
       "\"."},
      {END_OF_MAP_FLOW,
       "a map in braces is not closed, or lacks a comma or quotes; write {a: 1, b: \"::\"}."},
      {END_OF_SEQ_FLOW,
       "a list in brackets is not closed, or lacks a comma or quotes; write [a, b]."},
      {EOF_IN_SCALAR, "the quote is not closed before the file ends; close it."},
      {DOC_IN_SCALAR, "the quote is not closed before the document ends; close it."},
      {BLOCK_ENTRY, "unexpected \"- \"; check the indentation."},
      {MAP_KEY, "unexpected \"? \"; check the indentation."},
      {FLOW_END, "unexpected closing bracket or brace; remove it."},
  }};
  return table;
}

void report_syntax(Report& report, const TreeBuilder& tree, Position at, string_view said) {
  const auto found = std::ranges::find(translations(), said, &Translation::said);
  const bool known = found != translations().end();
  report.error(at, known && found->in_value ? tree.path() : "",
               known ? std::string(found->text)
                     : fmt::format("not YAML ({}); check quotes, brackets and indentation.",
                                   printable(said)));
}

// Fills `tree` from the text; false if it ended early, with the reason reported.
bool read_events(string_view text, TreeBuilder& tree, Report& report) {
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(tree)) {
    }
    return true;
  } catch (const Stop&) {
  } catch (const YAML::Exception& problem) {
    // At the end of the text yaml-cpp has no position to name; where it was opened is better
    // anyway.
    report_syntax(report, tree, std::max(position(problem.mark), tree.open_at()), problem.msg);
  } catch (const std::exception& problem) {
    report_syntax(report, tree, tree.open_at(), problem.what());
  }
  return false;
}

ParseOutcome failed(Report& report, std::string text) {
  report.error({}, "", std::move(text));
  return {std::nullopt, report.take()};
}

std::string too_large() {
  return fmt::format("is larger than {}; no configuration needs that.",
                     size_text({max_file_bytes}));
}

}  // namespace

ParseOutcome parse_text(string_view text, std::string file) {
  Report report(file);
  if (text.size() > max_file_bytes) return failed(report, too_large());
  if (!check_text(text, report)) return {std::nullopt, report.take()};
  TreeBuilder tree(text, report);
  if (!read_events(text, tree, report)) return {std::nullopt, report.take()};
  const Node& root = tree.root();
  if (root.kind == Node::Kind::null) {
    return failed(report, "the file is empty; begin with apiVersion: forebay/v1.");
  }
  if (root.kind != Node::Kind::map) {
    if (root.kind != Node::Kind::reported) {
      report.error(root.at, "", "the file is not a map; begin with apiVersion: forebay/v1.");
    }
    return {std::nullopt, report.take()};
  }
  Draft draft = build(root, report);
  validate(draft, report);
  if (report.has_errors()) return {std::nullopt, report.take()};
  draft.config.file = std::move(file);
  return {std::move(draft.config), report.take()};
}

ParseOutcome parse_file(const std::string& path) {
  Report report(path);
  const auto unreadable = [&](int error) {
    return failed(report, fmt::format("cannot be read: {}; check the path and its permissions.",
                                      std::generic_category().message(error)));
  };
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return unreadable(errno);
  std::string text;
  std::array<char, 16384> piece;
  int error = 0;
  while (text.size() <= max_file_bytes) {
    const ssize_t got = ::read(descriptor, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error = errno;
    if (got <= 0) break;
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
  ::close(descriptor);
  if (error != 0) return unreadable(error);
  return parse_text(text, path);
}

}  // namespace config
