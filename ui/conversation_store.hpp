#pragma once

#include "ui/conversation.hpp"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace kvasir::ui {

/// Conversations in a folder, a file each: JSON Lines, to which every change appends a line as it happens, so
/// that a program that is killed loses at most the line being written. A line that cannot be written is no
/// loss either: the next change writes the whole file anew. Lines:
///   {"kvasir": 1, "system": S}                              first
///   {"title": T}                                            second, where it was renamed
///   {"system": S}                                           since then
///   {"message": N, "parent": P | null, "role": R, "text": T, "model": M}
///   {"token": [N, id, text, p, entropy]}
///   {"text": N, "is": T}                                    replaces what tokens gave
///   {"end": N, "why": W, "tokens_per_second": X, "prompt_tokens_per_second": X}
///   {"chosen": N}                                           the message that was shown last; several: forks
class ConversationStore {
  public:
    /// Makes the folder, and reads the beginning of each file in it. Throws Error where it cannot make it.
    explicit ConversationStore(std::filesystem::path folder);
    ~ConversationStore();

    struct Entry {
        std::string id, name;
        int64_t changed = 0;
    };
    /// The conversations, the newest first.
    const std::vector<Entry>& list() const { return entries_; }
    /// Those with the words in their title or text.
    std::vector<Entry> search(const std::string& words) const;

    Conversation create();
    /// Throws Error where the file cannot be read; a line that is damaged is left out, told of in `damage`,
    /// and the file is copied beside it as ".broken".
    Conversation open(const std::string& id, std::string* damage = nullptr) const;
    void remove(const std::string& id);

    // Each writes what has changed. Gives an error's text, empty where all is saved.
    std::string save_message(const Conversation& c, uint32_t message);
    std::string save_token(const Conversation& c, uint32_t message);
    std::string save_text(const Conversation& c, uint32_t message);
    std::string save_end(const Conversation& c, uint32_t message);
    std::string save_choice(const Conversation& c, uint32_t message);
    std::string save_title(const Conversation& c);
    std::string save_system(const Conversation& c);

  private:
    std::string append(const Conversation& c, const std::string& line);
    std::string rewrite(const Conversation& c);
    std::filesystem::path file_of(const std::string& id) const;
    void touch(const Conversation& c);

    struct Closer {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    std::filesystem::path folder_;
    std::vector<Entry> entries_;
    std::string open_id_; ///< whose file is open
    std::unique_ptr<std::FILE, Closer> file_;
    bool behind_ = false; ///< a line is missing in it
};

} // namespace kvasir::ui
