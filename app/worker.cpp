#include "app/worker.hpp"

#include "app/engine.hpp"
#include "runtime/error.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace kvasir {

Worker::Worker(std::function<void()> wake) : wake_(std::move(wake)), thread_([this] { run(); }) {}

Worker::~Worker() {
    {
        const std::lock_guard lock(mutex_);
        quit_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void Worker::post(ui::Request request) {
    {
        const std::lock_guard lock(mutex_);
        requests_.push_back(std::move(request));
    }
    changed_.notify_one();
}

std::vector<ui::Event> Worker::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
}

void Worker::send(ui::Event event) {
    {
        const std::lock_guard lock(mutex_);
        events_.push_back(std::move(event));
    }
    wake_();
}

bool Worker::next_request(ui::Request& request, bool wait) {
    std::unique_lock lock(mutex_);
    if (wait) changed_.wait(lock, [this] { return quit_ || !requests_.empty(); });
    if (quit_ || requests_.empty()) return false;
    request = std::move(requests_.front());
    requests_.pop_front();
    return true;
}

bool Worker::stop_asked() {
    const std::lock_guard lock(mutex_);
    return quit_ || std::any_of(requests_.begin(), requests_.end(), [](const ui::Request& request) {
               return std::holds_alternative<ui::Stop>(request) ||
                      std::holds_alternative<ui::Answer>(request) ||
                      std::holds_alternative<ui::LoadModel>(request);
           });
}

void Worker::run() {
    Engine engine([this](ui::Event event) { send(std::move(event)); }, [this] { return stop_asked(); });
    auto guarded = [&](const auto& act) {
        try {
            act();
        } catch (const std::bad_alloc&) {
            engine.failed(
                "the machine has too little memory for this; try a shorter context or a smaller model");
        } catch (const std::exception& error) {
            engine.failed(error.what());
        }
    };
    for (;;) {
        ui::Request request;
        if (next_request(request, !engine.busy())) {
            guarded([&] { engine.obey(request); });
            continue;
        }
        {
            const std::lock_guard lock(mutex_);
            if (quit_) return;
        }
        if (engine.busy()) guarded([&] { engine.step(); });
    }
}

} // namespace kvasir
