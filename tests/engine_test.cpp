// The thread that runs the model for the window: what it makes of requests, on a device.
#include "app/worker.hpp"
#include "tests/process.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <variant>

namespace kvasir {
namespace {

/// A worker with a tiny model, and everything that it said.
class Desk {
  public:
    explicit Desk(uint32_t n_ctx = 256) : n_ctx_(n_ctx), worker_([this] { ring(); }) {
        write_tiny_model(path);
        worker_.post(ui::LoadModel{path, "", n_ctx, KvType::f32});
    }

    Folder folder;
    std::string path = folder / "m.gguf";
    std::vector<ui::Event> events;

    void post(ui::Request request) { worker_.post(std::move(request)); }

    /// The next event of one of these kinds, those before it passed over; fails the test where none comes.
    template <class... Kinds>
    std::variant<Kinds...> next_of() {
        for (;;) {
            for (; seen_ < events.size(); ++seen_) {
                std::optional<std::variant<Kinds...>> found;
                ((std::holds_alternative<Kinds>(events[seen_]) ? found = std::get<Kinds>(events[seen_])
                                                               : found),
                 ...);
                if (!found) continue;
                ++seen_;
                return *found;
            }
            std::unique_lock lock(mutex_);
            const bool came = rang_.wait_for(lock, std::chrono::seconds(120), [this] { return ringing_; });
            REQUIRE_MESSAGE(came, "nothing came from the worker");
            ringing_ = false;
            lock.unlock();
            for (ui::Event& event : worker_.take()) events.push_back(std::move(event));
        }
    }
    template <class Kind>
    Kind next() {
        return std::get<Kind>(next_of<Kind>());
    }

    /// Ids of an answer, at most n and then stopped.
    std::vector<int32_t> answer(ui::Answer request, uint32_t n) {
        request.answer = ++answers_;
        post(request);
        std::vector<int32_t> ids;
        for (;;) {
            const auto event = next_of<ui::TokenMade, ui::AnswerEnded>();
            if (std::holds_alternative<ui::AnswerEnded>(event)) return ids;
            if (ids.size() < n) ids.push_back(std::get<ui::TokenMade>(event).choice.id);
            if (ids.size() == n) post(ui::Stop{});
        }
    }

    /// A message that the model, greedy, answers with at least n tokens.
    std::string lasting(uint32_t n) {
        for (char c = 'a'; c <= 'z'; ++c) {
            ui::Answer request;
            request.turns = {{"user", std::string(3, c), {}}};
            request.sampler.temperature = 0;
            if (answer(request, n).size() == n) return request.turns[0].text;
        }
        FAIL("every answer of the tiny model is shorter than ", n);
        return "";
    }

  private:
    void ring() {
        {
            const std::lock_guard lock(mutex_);
            ringing_ = true;
        }
        rang_.notify_one();
    }
    uint32_t n_ctx_;
    std::mutex mutex_;
    std::condition_variable rang_;
    bool ringing_ = false;
    size_t seen_ = 0;
    uint64_t answers_ = 0;
    Worker worker_; // last: its thread rings
};

ui::Answer asking(const std::string& text, SamplerOptions sampler = {.temperature = 0}) {
    ui::Answer request;
    request.turns = {{"user", text, {}}};
    request.sampler = sampler;
    return request;
}

TEST_CASE("engine: a watched answer is the unwatched one, its rows sum to 1, its choices are likely") {
    Desk desk;
    const auto loaded = desk.next<ui::Loaded>();
    CHECK(loaded.model.n_ctx == 256);
    CHECK(loaded.model.kv_bytes > 0);
    const std::string text = desk.lasting(12);
    const auto plain = desk.answer(asking(text), 12);

    Desk watched;
    watched.next<ui::Loaded>();
    watched.post(ui::Watch{1u, true});
    const auto same = watched.answer(asking(text), 12);
    CHECK(same == plain);
    std::vector<bool> layers(2);
    uint32_t n_rows = 0;
    for (const ui::Event& event : watched.events) {
        if (const auto* read = std::get_if<ui::RowsRead>(&event)) {
            layers.at(read->rows.layer) = true;
            for (uint32_t row = 0; row < read->rows.n_queries * read->rows.n_heads; ++row, ++n_rows) {
                double sum = 0;
                for (uint32_t key = 0; key < read->rows.n_keys; ++key)
                    sum += read->rows.p[row * read->rows.n_keys + key];
                CHECK(sum == doctest::Approx(1).epsilon(1e-5));
            }
        }
        if (const auto* token = std::get_if<ui::TokenMade>(&event)) {
            const ui::TokenChoice& choice = token->choice;
            REQUIRE(!choice.candidates.empty());
            CHECK(choice.labels.size() == choice.candidates.size());
            CHECK(choice.candidates.front().id == choice.id); // greedy
            CHECK(choice.p == doctest::Approx(choice.candidates.front().p));
        }
    }
    CHECK(n_rows > 0);
    CHECK(layers == std::vector<bool>{true, true}); // the survey reads the other layer too
}

TEST_CASE("engine: an answer can begin with tokens of another one") {
    Desk desk;
    desk.next<ui::Loaded>();
    const std::string text = desk.lasting(8);
    const auto first = desk.answer(asking(text), 8);
    ui::Answer branch = asking(text);
    branch.begin = {first[0], first[1], first[2] == 70 ? 71 : 70};
    const auto second = desk.answer(branch, 3);
    CHECK(second == branch.begin);
    ui::Answer again = asking(text);
    again.begin = {first[0], first[1]};
    CHECK(desk.answer(again, 8) == first);
}

TEST_CASE("engine: paused, it makes a token for each step") {
    Desk desk;
    desk.next<ui::Loaded>();
    const std::string text = desk.lasting(12);
    ui::Answer request = asking(text);
    request.answer = 700, request.paused = true;
    desk.post(request);
    desk.next<ui::SequenceBegun>();
    desk.post(ui::StepToken{});
    const auto first = desk.next<ui::TokenMade>();
    desk.post(ui::ReadNorms{0}); // answered while it waits: nothing was made meanwhile
    const auto norms = desk.next<ui::NormsRead>();
    CHECK(norms.norms.n_keys == first.position + 1);
    desk.post(ui::StepToken{});
    CHECK(desk.next<ui::TokenMade>().position == first.position + 1);
    desk.post(ui::Resume{});
    for (int i = 0; i < 5; ++i) desk.next<ui::TokenMade>();
    desk.post(ui::Stop{});
    CHECK(desk.next<ui::AnswerEnded>().why == "stopped");
}

TEST_CASE("engine: slopes given to a model without ALiBi change the text and go again; the comparison tells "
          "by how much") {
    Desk desk;
    const auto loaded = desk.next<ui::Loaded>();
    const std::string text = desk.lasting(10);
    const auto plain = desk.answer(asking(text), 10);
    ui::PositionEdit edit;
    edit.slopes = alibi_slopes(loaded.model.spec.n_heads, 8);
    desk.post(ui::EditPositions{edit});
    CHECK(desk.next<ui::Loaded>().model.slopes == edit.slopes);
    desk.post(ui::ComparePositions{6});
    const auto compared = desk.next<ui::Compared>();
    REQUIRE(!compared.kl.empty());
    CHECK(*std::max_element(compared.kl.begin(), compared.kl.end()) > 1e-6f);
    for (float& slope : edit.slopes) slope = 0;
    desk.post(ui::EditPositions{edit});
    desk.next<ui::Loaded>();
    CHECK(desk.answer(asking(text), 10) == plain); // slopes of 0 are no ALiBi
    desk.post(ui::EditPositions{});
    CHECK(desk.next<ui::Loaded>().model.slopes.empty());
    CHECK(desk.answer(asking(text), 10) == plain);
}

TEST_CASE("engine: a sequence read again gives the rows of a layer that was not watched") {
    Desk desk;
    desk.next<ui::Loaded>();
    desk.answer(asking(desk.lasting(20)), 20);
    desk.post(ui::Watch{1u, false});
    desk.post(ui::Replay{});
    const auto rows = desk.next<ui::RowsRead>().rows;
    CHECK(rows.layer == 1);
    CHECK(rows.first == 0);
    CHECK(rows.n_queries > 20);
}

TEST_CASE("engine: what cannot be done is told, and what ran goes on") {
    Desk desk(64);
    desk.next<ui::Loaded>();
    desk.post(asking(std::string(400, 'a')));
    CHECK(desk.next<ui::AnswerEnded>().why == "error");
    CHECK(desk.next<ui::Failed>().message.find("the context holds 64") != std::string::npos);
    CHECK(!desk.answer(asking("a"), 1).empty());

    ui::PositionEdit wrong;
    wrong.slopes = {1};
    desk.post(ui::EditPositions{wrong});
    CHECK(desk.next<ui::Failed>().message.find("one for each of the") != std::string::npos);

    write_file(desk.folder / "damaged.gguf", "GGUF");
    const std::string other = desk.folder / "other.gguf"; // fits, but not with such a cache
    write_tiny_model(other);
    const ui::LoadModel refused[] = {{other, "", 1u << 30, KvType::f16},
                                     {desk.folder / "missing.gguf", "", 0, KvType::f16},
                                     {desk.folder / "damaged.gguf", "", 0, KvType::f16},
                                     {desk.path, "no such device", 0, KvType::f16},
                                     {desk.path, "", 1u << 30, KvType::f16}}; // a cache that no device has
    const std::string reasons[] = {"a smaller --context", "missing.gguf", "damaged.gguf", "no such device",
                                   "a smaller --context"};
    for (size_t i = 0; i < std::size(refused); ++i) {
        CAPTURE(reasons[i]);
        desk.post(refused[i]);
        if (i == 0) CHECK(desk.next<ui::Loaded>().model.path == desk.path); // again
        const auto failed = desk.next<ui::Failed>();
        CAPTURE(failed.message);
        CHECK(failed.message.find(reasons[i]) != std::string::npos);
        CHECK(!failed.unloaded);
        REQUIRE(failed.kept);
        CHECK(failed.kept->path == desk.path);
        CHECK(failed.kept->n_ctx == 64);
        CHECK(!desk.answer(asking("a"), 1).empty());
    }
    desk.post(ui::LoadModel{desk.path, "", 128, KvType::q8_0});
    CHECK(desk.next<ui::Loaded>().model.kv == KvType::q8_0);
    CHECK(!desk.answer(asking("a"), 1).empty());
}

TEST_CASE("engine: without a model that is told, and one that fits is loaded then") {
    Desk desk(1u << 30); // a cache that no device has
    CHECK(desk.next<ui::Failed>().unloaded);
    desk.post(asking("a"));
    CHECK(desk.next<ui::Failed>().message.find("no model is loaded") != std::string::npos);
    desk.post(ui::LoadModel{desk.path, "", 128, KvType::q8_0});
    CHECK(desk.next<ui::Loaded>().model.kv == KvType::q8_0);
    CHECK(!desk.answer(asking("a"), 1).empty());
}

TEST_CASE("engine: the context is filled to its end, and timing tells every operation") {
    Desk desk(64);
    desk.next<ui::Loaded>();
    desk.post(ui::TimeOperations{true});
    desk.next<ui::Loaded>();
    desk.post(asking(desk.lasting(40)));
    CHECK(desk.next<ui::AnswerEnded>().why == "context");
    const auto timed = desk.next<ui::Timed>();
    CHECK(timed.copy_bytes_s > 0);
    CHECK(std::any_of(timed.profile.begin(), timed.profile.end(),
                      [](const ProfileEntry& e) { return e.layer == 1 && e.ms > 0; }));
}

} // namespace
} // namespace kvasir
