#include "app/engine.hpp"

#include "app/models.hpp"
#include "runtime/error.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvasir {
namespace {

constexpr uint32_t listed_candidates = 12;
constexpr uint32_t tell_every = 16; ///< tokens between two reports of pages and times

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

} // namespace

void Engine::obey(const ui::Request& request) {
    using namespace ui;
    if (const auto* it = std::get_if<LoadModel>(&request)) load(*it);
    if (const auto* it = std::get_if<ui::Answer>(&request)) begin(*it);
    if (std::holds_alternative<ui::Stop>(request) && answer_) end("stopped");
    if (std::holds_alternative<StepToken>(request) && answer_ && answer_->paused) ++answer_->steps;
    if (std::holds_alternative<Pause>(request) && answer_) answer_->paused = true, answer_->steps = 0;
    if (std::holds_alternative<Resume>(request) && answer_) answer_->paused = false;
    if (const auto* it = std::get_if<Watch>(&request)) watch(*it);
    if (std::holds_alternative<Replay>(request)) replay();
    if (const auto* it = std::get_if<ReadNorms>(&request); it && session_)
        send_(NormsRead{it->layer, session_->kv_norms(it->layer)});
    if (const auto* it = std::get_if<EditPositions>(&request)) edit(it->edit);
    if (const auto* it = std::get_if<ComparePositions>(&request)) compare(it->n);
    if (const auto* it = std::get_if<TimeOperations>(&request)) time_operations(it->on);
}

void Engine::need_model(const char* what) const {
    if (!session_) throw Error(what, "no model is loaded", "choosing a model and a device");
}

void Engine::failed(const std::string& message) {
    const bool lost = device_ && device_->lost();
    if (answer_) end("error");
    if (lost) {
        session_.reset(), format_.reset(), model_.reset(), device_.reset();
    }
    send_(ui::Failed{message, !session_, lost, std::exchange(kept_, {})});
}

/// Runs another model, or the same with another cache or on another device. Where that fails, what ran before
/// runs again if it can.
void Engine::load(ui::LoadModel wanted) {
    if (answer_) end("stopped");
    if (wanted.path.empty()) wanted.path = loaded_.path;
    if (wanted.device.empty() || (device_ && wanted.device == std::to_string(device_->info().index)))
        wanted.device = loaded_.device;
    const ui::LoadModel before = loaded_;
    const ui::PositionEdit edit = edit_;
    const bool ran = session_ != nullptr;
    const bool same_weights = model_ && wanted.path == before.path && wanted.device == before.device;
    try {
        run_model(wanted, same_weights ? edit : ui::PositionEdit{});
    } catch (...) {
        if (!ran) throw;
        try {
            if (!session_) run_model(before, edit);
            kept_ = before;
        } catch (const std::exception&) { // neither runs: the first reason is told
        }
        throw;
    }
}

/// What can be refused without giving up the model that runs, is.
void Engine::run_model(const ui::LoadModel& wanted, const ui::PositionEdit& edit) {
    if (!model_ || wanted.path != loaded_.path || wanted.device != loaded_.device) {
        std::unique_ptr<Device> other;
        if (!device_ || device_->lost() || wanted.device != loaded_.device)
            other = std::make_unique<Device>(DeviceOptions{.device = wanted.device});
        const ModelFile file = read_model(model_path(wanted.path));
        auto model = std::make_unique<Model>(read_but_weights(file));
        session_.reset(), format_.reset(), model_.reset(); // both may be more than the device holds
        if (other) device_ = std::move(other);
        loaded_ = wanted;
        const auto progress = [&](uint64_t done, uint64_t total) {
            weight_bytes_ = total;
            send_(ui::Loading{wanted.path, done, total});
        };
        progress(0, 0);
        model->weights = load_weights(*device_, file, model->spec, progress);
        format_ = std::make_unique<ChatFormat>(chat_format(*model));
        model_ = std::move(model);
    }
    loaded_ = wanted, edit_ = edit;
    open_session();
}

ModelSpec Engine::edited_spec() const {
    ModelSpec spec = model_->spec;
    if (!edit_.slopes.empty() && spec.alibi_max_bias == 0) spec.alibi_max_bias = 8;
    if (edit_.rope_base > 0) spec.rope_base = edit_.rope_base;
    if (edit_.rope_scaling) {
        spec.rope_scaling = *edit_.rope_scaling;
        spec.rope_factor = edit_.rope_factor;
    }
    return spec;
}

std::vector<float> Engine::slopes() const {
    if (!edit_.slopes.empty()) return edit_.slopes;
    const ModelSpec& m = session_->spec();
    return m.alibi_max_bias > 0 ? alibi_slopes(m.n_heads, m.alibi_max_bias) : std::vector<float>{};
}

/// A session as loaded_, edit_, watch_ and timing_ say, its sequence empty.
void Engine::open_session() {
    session_.reset();
    stale_ = false;
    if (watch_.layer && *watch_.layer >= model_->spec.n_layers) watch_.layer = 0;
    try {
        session_ = std::make_unique<Session>(
            *device_, *model_,
            SessionOptions{
                .n_ctx = loaded_.n_ctx, .kv = loaded_.kv, .profile = timing_, .spec = edited_spec()});
        if (!edit_.slopes.empty()) session_->set_slopes(edit_.slopes);
        listen();
    } catch (...) {
        session_.reset();
        throw;
    }
    send_(ui::Loaded{running_model()});
    tell_pages();
}

void Engine::listen() {
    session_->on_attention = [this](AttentionRows&& rows) { send_(ui::RowsRead{std::move(rows)}); };
    session_->on_logits = [this](std::span<const float> logits) {
        logits_.assign(logits.begin(), logits.end());
    };
    session_->watch(watch_.layer ? std::vector<uint32_t>{*watch_.layer} : std::vector<uint32_t>{},
                    watch_.survey);
    timed_since_ = Clock::now(), timed_tokens_ = 0;
}

ui::RunningModel Engine::running_model() const {
    ui::RunningModel m;
    m.path = loaded_.path, m.name = model_->spec.name;
    m.spec = session_->spec(), m.trained = model_->spec;
    m.edit = edit_, m.slopes = slopes();
    m.device = device_->info();
    m.n_ctx = session_->n_ctx(), m.kv = loaded_.kv;
    m.weight_bytes = weight_bytes_, m.kv_bytes = session_->kv_bytes();
    m.sampler = model_->sampler;
    m.notices = format_->take_notices();
    return m;
}

std::vector<std::string> Engine::labels(std::span<const int32_t> ids) const {
    std::vector<std::string> texts;
    for (const int32_t id : ids) {
        const std::string piece = model_->tokenizer.piece(id);
        texts.push_back(piece.empty() ? model_->tokenizer.label(id) : piece);
    }
    return texts;
}

void Engine::run_prompt(const std::vector<int32_t>& ids, uint64_t answer) {
    send_(ui::SequenceBegun{answer, ids, labels(ids), 0});
    const uint32_t reused = session_->prompt(ids, [&](uint32_t done, uint32_t total) {
        send_(ui::PromptProgressed{done, total});
        return !stop_asked_();
    });
    if (answer_) answer_->reused = reused;
    tell_pages();
}

void Engine::begin(const ui::Answer& request) {
    if (answer_) end("stopped");
    answer_.emplace(request, std::vector<std::string>{});
    need_model("answering");
    if (stale_) open_session();
    std::vector<int32_t> ids = format_->encode(request.turns);
    answer_->text = AnswerText(format_->stops());
    answer_->ends = format_->ends();
    answer_->first_text = model_->tokenizer.decode(ids).empty();
    const auto n_prompt = static_cast<uint32_t>(ids.size());
    if (ids.size() + request.begin.size() >= session_->n_ctx())
        throw Error("answering",
                    "the conversation has " + std::to_string(ids.size() + request.begin.size()) +
                        " tokens, the context holds " + std::to_string(session_->n_ctx()),
                    "a longer context, a new conversation, or going back to an earlier turn");
    ids.insert(ids.end(), request.begin.begin(), request.begin.end());
    answer_->prompt_tokens = n_prompt;
    const auto start = Clock::now();
    run_prompt(ids, request.answer);
    answer_->prompt_seconds = seconds_since(start);
    for (uint32_t i = 0; i < request.begin.size() && session_->length() == ids.size(); ++i) {
        ui::TokenChoice known;
        known.id = request.begin[i];
        const auto token = labels(std::span(&known.id, 1));
        const std::string text = answer_->text.push(model_->tokenizer.piece(known.id));
        send_(ui::TokenMade{request.answer, n_prompt + i, token[0], text, known});
        ++answer_->tokens;
    }
    if (session_->length() < ids.size()) end("stopped");
}

ui::TokenChoice Engine::choice_of(std::span<const float> logits, int32_t chosen) const {
    const auto ids = session_->ids();
    const auto history = std::span(ids).first(ids.size() - 1);
    Candidates looked = look_at_choice(logits, history, answer_->request.sampler, chosen, listed_candidates);
    ui::TokenChoice choice{chosen, looked.chosen_p, looked.entropy, std::move(looked.list), {}};
    for (const Candidate& one : choice.candidates)
        choice.labels.push_back(labels(std::span(&one.id, 1)).front());
    return choice;
}

void Engine::step() {
    if (answer_->steps > 0) --answer_->steps;
    const auto start = Clock::now();
    const std::optional<int32_t> id = session_->next(answer_->request.sampler);
    answer_->seconds += seconds_since(start);
    if (!id) return end("context");
    ++timed_tokens_;
    const bool ends = model_->tokenizer.is_end(*id) ||
                      std::find(answer_->ends.begin(), answer_->ends.end(), *id) != answer_->ends.end();
    if (ends) {
        session_->rewind(session_->length() - 1);
        return end("end");
    }
    write(*id, choice_of(logits_, *id));
    if (answer_ && answer_->tokens % tell_every == 0) {
        tell_pages();
        if (timing_) tell_times();
    }
}

/// Adds a token to the answer's text.
void Engine::write(int32_t id, ui::TokenChoice choice) {
    Running& a = *answer_;
    const bool first = a.first_text && a.tokens == 0;
    std::string text =
        a.text.push(first ? model_->tokenizer.decode(std::span(&id, 1)) : model_->tokenizer.piece(id));
    if (a.trim && a.tokens == 0) text.erase(0, text.find_first_not_of(" \n\r\t"));
    ++a.tokens;
    send_(ui::TokenMade{a.request.answer, session_->length() - 1, labels(std::span(&id, 1)).front(),
                        std::move(text), std::move(choice)});
    if (a.text.stopped()) end("stop string");
}

void Engine::end(const char* why) {
    Running a = std::move(*answer_);
    answer_.reset();
    send_(ui::AnswerEnded{a.request.answer, a.text.finish(), why, a.prompt_tokens, a.reused, a.tokens,
                          a.prompt_seconds, a.seconds});
    if (!session_ || (device_ && device_->lost())) return;
    for (const std::string& notice : format_->take_notices()) send_(ui::Failed{notice});
    tell_pages();
    if (timing_) tell_times();
    device_->save_pipeline_cache();
}

void Engine::tell_pages() {
    const PageTable& pages = session_->pages();
    ui::Pages told{pages.statistics(), {}};
    for (uint32_t i = 0; i < PageTable::pages_for(pages.length()); ++i) told.table.push_back(pages.page(i));
    send_(ui::PagesChanged{std::move(told), device_->memory(), pages.length()});
}

void Engine::tell_times() {
    ui::Timed times{session_->take_profile(), seconds_since(timed_since_), timed_tokens_,
                    device_->copy_bandwidth(), session_->longest_submit() * 1e3};
    timed_since_ = Clock::now(), timed_tokens_ = 0;
    if (!times.profile.empty()) send_(std::move(times));
}

} // namespace kvasir
