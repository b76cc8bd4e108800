#pragma once

#include "app/answer.hpp"
#include "runtime/gpu/device.hpp"
#include "runtime/model.hpp"
#include "runtime/session.hpp"
#include "runtime/text/chat_format.hpp"
#include "ui/event.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace kvasir {

/// A model that the window runs, and the answer that it is giving. Used from one thread. What throws Error
/// leaves it as it was or without a model; failed() tells the window.
class Engine {
  public:
    /// send: to the window. stop_asked: whether to give up what is taking long.
    Engine(std::function<void(ui::Event)> send, std::function<bool()> stop_asked)
        : send_(std::move(send)), stop_asked_(std::move(stop_asked)) {}

    void obey(const ui::Request& request);
    /// Whether step() has something to do.
    bool busy() const { return answer_ && (!answer_->paused || answer_->steps > 0); }
    /// One token of the answer.
    void step();
    /// Tells the window of an Error that obey() or step() threw.
    void failed(const std::string& message);

  private:
    using Clock = std::chrono::steady_clock;

    /// An answer that is being given.
    struct Running {
        explicit Running(const ui::Answer& asked, std::vector<std::string> stops)
            : request(asked), paused(asked.paused), text(std::move(stops)) {}
        ui::Answer request;
        bool paused;
        uint32_t steps = 0; ///< asked for while paused
        AnswerText text;
        std::vector<int32_t> ends;
        bool first_text = false; ///< nothing stands before it
        bool trim = true;
        uint32_t prompt_tokens = 0, reused = 0, tokens = 0;
        double prompt_seconds = 0, seconds = 0;
    };

    void load(ui::LoadModel wanted);
    void run_model(const ui::LoadModel& wanted, const ui::PositionEdit& edit);
    void open_session();
    void begin(const ui::Answer& request);
    void run_prompt(const std::vector<int32_t>& ids, uint64_t answer);
    void write(int32_t id, ui::TokenChoice choice);
    void end(const char* why);
    void watch(const ui::Watch& request);
    void replay();
    void edit(const ui::PositionEdit& edit);
    void compare(uint32_t n);
    void time_operations(bool on);
    void listen();
    void tell_pages();
    void tell_times();
    ui::RunningModel running_model() const;
    ModelSpec edited_spec() const;
    std::vector<float> slopes() const;
    std::vector<std::string> labels(std::span<const int32_t> ids) const;
    ui::TokenChoice choice_of(std::span<const float> logits, int32_t chosen) const;
    std::vector<int32_t> greedy(Session& session, std::span<const int32_t> ids, uint32_t n);
    void need_model(const char* what) const;

    std::function<void(ui::Event)> send_;
    std::function<bool()> stop_asked_;
    ui::LoadModel loaded_;              ///< as asked for
    std::optional<ui::LoadModel> kept_; ///< loaded_, where something else could not be loaded instead
    std::unique_ptr<Device> device_;
    std::unique_ptr<Model> model_;
    std::unique_ptr<ChatFormat> format_;
    std::unique_ptr<Session> session_;
    uint64_t weight_bytes_ = 0;
    ui::PositionEdit edit_;
    bool stale_ = false; ///< the cache holds keys and values that other slopes led to: not for another answer
    ui::Watch watch_;
    bool timing_ = false;
    Clock::time_point timed_since_;
    uint32_t timed_tokens_ = 0;
    std::optional<Running> answer_;
    std::vector<float> logits_; ///< that the token made last was chosen from
};

} // namespace kvasir
