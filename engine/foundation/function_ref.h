// FunctionRef: a borrowed callable as a parameter, without std::function's possible allocation.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace engine {

template <class Signature>
class FunctionRef;

// Refers to a callable: a parameter type. Whoever keeps one beyond the call it was passed to must
// know that the callable is a named object that lives longer.
template <class R, class... Arguments>
class FunctionRef<R(Arguments...)> {
 public:
  template <class Callable>
  requires(!std::is_same_v<std::remove_cvref_t<Callable>, FunctionRef> &&
           std::is_object_v<std::remove_reference_t<Callable>> &&
           std::is_invocable_r_v<R, Callable&, Arguments...>)
      // NOLINTNEXTLINE(bugprone-forwarding-reference-overload): constrained above
      FunctionRef(Callable&& callable)
  noexcept
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, Arguments... arguments) -> R {
          return (*static_cast<std::remove_reference_t<Callable>*>(object))(
              std::forward<Arguments>(arguments)...);
        }) {}

  R operator()(Arguments... arguments) const {
    return call_(object_, std::forward<Arguments>(arguments)...);
  }

 private:
  void* object_;
  R (*call_)(void*, Arguments...);
};

}  // namespace engine
