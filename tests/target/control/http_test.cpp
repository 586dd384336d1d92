// HTTP itself: routes, limits and answers without an end, over a pair of sockets.
#include "target/control/http.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include "target/control/api.h"
#include "target/control/event_streams.h"
#include "target/control/http_exchange.h"
#include "tests/sim/sim_clock.h"

namespace target::control {
namespace {

using boost::asio::local::stream_protocol;

Route echo(Method method, std::string pattern) {
  Route route{.method = method, .pattern = std::move(pattern), .body = "something"};
  route.handle = [](const Request& request, const Reply& reply) {
    reply->answer({.body = request.caller.name + " " + request.name + " " + request.body});
    return request.body != "bad";
  };
  return route;
}

TEST(RouteTable, APathIsMatchedAsAWhole) {
  const RouteTable table({echo(Method::get, "/v1/a"), echo(Method::post, "/v1/v/{name}/grow")});
  EXPECT_NE(table.find(Method::get, "/v1/a").route, nullptr);
  EXPECT_EQ(table.find(Method::post, "/v1/v/db01/grow").name, "db01");
  for (const char* path : {"/v1/a/", "/v1/ab", "/v1/", "", "/v1/v/grow", "/v1/v//grow",
                           "/v1/v/a/b/grow", "/v1/v/a/grow/"}) {
    EXPECT_EQ(table.find(Method::get, path).route, nullptr) << path;
    EXPECT_EQ(table.find(Method::get, path).other_methods, "") << path;
  }
  EXPECT_EQ(table.find(Method::get, "/v1/v/db01/grow").route, nullptr);
  EXPECT_EQ(table.find(Method::get, "/v1/v/db01/grow").other_methods, "POST");
}

TEST(Request, AQueryIsTakenApart) {
  Request request;
  split_target("/v1/events?since=4&x=a%20b+c%zz&flag&=", request);
  EXPECT_EQ(request.path, "/v1/events");
  EXPECT_EQ(request.query.at("since"), "4");
  EXPECT_EQ(request.query.at("x"), "a b c%zz");
  EXPECT_EQ(request.query.at("flag"), "");
}

class HttpExchange : public testing::Test {
 protected:
  // A client of `routes`, whose other end is served.
  stream_protocol::socket client(HttpLimits limits = {}) {
    stream_protocol::socket ours(io_);
    stream_protocol::socket theirs(io_);
    boost::asio::local::connect_pair(ours, theirs);
    (void)serve_http(HttpSocket(std::move(theirs)),
                     {.caller = {.uid = 7, .name = "seven", .role = Role::admin},
                      .limits = limits,
                      .slot = slot_},
                     table_);
    return ours;
  }
  // Until the exchange is over.
  std::string rest_of(stream_protocol::socket& socket) {
    std::string text;
    bool over = false;
    boost::asio::async_read(socket, boost::asio::dynamic_buffer(text),
                            [&over](boost::system::error_code, std::size_t) { over = true; });
    io_.restart();
    while (!over && io_.run_one_for(std::chrono::seconds(60)) > 0) {
    }
    EXPECT_TRUE(over);
    return text;
  }
  std::string ask(const std::string& request, HttpLimits limits = {}) {
    auto socket = client(limits);
    boost::asio::write(socket, boost::asio::buffer(request));
    return rest_of(socket);
  }

  boost::asio::io_context io_;
  const std::shared_ptr<void> slot_ = std::make_shared<int>();
  RouteTable table_{{echo(Method::get, "/get"), echo(Method::post, "/post/{name}")}};
};

TEST_F(HttpExchange, AnswersWhoItKnows) {
  const std::string got = ask("GET /get HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(got.starts_with("HTTP/1.1 200 OK\r\n")) << got;
  EXPECT_TRUE(got.ends_with("\r\n\r\nseven  ")) << got;
  const std::string posted =
      ask("POST /post/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
  EXPECT_TRUE(posted.ends_with("\r\n\r\nseven a body")) << posted;
  EXPECT_EQ(slot_.use_count(), 1) << "nothing is left of them";
}

TEST_F(HttpExchange, AConditionIsReadWithoutItsQuotesAndATagIsSent) {
  table_ = RouteTable(
      {{.method = Method::get,
        .pattern = "/tagged",
        .handle = [](const Request& request, const Reply& reply) {
          reply->answer({.body = "<" + request.if_match + ">", .headers = {{"ETag", "\"e41c\""}}});
          return true;
        }}});
  const auto asked_with = [this](const std::string& header) {
    return ask("GET /tagged HTTP/1.1\r\nHost: x\r\n" + header + "\r\n");
  };
  EXPECT_TRUE(asked_with("").ends_with("\r\n\r\n<>"));
  EXPECT_TRUE(asked_with("If-Match: \"e41c\"\r\n").ends_with("<e41c>"));
  EXPECT_TRUE(asked_with("If-Match: W/\"e41c\"\r\n").ends_with("<e41c>"));
  EXPECT_TRUE(asked_with("If-Match: *\r\n").ends_with("<*>"));
  EXPECT_TRUE(asked_with("If-Match: \"\r\n").ends_with("<\">"));
  EXPECT_NE(asked_with("").find("\r\nETag: \"e41c\"\r\n"), std::string::npos);
}

TEST_F(HttpExchange, HeadHasNoBodyAndTellsItsLength) {
  const std::string got = ask("HEAD /get HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(got.find("Content-Length: 7\r\n"), std::string::npos) << got;
  EXPECT_TRUE(got.ends_with("\r\n\r\n")) << got;
}

TEST_F(HttpExchange, AConnectionIsKeptWhereThatIsWanted) {
  const HttpLimits keep{.keep_alive = true};
  const std::string got =
      ask("GET /get HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\n"
          "GET /get HTTP/1.1\r\nHost: x\r\n\r\n",
          keep);
  EXPECT_NE(got.find("HTTP/1.1 200 OK"), std::string::npos) << got;
  EXPECT_NE(got.find("HTTP/1.1 404 Not Found"), std::string::npos) << got;
  EXPECT_EQ(got.find("HTTP/1.1 200 OK"), got.rfind("HTTP/1.1 200 OK"))
      << "a request that is refused unread ends the connection";
}

TEST_F(HttpExchange, WhatIsTooLargeIsToldSo) {
  EXPECT_NE(ask("GET /get HTTP/1.1\r\nX: " + std::string(20 << 10, 'x') + "\r\n\r\n").find(" 431 "),
            std::string::npos);
  EXPECT_NE(ask("POST /post/a HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n").find(" 413 "),
            std::string::npos);
  EXPECT_NE(ask("POST /post/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                "10001\r\n" +
                std::string(65537, 'x') + "\r\n0\r\n\r\n")
                .find(" 413 "),
            std::string::npos);
  EXPECT_NE(ask("POST /post/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nbad").find(" 400 "),
            std::string::npos)
      << "only one answer counts";
  EXPECT_NE(ask("DELETE /get HTTP/1.1\r\nHost: x\r\n\r\n").find(" 405 "), std::string::npos);
  EXPECT_NE(ask("garbage\r\n\r\n").find(" 400 "), std::string::npos);
}

TEST_F(HttpExchange, AClientThatHangsIsLetGo) {
  const HttpLimits short_time{.request_time = std::chrono::milliseconds(50)};
  EXPECT_EQ(ask("GET /get HTTP/1.1\r\nHost:", short_time), "");
  EXPECT_EQ(ask("POST /post/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo", short_time), "");
  EXPECT_EQ(slot_.use_count(), 1);
}

TEST_F(HttpExchange, WhatIsNotAnsweredInTimeIsSaidToBeLate) {
  Reply kept;
  Route route{.method = Method::get, .pattern = "/late/{name}"};
  route.handle = [&kept](const Request& /*request*/, const Reply& reply) {
    kept = reply;
    return true;
  };
  route.patience = std::chrono::seconds(0);
  route.late = "volume {} takes its time";
  table_ = RouteTable({route});
  const std::string got = ask("GET /late/db01 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(got.find(" 504 "), std::string::npos) << got;
  EXPECT_NE(got.find("volume db01 takes its time"), std::string::npos) << got;
  kept->answer({});  // nobody is there any more
  EXPECT_EQ(slot_.use_count(), 1);
}

class Streams : public HttpExchange {
 protected:
  Streams() { table_ = RouteTable(streams_.routes()); }
  stream_protocol::socket follow(const std::string& query) {
    auto socket = client();
    boost::asio::write(socket, boost::asio::buffer("GET /v1/events/stream" + query +
                                                   " HTTP/1.1\r\nHost: x\r\n\r\n"));
    io_.restart();
    io_.poll();
    return socket;
  }
  // What has come by now.
  std::string read(stream_protocol::socket& socket) {
    io_.restart();
    io_.poll();
    std::string text(socket.available(), '\0');
    boost::asio::read(socket, boost::asio::buffer(text));
    return text;
  }

  SimClock clock_;
  EventLog log_{clock_};
  EventStreams streams_{log_};
};

TEST_F(Streams, WhoFollowsGetsWhatWasAndWhatComes) {
  log_.add(EventName::pool_open, "bulk", "one");
  log_.add(EventName::pool_open, "bulk", "two");
  auto socket = follow("?since=1");
  const std::string first = read(socket);
  EXPECT_NE(first.find("Content-Type: text/event-stream\r\n"), std::string::npos) << first;
  EXPECT_EQ(first.find("one"), std::string::npos) << first;
  EXPECT_NE(first.find("id: 2\nevent: pool.open\ndata: {\"id\":2,"), std::string::npos) << first;
  log_.add(EventName::volume_late, "db01", "three");
  streams_.flush();
  const std::string next = read(socket);
  EXPECT_TRUE(next.starts_with("id: 3\nevent: volume.late\ndata: {")) << next;
  EXPECT_TRUE(next.ends_with("}\n\n")) << next;
  streams_.keep_alive();
  EXPECT_EQ(read(socket), ":\n\n");
  socket.close();
  io_.restart();
  io_.poll();
  streams_.flush();
  EXPECT_EQ(streams_.size(), 0U);
  EXPECT_EQ(slot_.use_count(), 1);
}

TEST_F(Streams, WhoDoesNotTakeThemIsSentAway) {
  auto slow = follow("");
  auto quick = follow("");
  EXPECT_EQ(streams_.size(), 2U);
  std::string got;
  for (int i = 0; i < 4000; ++i) {
    log_.add(EventName::pool_open, "bulk", std::string(300, 'x'));
    streams_.flush();
    got += read(quick);
  }
  EXPECT_EQ(streams_.size(), 1U);
  EXPECT_NE(got.find("id: 4000\n"), std::string::npos) << "the other one is not held up";
}

TEST_F(Streams, ThereAreNotMoreThanSixteen) {
  std::vector<stream_protocol::socket> all;
  for (std::size_t i = 0; i < EventStreams::most_streams; ++i) all.push_back(follow(""));
  EXPECT_NE(ask("GET /v1/events/stream HTTP/1.1\r\nHost: x\r\n\r\n").find(" 503 "),
            std::string::npos);
  all.pop_back();
  EXPECT_NE(read(all[0]).find(": events of forebayd"), std::string::npos);
  all.push_back(follow(""));
  EXPECT_NE(read(all.back()).find(" 200 "), std::string::npos) << "a place is free again";
}

TEST_F(Streams, AListIsAskedForByNumber) {
  log_.add(EventName::pool_open, "bulk", "one");
  EXPECT_NE(ask("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n").find("\"last_id\":1"),
            std::string::npos);
  EXPECT_NE(ask("GET /v1/events?since=1 HTTP/1.1\r\nHost: x\r\n\r\n").find("\"events\":[]"),
            std::string::npos);
  for (const char* since : {"", "x", "-1", "1x", "99999999999999999999"}) {
    for (const char* path : {"/v1/events", "/v1/events/stream"}) {
      EXPECT_NE(ask(std::string("GET ") + path + "?since=" + since + " HTTP/1.1\r\nHost: x\r\n\r\n")
                    .find(" 400 "),
                std::string::npos)
          << path << since;
    }
  }
}

}  // namespace
}  // namespace target::control
