// look_beside: asks a disk on a thread that nobody can end while it waits for the answer.
#pragma once

#include <future>
#include <thread>
#include <utility>

namespace engine {

// `look` must own all that it uses: it may outlast whoever asks. If it does, its answer is dropped.
template <class Look>
[[nodiscard]] auto look_beside(Look look) {
  std::packaged_task<decltype(look())()> task(std::move(look));
  auto found = task.get_future();
  std::thread(std::move(task)).detach();
  return found;
}

}  // namespace engine
