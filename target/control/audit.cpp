#include "target/control/audit.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <utility>

namespace target::control {
namespace {

constexpr std::size_t longest_body = 512;

// A plan that was not carried out has a reason of its own.
std::string error_in(const std::string& body) {
  boost::system::error_code error;
  const auto value = boost::json::parse(body, error);
  const auto* object = error ? nullptr : value.if_object();
  if (object == nullptr) return {};
  const auto* text = object->if_contains("error");
  if (text == nullptr) text = object->if_contains("reason");
  if (text == nullptr || !text->is_string()) return {};
  return {text->get_string().data(), text->get_string().size()};
}

class AuditedReply final : public Responder {
 public:
  AuditedReply(Reply reply, AuditRecord record, const Audit& audit)
      : reply_(std::move(reply)), record_(std::move(record)), audit_(audit) {}

  void answer(Answer answer) override {
    AuditRecord record = record_;
    record.done = answer.status == 200;
    if (!record.done) record.reason = error_in(answer.body);
    record.after = audit_.now();
    audit_.tell(record);
    reply_->answer(std::move(answer));
  }
  std::shared_ptr<OpenAnswer> open(const std::string& content_type) override {
    return reply_->open(content_type);
  }

 private:
  const Reply reply_;
  const AuditRecord record_;
  const Audit audit_;
};

std::string origin_of(const Caller& caller) {
  if (caller.uid) return "control socket";
  return caller.network;
}

std::string audited_line(const Request& request) {
  std::string line = std::string(text(request.method)) + " " + request.path;
  char before = '?';
  for (const auto& [key, value] : request.query) {
    line += before + key + '=' + value.substr(0, longest_body);
    before = '&';
  }
  return line;
}

}  // namespace

Route audited(Route route, Audit audit) {
  route.handle = [handle = std::move(route.handle), audit = std::move(audit)](
                     const Request& request, const Reply& reply) {
    AuditRecord record{.caller = request.caller,
                       .from = origin_of(request.caller),
                       .request = audited_line(request),
                       .body = request.body.size() <= longest_body ? request.body : "",
                       .before = audit.now()};
    return handle(request, std::make_shared<AuditedReply>(reply, std::move(record), audit));
  };
  return route;
}

}  // namespace target::control
