#include "appliance/cli/tls_wire.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <utility>

namespace cli {
namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
using Tcp = asio::ip::tcp;

class TlsWire final : public Wire {
 public:
  TlsWire(std::unique_ptr<asio::io_context> io, Tcp::socket socket)
      : io_(std::move(io)), stream_(std::move(socket), context_) {}

  // Empty: it is secure.
  std::string begin(const Server& server) {
    Error error;
    SSL* const native = stream_.native_handle();
    ::SSL_set_min_proto_version(native, TLS1_2_VERSION);
    Error is_name;
    (void)asio::ip::make_address(server.host, is_name);
    if (is_name) (void)::SSL_set_tlsext_host_name(native, server.host.c_str());
    stream_.set_verify_mode(ssl::verify_peer, error);
    stream_.set_verify_callback(ssl::host_name_verification(server.host), error);
    stream_.handshake(ssl::stream_base::client, error);
    if (!error) return {};
    const long verdict = ::SSL_get_verify_result(native);
    if (verdict == X509_V_OK) return fmt::format("{}: no TLS: {}", server.name, error.message());
    if (verdict == X509_V_ERR_APPLICATION_VERIFICATION) {
      return fmt::format("{}: its certificate is not of {}; use a name that it has", server.name,
                         server.host);
    }
    return fmt::format("{}: its certificate is not trusted: {}; name its authority: --ca FILE",
                       server.name, ::X509_verify_cert_error_string(verdict));
  }

  // Empty: they are known.
  std::string trust(const std::string& file) {
    X509_STORE* const store = ::SSL_CTX_get_cert_store(context_.native_handle());
    const bool is_known = file.empty() ? ::X509_STORE_set_default_paths(store) == 1
                                       : ::X509_STORE_load_file(store, file.c_str()) == 1;
    return is_known ? std::string()
                    : fmt::format("--ca {}: cannot be read, or holds no certificate in PEM", file);
  }

 private:
  std::size_t read(asio::mutable_buffer space, Error& error) override {
    const std::size_t bytes = stream_.read_some(space, error);
    // The other end has closed without a word: what has come is judged by whoever reads it.
    if (error == ssl::error::stream_truncated) error = asio::error::eof;
    return bytes;
  }
  std::size_t write(asio::const_buffer bytes, Error& error) override {
    return stream_.write_some(bytes, error);
  }

  std::unique_ptr<asio::io_context> io_;
  ssl::context context_{ssl::context::tls_client};
  ssl::stream<Tcp::socket> stream_;
};

}  // namespace

WireResult secure(std::unique_ptr<asio::io_context> io, Tcp::socket socket, const Server& server) {
  auto wire = std::make_unique<TlsWire>(std::move(io), std::move(socket));
  if (std::string refused = wire->trust(server.ca); !refused.empty()) return refused;
  if (std::string refused = wire->begin(server); !refused.empty()) return refused;
  return std::unique_ptr<Wire>(std::move(wire));
}

}  // namespace cli
