#include "ui/ui.hpp"

#include "runtime/error.hpp"
#include "ui/words.hpp"

#include <imgui.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <utility>

namespace kvasir::ui {
namespace {

constexpr size_t most_notices = 4, most_recent = 8;
/// Of the context: what a conversation may take before its oldest messages are left out, so that an answer
/// has room.
constexpr double full_share = 0.8;
constexpr double bytes_a_token = 3; ///< of a text that was not tokenized yet: an estimate on the high side

} // namespace

Ui::Ui(Places places, std::string model, std::string device) : places_(std::move(places)) {
    std::string problem;
    settings_ = Settings::read(places_.settings, problem);
    if (!problem.empty()) tell(problem);
    try {
        snapshot_.devices = list_devices();
    } catch (const Error& error) {
        tell(error.what());
    }
    try {
        store_ = std::make_unique<ConversationStore>(places_.conversations);
    } catch (const Error& error) {
        tell(error.what());
    }
    if (!model.empty()) settings_.model = model;
    if (!device.empty()) settings_.device = device;
    if (settings_.model.empty() && !places_.built_in.empty()) settings_.model = places_.built_in.front();
    if (store_ && !settings_.conversation.empty()) show_conversation(settings_.conversation);
    if (conversation_.id.empty()) new_conversation();
    if (!settings_.model.empty())
        out_.push_back(LoadModel{settings_.model, settings_.device, settings_.n_ctx, settings_.kv});
}

Ui::~Ui() = default;

Requests Ui::take() {
    return std::exchange(out_, {});
}

void Ui::tell(const std::string& text, bool bad) {
    if (!notices_.empty() && notices_.back().text == text) return;
    notices_.push_back({text, bad});
    if (notices_.size() > most_notices) notices_.pop_front();
}

bool Ui::shows_notice(const std::string& part) const {
    return std::any_of(notices_.begin(), notices_.end(),
                       [&](const Notice& notice) { return notice.text.find(part) != std::string::npos; });
}

void Ui::saved(const std::string& problem) {
    if (!problem.empty()) tell(problem);
}

void Ui::save_settings() {
    settings_.conversation = conversation_.messages().empty() ? "" : conversation_.id;
    saved(settings_.write(places_.settings));
}

void Ui::open_model(const std::string& path) {
    settings_.model = path;
    out_.push_back(LoadModel{path, settings_.device, settings_.n_ctx, settings_.kv});
    std::erase(settings_.recent, path);
    settings_.recent.insert(settings_.recent.begin(), path);
    if (settings_.recent.size() > most_recent) settings_.recent.pop_back();
    save_settings();
}

/// What panels ask: of the window itself, or of the inference thread.
void Ui::route(Requests&& requests) {
    for (Request& request : requests) {
        if (const auto* show = std::get_if<ShowToken>(&request))
            snapshot_.selected = show->position;
        else if (const auto* hover = std::get_if<Hover>(&request))
            snapshot_.hovered = hover->position;
        else if (const auto* travel = std::get_if<TravelTo>(&request))
            snapshot_.travel = travel->length;
        else if (const auto* here = std::get_if<BranchHere>(&request))
            branch(here->position, here->id);
        else if (auto* save = std::get_if<SaveFile>(&request))
            save_path_ = (places_.documents / save->name).string(), saving_ = std::move(*save),
            open_save_ = true;
        else if (const auto* told = std::get_if<Tell>(&request))
            tell(told->text, false);
        else {
            if (const auto* load = std::get_if<LoadModel>(&request)) {
                settings_.n_ctx = load->n_ctx, settings_.kv = load->kv;
                if (!load->device.empty()) settings_.device = load->device;
                save_settings();
            }
            if (const auto* watch = std::get_if<Watch>(&request)) {
                snapshot_.watch = *watch;
                snapshot_.attention.keep_layer(watch->layer);
                snapshot_.attention.focus(watch->head);
            }
            if (std::holds_alternative<Pause>(request)) snapshot_.paused = true;
            if (std::holds_alternative<Resume>(request)) snapshot_.paused = false;
            if (const auto* time = std::get_if<TimeOperations>(&request)) snapshot_.timing = time->on;
            out_.push_back(std::move(request));
        }
    }
}

void Ui::new_conversation() {
    stop();
    if (store_)
        conversation_ = store_->create();
    else
        conversation_ = {};
    drawn_.clear(), first_tokens_.clear(), editing_.reset();
    answering_ = Message::none;
    focus_input_ = follow_ = true;
}

void Ui::show_conversation(const std::string& id) {
    stop();
    try {
        std::string damage;
        conversation_ = store_->open(id, &damage);
        if (!damage.empty()) tell(damage);
    } catch (const Error& error) {
        return tell(error.what());
    }
    drawn_.clear(), first_tokens_.clear(), editing_.reset();
    answering_ = Message::none;
    follow_ = true;
}

void Ui::send() {
    std::string text = input_;
    text.erase(0, std::min(text.find_first_not_of(" \n\r\t"), text.size()));
    if (text.empty()) return;
    if (!snapshot_.model) return tell(tr("No model is loaded: choose one above."));
    stop();
    input_.clear();
    const uint32_t added = conversation_.add(conversation_.last(), "user", text);
    if (store_) saved(store_->save_message(conversation_, added));
    answer(added);
}

uint32_t Ui::left_out(uint32_t last) const {
    if (!snapshot_.model) return 0;
    std::vector<uint32_t> path;
    double total = double(conversation_.system.size()) / bytes_a_token;
    for (uint32_t at = last; at != Message::none; at = conversation_.at(at).parent) {
        path.push_back(at);
        total += estimated_tokens(at);
    }
    std::reverse(path.begin(), path.end());
    const double room = full_share * snapshot_.model->n_ctx;
    uint32_t n = 0;
    while (n + 1 < path.size() && total > room) { // whole exchanges; the last message stays
        total -= estimated_tokens(path[n++]);
        while (n + 1 < path.size() && conversation_.at(path[n]).role != "user")
            total -= estimated_tokens(path[n++]);
    }
    return n;
}

uint32_t Ui::estimated_tokens(uint32_t message) const {
    const Message& m = conversation_.at(message);
    const size_t around = 8; // what a chat format puts around a turn
    const size_t n = m.tokens.empty() ? size_t(double(m.text.size()) / bytes_a_token) : m.tokens.size();
    return static_cast<uint32_t>(n + around);
}

/// Asks for the message after `after`, which may begin with tokens of another version.
void Ui::answer(uint32_t after, std::vector<int32_t> begin, std::vector<TokenChoice> known) {
    if (!snapshot_.model) return tell(tr("No model is loaded: choose one above."));
    stop();
    Answer request;
    request.answer = snapshot_.answer = next_answer_++;
    const uint32_t skipped = left_out(after);
    request.turns = conversation_.turns(after, snapshot_.model->path);
    const bool has_system = !request.turns.empty() && request.turns.front().role == "system";
    request.turns.erase(request.turns.begin() + has_system, request.turns.begin() + has_system + skipped);
    request.begin = std::move(begin);
    request.sampler = sampler();
    request.sampler.seed = settings_.seed;
    request.paused = snapshot_.paused;
    answering_ = conversation_.add(after, "assistant", "");
    Message& message = conversation_.at(answering_);
    message.model = snapshot_.model->path, message.known = std::move(known);
    if (store_) saved(store_->save_message(conversation_, answering_));
    snapshot_.generating = true, snapshot_.travel.reset(), snapshot_.selected.reset();
    answer_tokens_ = 0;
    follow_ = true;
    out_.push_back(std::move(request));
}

SamplerOptions Ui::sampler() const {
    if (settings_.sampler) return *settings_.sampler;
    return snapshot_.model ? snapshot_.model->sampler.over({}) : SamplerOptions{};
}

void Ui::regenerate(uint32_t message) {
    ++settings_.seed; // the same one would give the same answer
    answer(conversation_.at(message).parent);
}

void Ui::edit_to(uint32_t message, const std::string& text) {
    stop();
    const uint32_t parent = conversation_.at(message).parent;
    const std::string role = conversation_.at(message).role;
    const uint32_t added = conversation_.add(parent, role, text);
    if (store_) saved(store_->save_message(conversation_, added));
    editing_.reset();
    if (role == "user") answer(added);
}

std::optional<std::pair<uint32_t, uint32_t>> Ui::token_at(uint32_t position) const {
    for (const auto& [message, first] : first_tokens_)
        if (position >= first && position - first < conversation_.at(message).tokens.size())
            return {{message, position - first}};
    return {};
}

/// The same answer up to a token, then another one.
void Ui::branch(uint32_t position, int32_t id) {
    const auto place = token_at(position);
    if (!place) return tell(tr("This token belongs to no answer of this conversation."));
    const Message& from = conversation_.at(place->first);
    std::vector<int32_t> begin;
    std::vector<TokenChoice> known;
    for (uint32_t i = 0; i < place->second; ++i) {
        begin.push_back(from.tokens[i].choice.id);
        known.push_back(from.tokens[i].choice);
    }
    TokenChoice chosen = from.tokens[place->second].choice;
    chosen.id = id;
    for (const Candidate& candidate : chosen.candidates)
        if (candidate.id == id) chosen.p = candidate.p;
    begin.push_back(id), known.push_back(std::move(chosen));
    answer(from.parent, std::move(begin), std::move(known));
}

void Ui::stop() {
    if (snapshot_.generating) out_.push_back(Stop{});
}

void Ui::on_loaded(Loaded&& loaded) {
    snapshot_.loading.reset(), snapshot_.prompt.reset();
    RunningModel& m = loaded.model;
    const bool other = !snapshot_.model || snapshot_.model->path != m.path ||
                       snapshot_.attention.n_layers() != m.spec.n_layers ||
                       snapshot_.attention.n_heads() != m.spec.n_heads;
    for (const std::string& notice : m.notices) tell(notice);
    settings_.model = m.path, settings_.kv = m.kv;
    snapshot_.model = std::move(m);
    if (other) {
        snapshot_.attention.reset(snapshot_.model->spec.n_layers, snapshot_.model->spec.n_heads);
        snapshot_.sequence.clear(), snapshot_.norms.clear(), snapshot_.times.reset(),
            snapshot_.compared.reset();
        snapshot_.travel.reset(), snapshot_.selected.reset(), first_tokens_.clear();
        attention_.layer = attention_.head = 0;
        Requests watch{Watch{0u, true}};
        route(std::move(watch));
    }
}

void Ui::on_sequence(SequenceBegun&& begun) {
    auto& sequence = snapshot_.sequence;
    // What the old and the new sequence share was read already.
    uint32_t same = 0;
    while (same < sequence.size() && same < begun.ids.size() && sequence[same].id == begun.ids[same]) ++same;
    sequence.resize(same);
    snapshot_.attention.truncate(same);
    for (uint32_t i = same; i < begun.ids.size(); ++i)
        sequence.push_back({begun.ids[i], std::move(begun.labels[i]), false, {}});
    snapshot_.norms.clear();
    // Answers stand in the sequence as the model wrote them.
    first_tokens_.clear();
    auto from = begun.ids.begin();
    for (const uint32_t at : conversation_.path()) {
        std::vector<int32_t> ids;
        for (const AnswerToken& token : conversation_.at(at).tokens) ids.push_back(token.choice.id);
        if (ids.empty()) continue;
        const auto found = std::search(from, begun.ids.end(), ids.begin(), ids.end());
        if (found == begun.ids.end()) continue;
        const auto first = static_cast<uint32_t>(found - begun.ids.begin());
        first_tokens_[at] = first;
        for (uint32_t i = 0; i < ids.size(); ++i) {
            sequence[first + i].generated = true;
            sequence[first + i].choice = conversation_.at(at).tokens[i].choice;
        }
        from = found + std::ptrdiff_t(ids.size());
    }
}

void Ui::on_token(TokenMade&& token) {
    snapshot_.prompt.reset();
    if (token.answer != snapshot_.answer || answering_ == Message::none) return;
    Message& m = conversation_.at(answering_);
    const size_t index = m.tokens.size();
    if (index < m.known.size() && token.choice.candidates.empty()) token.choice = m.known[index];
    if (index == 0) first_tokens_[answering_] = token.position;
    auto& sequence = snapshot_.sequence;
    sequence.resize(token.position);
    sequence.push_back({token.choice.id, std::move(token.label), true, token.choice});
    m.text += token.text;
    m.tokens.push_back({std::move(token.choice), std::move(token.text)});
    if (store_) saved(store_->save_token(conversation_, answering_));
    if (answer_tokens_++ == 0) answer_began_ = ImGui::GetTime();
    const double seconds = ImGui::GetTime() - answer_began_;
    if (seconds > 0.2) snapshot_.tokens_per_second = (answer_tokens_ - 1) / seconds;
}

void Ui::on_end(AnswerEnded&& ended) {
    if (ended.answer != snapshot_.answer) return;
    snapshot_.generating = false, snapshot_.prompt.reset();
    if (answering_ == Message::none) return; // its conversation was left
    Message& m = conversation_.at(answering_);
    if (!ended.text.empty()) {
        m.text += ended.text;
        if (store_) saved(store_->save_text(conversation_, answering_));
    }
    m.why = ended.why;
    m.known.clear();
    if (ended.seconds > 0 && ended.tokens > 1)
        m.tokens_per_second = snapshot_.tokens_per_second = ended.tokens / ended.seconds;
    const uint32_t computed = ended.prompt_tokens > ended.reused ? ended.prompt_tokens - ended.reused : 0;
    if (ended.prompt_seconds > 0 && computed)
        m.prompt_tokens_per_second = snapshot_.prompt_tokens_per_second = computed / ended.prompt_seconds;
    if (store_) saved(store_->save_end(conversation_, answering_));
    if (ended.why == "context")
        tell(tr("The context is full: the answer was cut, nothing is lost. Go on in a new conversation or "
                "with a longer context."));
    answering_ = Message::none;
    save_settings();
}

void Ui::on_failed(Failed&& failed) {
    tell(failed.message);
    snapshot_.loading.reset(), snapshot_.prompt.reset();
    if (failed.kept) {
        settings_.model = failed.kept->path, settings_.device = failed.kept->device;
        settings_.n_ctx = failed.kept->n_ctx, settings_.kv = failed.kept->kv;
        save_settings();
    }
    if (!failed.unloaded) return;
    snapshot_.model.reset();
    AnswerEnded ended; // nobody is left to end it
    ended.answer = snapshot_.answer, ended.why = "error";
    if (snapshot_.generating) on_end(std::move(ended));
}

void Ui::apply(Event&& event) {
    std::visit(
        [this](auto&& e) {
            using E = std::decay_t<decltype(e)>;
            if constexpr (std::is_same_v<E, Loading>)
                snapshot_.loading = std::move(e);
            else if constexpr (std::is_same_v<E, Loaded>)
                on_loaded(std::move(e));
            else if constexpr (std::is_same_v<E, SequenceBegun>)
                on_sequence(std::move(e));
            else if constexpr (std::is_same_v<E, PromptProgressed>)
                snapshot_.prompt = e.done < e.total ? std::optional(e) : std::nullopt;
            else if constexpr (std::is_same_v<E, TokenMade>)
                on_token(std::move(e));
            else if constexpr (std::is_same_v<E, AnswerEnded>)
                on_end(std::move(e));
            else if constexpr (std::is_same_v<E, RowsRead>) {
                std::vector<int32_t> ids;
                for (const SequenceToken& token : snapshot_.sequence) ids.push_back(token.id);
                if (e.rows.first + e.rows.n_queries <= ids.size()) snapshot_.attention.add(e.rows, ids);
            } else if constexpr (std::is_same_v<E, NormsRead>)
                snapshot_.norms[e.layer] = std::move(e.norms);
            else if constexpr (std::is_same_v<E, PagesChanged>)
                snapshot_.pages = std::move(e.pages), snapshot_.memory = e.memory;
            else if constexpr (std::is_same_v<E, Timed>) {
                double all = 0, probes = 0;
                for (const ProfileEntry& entry : e.profile) {
                    all += entry.ms;
                    if (entry.op == "probe") probes += entry.ms;
                }
                snapshot_.probe_share = all > 0 ? probes / all : 0;
                snapshot_.times = std::move(e);
            } else if constexpr (std::is_same_v<E, Compared>)
                snapshot_.compared = std::move(e);
            else if constexpr (std::is_same_v<E, Failed>)
                on_failed(std::move(e));
        },
        std::move(event));
}

} // namespace kvasir::ui
