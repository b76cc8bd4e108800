#pragma once

#include "runtime/error.hpp"
#include "runtime/text/vocabulary.hpp"

#include <string>
#include <string_view>

namespace kvasir {

/// Line `index` of a vocabulary's list of merges, "left right": the tokens it joins and the one it makes.
/// Throws Error, reading `what`, where one of them is none.
struct MergeLine {
    MergeLine(std::string_view line, std::size_t index, const Vocabulary& vocabulary, const char* what) {
        const auto refuse = [&](const std::string& why) {
            throw Error(what, "merge " + std::to_string(index) + ", " + quoted(line) + ", " + why,
                        "another copy of the model, or converting it again");
        };
        std::size_t space = line.find(' ');
        const bool blank = line.find_first_not_of(' ') == std::string_view::npos; // of tokens that are spaces
        if (space == std::string_view::npos || (!blank && (space == 0 || space + 1 == line.size())))
            refuse("is not two parts with a space between");
        // Tokens of some vocabularies have spaces in them: the cut is where it leaves two tokens.
        for (; space != std::string_view::npos; space = line.find(' ', space + 1)) {
            left = vocabulary.find(line.substr(0, space));
            right = vocabulary.find(line.substr(space + 1));
            if (left >= 0 && right >= 0) break;
        }
        if (left < 0 || right < 0) refuse("joins a part that is no token");
        const std::string both = vocabulary.labels[static_cast<std::size_t>(left)] +
                                 vocabulary.labels[static_cast<std::size_t>(right)];
        merged = vocabulary.find(both);
        if (merged < 0) refuse("makes " + quoted(both) + ", which is no token");
    }

    int32_t left = -1, right = -1, merged = -1;
};

} // namespace kvasir
