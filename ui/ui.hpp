#pragma once

#include "ui/conversation_store.hpp"
#include "ui/markdown.hpp"
#include "ui/panels.hpp"
#include "ui/settings.hpp"

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kvasir::ui {

/// Where the window keeps things.
struct Places {
    std::filesystem::path conversations; ///< folder
    std::filesystem::path settings;      ///< file
    std::filesystem::path documents;     ///< folder that exports are proposed for
    std::vector<std::string> built_in;   ///< names that are models
};

/// The window's inside: all it knows and all it draws, without the display and without the model. Events of
/// the inference thread go in, requests for it come out.
class Ui {
  public:
    /// model, device: what to begin with; empty: as settings say.
    Ui(Places places, std::string model, std::string device);
    ~Ui();

    void apply(Event&& event);
    /// A frame, between ImGui::NewFrame and ImGui::Render.
    void draw();
    /// What the inference thread should do since the last call.
    Requests take();

    /// A file was dropped on the window.
    void open_model(const std::string& path);
    void tell(const std::string& text, bool bad = true);
    void frame_took(double ms) { snapshot_.frame_ms = ms; }
    void set_scale(float dpi_scale);
    /// A panel is not done with what it shows.
    bool wants_frame() const { return attention_.busy; }
    /// Keeps what should be there next time.
    void close() { save_settings(); }

    /// Of the window: "Kvasir - MODEL", and what it is busy with.
    std::string title() const;
    const Snapshot& snapshot() const { return snapshot_; }
    const Conversation& conversation() const { return conversation_; }
    Settings& settings() { return settings_; }
    /// A text is anywhere in the notices that are shown.
    bool shows_notice(const std::string& part) const;

  private:
    struct Notice {
        std::string text;
        bool bad = true;
    };
    /// A message as it is drawn.
    struct Drawn {
        size_t bytes = SIZE_MAX; ///< of the text it was made from
        Markdown markdown;
        Selection selection;
        float height = 0;
    };

    // ui.cpp: what happens
    void route(Requests&& requests);
    void send();
    void answer(uint32_t after, std::vector<int32_t> begin = {}, std::vector<TokenChoice> known = {});
    SamplerOptions sampler() const; ///< the user's own, else the model's
    void regenerate(uint32_t message);
    void edit_to(uint32_t message, const std::string& text);
    void branch(uint32_t position, int32_t id);
    void stop();
    void new_conversation();
    void show_conversation(const std::string& id);
    void saved(const std::string& problem);
    void save_settings();
    void on_token(TokenMade&& token);
    void on_end(AnswerEnded&& ended);
    void on_sequence(SequenceBegun&& begun);
    void on_loaded(Loaded&& loaded);
    void on_failed(Failed&& failed);
    /// Messages at the beginning that no longer fit when the one after `last` is written.
    uint32_t left_out(uint32_t last) const;
    uint32_t estimated_tokens(uint32_t message) const;
    std::optional<std::pair<uint32_t, uint32_t>> token_at(uint32_t position) const; ///< message, index

    // frame.cpp: the whole
    void apply_look();
    void keys();
    std::string model_name() const;
    void toolbar();
    void status_line();
    void notices();
    void columns();
    void side_tabs();
    void splitter(const char* name, double& share, double sign);
    // dialogs.cpp
    void model_dialog();
    void device_menu();
    void settings_dialog();
    void save_dialog();
    void sampler_settings();
    // chat_panel.cpp
    void chat();
    void conversation_list();
    void message(uint32_t index);
    void message_tokens(uint32_t index);
    void message_buttons(uint32_t index);
    void context_meter();
    void input_box();

    Places places_;
    Settings settings_;
    std::unique_ptr<ConversationStore> store_;
    Conversation conversation_;
    Snapshot snapshot_;
    Requests out_;
    std::deque<Notice> notices_;

    uint64_t next_answer_ = 1;
    uint32_t answering_ = Message::none;        ///< the message that snapshot_.answer writes
    std::map<uint32_t, uint32_t> first_tokens_; ///< message -> position of its first token in the sequence

    AttentionPanel attention_;
    AlibiPanel alibi_;
    KvPanel kv_;
    DevicePanel device_;
    InspectorPanel inspector_;

    std::map<uint32_t, Drawn> drawn_; ///< by message
    std::string input_, search_, rename_, edit_text_, model_path_, browse_, preset_name_, save_path_;
    std::optional<uint32_t> editing_;
    std::optional<SaveFile> saving_;
    bool follow_ = true, focus_input_ = true, focus_edit_ = false, show_list_ = false, look_changed_ = true;
    bool open_models_ = false, open_settings_ = false, open_save_ = false;
    std::optional<std::vector<ConversationStore::Entry>> found_; ///< with search_ in them
    float dpi_scale_ = 1, chat_width_ = 0;
    double answer_began_ = 0;
    uint32_t answer_tokens_ = 0;
};

} // namespace kvasir::ui
