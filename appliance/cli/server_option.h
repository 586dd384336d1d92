// --server, --token-file and --ca: a daemon on another machine, for every command.
#pragma once

#include <memory>
#include <string>

namespace CLI {
class App;
}

namespace cli {

class ServerOptions {
 public:
  // Before `app` gets its commands; they take these options too.
  explicit ServerOptions(CLI::App& app);

  // After the command line was read. Empty: as asked for; else what is wrong.
  [[nodiscard]] std::string use() const;

 private:
  // CLI11 writes there.
  struct Texts {
    std::string url;
    std::string token_file;
    std::string ca;
  };
  std::unique_ptr<Texts> texts_ = std::make_unique<Texts>();
};

}  // namespace cli
