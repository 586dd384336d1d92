#include "tests/end_to_end/harness/scrape.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "tests/client/byte_connection.h"

namespace end_to_end {

HttpReply try_http_get(std::uint16_t port, const std::string& path) {
  const auto socket = client::ByteConnection::connect_socket({.host = "127.0.0.1", .port = port},
                                                             client::default_time_out);
  if (!socket) return {};
  const std::string request =
      "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
  std::string text;
  if (::send(socket.value(), request.data(), request.size(), MSG_NOSIGNAL) ==
      static_cast<ssize_t>(request.size())) {
    char piece[65536];
    pollfd readable{.fd = socket.value(), .events = POLLIN, .revents = 0};
    constexpr int patience_ms = 60'000;
    while (::poll(&readable, 1, patience_ms) > 0) {
      const ssize_t got = ::recv(socket.value(), piece, sizeof(piece), 0);
      if (got <= 0) break;
      text.append(piece, static_cast<std::size_t>(got));
    }
  }
  ::close(socket.value());
  const std::size_t body = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || body == std::string::npos) return {};
  return {.status = std::atoi(text.c_str() + 9), .body = text.substr(body + 4)};
}

HttpReply http_get(std::uint16_t port, const std::string& path) {
  HttpReply reply = try_http_get(port, path);
  EXPECT_NE(reply.status, 0) << "no answer to " << path;
  return reply;
}

Scrape::Scrape(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.rfind(' ');
    if (line.empty() || line[0] == '#' || space == std::string::npos) continue;
    values_[line.substr(0, space)] = std::strtod(line.c_str() + space + 1, nullptr);
  }
}

double Scrape::value(const std::string& series) const {
  const auto found = values_.find(series);
  EXPECT_NE(found, values_.end()) << series;
  return found == values_.end() ? -1 : found->second;
}

double Scrape::sum(const std::string& name) const {
  double sum = 0;
  for (const auto& [series, value] : values_) {
    if (series == name || series.starts_with(name + "{")) sum += value;
  }
  return sum;
}

Scrape scrape(std::uint16_t port) {
  const HttpReply reply = http_get(port, "/metrics");
  EXPECT_EQ(reply.status, 200);
  return Scrape(reply.body);
}

}  // namespace end_to_end
