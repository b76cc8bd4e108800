#pragma once

#include "ui/event.hpp"
#include "ui/request.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace kvasir {

/// The thread that runs the model for the window. Requests go in, events come out; neither side waits for the
/// other. An answer is made token by token with a look at the requests between, so that Stop takes effect
/// within one.
class Worker {
  public:
    /// wake: called from the thread when there are events to take.
    explicit Worker(std::function<void()> wake);
    /// Ends the answer that runs.
    ~Worker();

    void post(ui::Request request);
    std::vector<ui::Event> take();

  private:
    void run();
    void send(ui::Event event);
    bool next_request(ui::Request& request, bool wait);
    bool stop_asked(); ///< whether a request that ends an answer or a prompt is waiting

    std::function<void()> wake_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<ui::Request> requests_;
    std::vector<ui::Event> events_;
    bool quit_ = false;
    std::thread thread_;
};

} // namespace kvasir
