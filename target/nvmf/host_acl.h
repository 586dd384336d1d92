// HostAcl: which hosts a subsystem, or one namespace of it, is for.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "target/nvmf/options.h"

namespace target::nvmf {

// Value; NQNs are compared byte for byte (Base 2.1, "NVMe Qualified Names").
class HostAcl {
 public:
  using Names = std::set<std::string, std::less<>>;

  // Everybody.
  HostAcl() : allow_any_(true) {}
  explicit HostAcl(const HostRule& rule) : allow_any_(rule.allow_any) {
    if (!allow_any_) names_.insert(rule.nqns.begin(), rule.nqns.end());
  }
  explicit HostAcl(const std::vector<std::string>& nqns)
      : allow_any_(false), names_(nqns.begin(), nqns.end()) {}

  [[nodiscard]] bool admits(std::string_view host_nqn) const {
    return allow_any_ || names_.find(host_nqn) != names_.end();
  }
  [[nodiscard]] bool admits_any() const { return allow_any_; }
  [[nodiscard]] const Names& names() const { return names_; }

 private:
  bool allow_any_;
  Names names_;
};

}  // namespace target::nvmf
