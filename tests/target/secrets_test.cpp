// Secrets come from files exactly as they are, and only from files that others cannot read.
#include "target/secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "config/parse.h"
#include "tests/engine/test_directory.h"

namespace target {
namespace {

using namespace std::string_literals;
using config::SecretRef;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SecretsTest : public testing::Test {
 protected:
  std::string file(const std::string& name, std::string_view bytes, mode_t mode = 0600) {
    const std::string path = directory_.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  static std::string read(const std::string& path) {
    const auto secret = read_secret({SecretRef::Source::file, path});
    return secret ? secret.value() : "refused: " + secret.error().text;
  }
  [[nodiscard]] const std::string& directory() const { return directory_.path(); }

 private:
  engine::TestDirectory directory_{"secrets"};
};

TEST_F(SecretsTest, EveryByteCountsButOneLastNewline) {
  for (const std::string& secret :
       {"opensesame123"s, "# no comment "s, "  blanks around  "s, "two\nlines in it"s,
        "carriage return\r"s, "a newline more\n"s, "zero\0in the middle"s,
        "\xff\xfe not UTF-8 \x01"s, std::string(12, 'x'), std::string(256, 'x')}) {
    EXPECT_EQ(read(file("s", secret + "\n")), secret);
    if (!secret.ends_with('\n')) {
      EXPECT_EQ(read(file("t", secret)), secret);
    }
  }
}

TEST_F(SecretsTest, LengthsThatProveNothingAreRefused) {
  EXPECT_EQ(read(file("a", "")),
            "refused: " + directory() + "/a has 0 bytes; a secret has 12 to 256.");
  EXPECT_EQ(read(file("b", "eleven byte\n")),
            "refused: " + directory() + "/b has 11 bytes; a secret has 12 to 256.");
  const std::string much = " has more than 256 bytes; a secret has 12 to 256.";
  EXPECT_EQ(read(file("c", std::string(257, 'x'))), "refused: " + directory() + "/c" + much);
  EXPECT_EQ(read(file("d", std::string(257, 'x') + "\n")), "refused: " + directory() + "/d" + much);
  EXPECT_EQ(read(file("e", std::string(1 << 20, 'x'))), "refused: " + directory() + "/e" + much);
}

TEST_F(SecretsTest, OnlyOwnerAndGroupMayRead) {
  EXPECT_EQ(read(file("a", "opensesame123", 0400)), "opensesame123");
  EXPECT_EQ(read(file("b", "opensesame123", 0440)), "opensesame123");
  EXPECT_EQ(read(file("c", "opensesame123", 0640)), "opensesame123");
  for (const auto& [mode, shown] : {std::pair(0644, "0644"), std::pair(0660, "0660"),
                                    std::pair(0602, "0602"), std::pair(0604, "0604")}) {
    const std::string path = file("d", "opensesame123", static_cast<mode_t>(mode));
    EXPECT_EQ(read(path), "refused: " + path + " has mode " + shown +
                              ": others may read or change it; chmod 0600 it.");
  }
}

TEST_F(SecretsTest, WhatIsNoPlainFileIsNotWaitedFor) {
  EXPECT_EQ(read(directory()), "refused: " + directory() + " is no plain file; name one.");
  const std::string fifo = directory() + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(read(fifo), "refused: " + fifo + " is no plain file; name one.");
  EXPECT_THAT(read("/dev/zero"), HasSubstr("is no plain file"));
  EXPECT_THAT(read(directory() + "/none"), HasSubstr("/none cannot be read: No such file"));
}

TEST_F(SecretsTest, CredentialsLieWhereTheServiceManagerPutsThem) {
  file("host1", "opensesame123\n", 0400);
  ::unsetenv("CREDENTIALS_DIRECTORY");
  const SecretRef ref{SecretRef::Source::credential, "host1"};
  EXPECT_THAT(read_secret(ref).error().text,
              HasSubstr("no $CREDENTIALS_DIRECTORY; write LoadCredential=host1:/PATH"));
  ::setenv("CREDENTIALS_DIRECTORY", directory().c_str(), 1);
  EXPECT_EQ(read_secret(ref).value(), "opensesame123");
  EXPECT_THAT(read_secret({SecretRef::Source::credential, "host2"}).error().text,
              HasSubstr("/host2 cannot be read"));
  ::unsetenv("CREDENTIALS_DIRECTORY");
}

TEST_F(SecretsTest, EachPlaceInTheFileHasItsMessage) {
  const std::string good = file("good", "opensesame123");
  const std::string same = file("same", "opensesame123\n");
  const std::string open = file("open", "opensesame123", 0644);
  const auto parsed = config::parse_text(
      "apiVersion: forebay/v1\nnode: n1\n"
      "listeners: {l: {protocol: iscsi, address: 10.0.0.1}}\n"
      "hosts:\n"
      "  a: {iqn: iqn.2026-11.com.example:a, chap: {user: a, secret: 'file:" +
          good + "', mutual_user: t, mutual_secret: 'file:" + same +
          "'}}\n"
          "  b: {iqn: iqn.2026-11.com.example:b, chap: {user: b, secret: 'file:" +
          open +
          "'}}\n"
          "targets:\n"
          "  iqn.2026-11.com.example:t:\n"
          "    {listeners: [l], allow_any_host: true, chap: {user: c, secret: 'file:" +
          good +
          "'}}\n"
          "iscsi: {discovery_chap: {user: d, secret: 'file:/nowhere'}}\n",
      "f.yaml");
  ASSERT_TRUE(parsed.config.has_value());
  const Secrets secrets(*parsed.config, config::Severity::warning);
  std::vector<std::string> lines;
  for (const auto& message : secrets.messages()) lines.push_back(config::format(message));
  EXPECT_THAT(
      lines,
      ElementsAre(testing::MatchesRegex("f.yaml:5:.*: warning: hosts.a.chap.mutual_secret: is the "
                                        "secret of the other direction.*"),
                  testing::MatchesRegex(
                      "f.yaml:6:.*: warning: hosts.b.chap.secret: .*/open has mode 0644.*"),
                  "f.yaml:10:43: warning: iscsi.discovery_chap.secret: /nowhere cannot be read: No "
                  "such file or directory; check the path and its permissions."));
  EXPECT_EQ(secrets.of({SecretRef::Source::file, good}), "opensesame123");
  for (const std::string& line : lines) EXPECT_THAT(line, testing::Not(HasSubstr("opensesame")));
}

TEST_F(SecretsTest, WithoutChapNothingIsRead) {
  const auto parsed = config::parse_text("apiVersion: forebay/v1\nnode: n1\n", "f.yaml");
  EXPECT_THAT(Secrets(*parsed.config, config::Severity::error).messages(), IsEmpty());
}

}  // namespace
}  // namespace target
