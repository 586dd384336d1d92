// Tokens: the file that keeps them, and the gate that knows callers by them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "target/control/token_gate.h"
#include "target/control/token_store.h"
#include "tests/sim/sim_clock.h"

namespace target::control {
namespace {

using testing::HasSubstr;
using testing::Not;

class TokenTest : public testing::Test {
 protected:
  TokenTest() {
    std::string pattern = testing::TempDir() + "fb-tokens-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
    path = folder + "/tokens";
  }
  ~TokenTest() override { std::filesystem::remove_all(folder); }

  [[nodiscard]] std::string kept() const {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void put(const std::string& text) const {
    std::ofstream(path) << text;
    ::chmod(path.c_str(), 0600);
  }

  std::string folder;
  std::string path;
};

TEST_F(TokenTest, OutlivesTheDaemonAndIsNotInTheFile) {
  TokenStore store(path);
  ASSERT_TRUE(store.load()) << "there is no file yet";
  const auto made = store.create("ci", Role::operator_, "root");
  ASSERT_TRUE(made);
  const std::string token = made.value().token;
  EXPECT_EQ(token.size(), TokenStore::prefix.size() + 64);
  EXPECT_THAT(kept(), Not(HasSubstr(token.substr(TokenStore::prefix.size()))));
  struct stat about {};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777U, 0600U);

  TokenStore again(path);
  ASSERT_TRUE(again.load());
  const auto found = again.find(token);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "ci");
  EXPECT_EQ(found->role, Role::operator_);
  EXPECT_EQ(found->created_by, "root");
  EXPECT_FALSE(again.find(token + "0"));
  EXPECT_FALSE(again.find(token.substr(0, token.size() - 1)));
  EXPECT_FALSE(again.find(""));
  ASSERT_TRUE(again.revoke("ci"));
  EXPECT_FALSE(again.find(token));
  TokenStore last(path);
  ASSERT_TRUE(last.load());
  EXPECT_FALSE(last.find(token));
}

TEST_F(TokenTest, NamesAreFitForALineAndAnAudit) {
  TokenStore store(path);
  ASSERT_TRUE(store.load());
  ASSERT_TRUE(store.create("a", Role::viewer, "root"));
  const std::vector<std::string> bad{"", "a b", "a\nb", "a/b", "é", std::string(64, 'n')};
  for (const std::string& name : bad) EXPECT_FALSE(store.create(name, Role::viewer, "root"));
  EXPECT_THAT(store.create("a", Role::admin, "root").error(), HasSubstr("already"));
  EXPECT_THAT(store.revoke("b").error(), HasSubstr("no token b"));
  EXPECT_EQ(store.all().size(), 1U);
  EXPECT_THAT(TokenStore("").create("a", Role::viewer, "root").error(),
              HasSubstr("STATE_DIRECTORY"));
}

TEST_F(TokenTest, AFileThatIsNotAsItWasWrittenLetsNobodyIn) {
  std::string token;
  {
    TokenStore store(path);
    ASSERT_TRUE(store.load());
    token = store.create("ci", Role::viewer, "root").value().token;
  }
  const std::string good = kept();
  std::string raised = good;
  raised.replace(raised.find("viewer"), 6, "admin ");
  std::vector<std::string> spoilt{raised, "", good + "x admin 00 0 root\n"};
  for (std::size_t bytes = 0; bytes < good.size(); bytes += 7) {
    spoilt.push_back(good.substr(0, bytes));
  }
  for (const std::string& text : spoilt) {
    put(text);
    TokenStore store(path);
    const auto loaded = store.load();
    ASSERT_FALSE(loaded) << text;
    EXPECT_THAT(loaded.error(), HasSubstr("no token is valid"));
    EXPECT_FALSE(store.find(token));
    EXPECT_FALSE(store.create("other", Role::admin, "root")) << "it would hide what has happened";
    EXPECT_EQ(kept(), text);
  }
  put(good);
  ::chmod(path.c_str(), 0640);
  EXPECT_FALSE(TokenStore(path).load());
  ::chmod(path.c_str(), 0600);
  EXPECT_TRUE(TokenStore(path).load());
}

TEST_F(TokenTest, AFileThatCannotBeWrittenChangesNothing) {
  TokenStore store(folder + "/none/tokens");
  ASSERT_TRUE(store.load());
  EXPECT_THAT(store.create("ci", Role::viewer, "root").error(), HasSubstr("nothing has changed"));
  EXPECT_TRUE(store.all().empty());
}

class TokenGateTest : public TokenTest {
 protected:
  TokenGateTest() {
    EXPECT_TRUE(tokens.load());
    token = tokens.create("ci", Role::viewer, "root").value().token;
  }

  // 0: let in.
  unsigned ask(const std::string& authorization, const std::string& from = "192.0.2.1",
               Method method = Method::get) {
    caller = {.uid = {}, .name = from + ":1234", .network = from};
    const auto refusal = gate.admit(method, authorization, caller);
    return refusal ? refusal->status : 0;
  }
  void guess(std::uint32_t times, const std::string& from = "192.0.2.1") {
    for (std::uint32_t i = 0; i < times; ++i) {
      EXPECT_EQ(ask("Bearer fbt-" + std::to_string(i), from), 401U) << i;
    }
  }

  TokenStore tokens{path};
  SimClock clock;
  std::vector<std::string> told;
  TokenGate gate{tokens, clock, [this](const std::string& subject, const std::string& sentence) {
                   told.push_back(subject + ": " + sentence);
                 }};
  std::string token;
  Caller caller;
};

TEST_F(TokenGateTest, KnowsABearerByItsToken) {
  EXPECT_EQ(ask("Bearer " + token), 0U);
  EXPECT_EQ(caller.role, Role::viewer);
  EXPECT_EQ(caller.token, "ci");
  EXPECT_EQ(caller.name, "token ci from 192.0.2.1:1234");
  EXPECT_EQ(ask("bearer   " + token), 0U);
  for (const std::string& bad : {std::string(), std::string("Bearer"), "Bearer" + token, token,
                                 "Digest " + token, "Bearer " + std::string(1000, 'x')}) {
    EXPECT_EQ(ask(bad), 401U) << bad;
    EXPECT_EQ(caller.role, Role::anyone);
  }
  EXPECT_EQ(gate.counts().without_token, 6U);
  EXPECT_EQ(gate.counts().unknown_token, 0U);
}

TEST_F(TokenGateTest, APasswordOfABrowserOnlyLooks) {
  // "x:abc" of the token, by hand: base64 of ("x:" + token) is made by the test of the whole
  // daemon.
  EXPECT_EQ(ask("Basic eDphYmM="), 401U);
  EXPECT_EQ(gate.counts().unknown_token, 1U) << "\"abc\" is no token";
  EXPECT_EQ(ask("Basic eDphYmM=", "192.0.2.1", Method::post), 401U);
  EXPECT_EQ(gate.counts().unknown_token, 1U) << "it is not even looked at";
  EXPECT_EQ(ask("Basic ?"), 401U);
  EXPECT_EQ(ask("Basic eA=="), 401U) << "no colon";
}

TEST_F(TokenGateTest, WhoGuessesIsKeptOutUntilTheWindowIsOver) {
  guess(TokenGate::most_failures);
  EXPECT_EQ(ask("Bearer " + token), 429U);
  EXPECT_EQ(ask("Bearer " + token, "192.0.2.2"), 0U) << "from elsewhere";
  clock.advance(TokenGate::window - std::chrono::seconds(1));
  EXPECT_EQ(ask("Bearer " + token), 429U);
  clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(ask("Bearer " + token), 0U);
  EXPECT_EQ(gate.counts().unknown_token, TokenGate::most_failures);
  EXPECT_EQ(gate.counts().blocked, 2U);
  EXPECT_THAT(told, testing::ElementsAre(HasSubstr("an unknown token has come from 192.0.2.1"),
                                         HasSubstr("nobody is let in")));
}

TEST_F(TokenGateTest, ManyNetworksAreRememberedInLittleSpace) {
  guess(TokenGate::most_failures, "192.0.2.1");
  clock.advance(std::chrono::seconds(1));
  for (std::size_t i = 0; i < TokenGate::most_networks - 1; ++i) {
    guess(1, "net " + std::to_string(i));
  }
  EXPECT_EQ(ask("Bearer " + token), 429U);
  guess(1, "one more");
  EXPECT_EQ(ask("Bearer " + token), 0U) << "the oldest had to go";
}

TEST_F(TokenGateTest, ARoleThatDoesNotReachIsToldWithWhoHasIt) {
  ASSERT_EQ(ask("Bearer " + token), 0U);
  const Request request{.method = Method::post, .path = "/v1/apply", .caller = caller};
  const Answer answer = gate.refuse(request, Role::admin);
  EXPECT_EQ(answer.status, 403U);
  EXPECT_THAT(answer.body, HasSubstr("needs the role admin; the token ci has viewer"));
  EXPECT_THAT(told, testing::ElementsAre(
                        "ci: token ci from 192.0.2.1:1234 is viewer and may not POST /v1/apply: "
                        "that is for admin"));
}

}  // namespace
}  // namespace target::control
