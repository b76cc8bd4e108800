#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

namespace kvasir {

/// A file of raw float32.
inline std::vector<float> read_floats(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    REQUIRE_MESSAGE(file, path.string());
    std::vector<float> values(size_t(file.tellg()) / sizeof(float));
    file.seekg(0);
    file.read(reinterpret_cast<char*>(values.data()), std::streamsize(values.size() * sizeof(float)));
    return values;
}

/// A file of token ids with white space between them.
inline std::vector<int32_t> read_ids(const std::filesystem::path& path) {
    std::ifstream file(path);
    REQUIRE_MESSAGE(file, path.string());
    return {std::istream_iterator<int32_t>(file), {}};
}

/// The 17 models whose logits other programs gave, and their families.
inline const std::vector<std::pair<std::string, std::string>> arch_models = {{"bloom", "bloom"},
                                                                             {"deepseek2-dense", "deepseek2"},
                                                                             {"falcon-mqa", "falcon"},
                                                                             {"gemma", "gemma"},
                                                                             {"gpt2", "gpt2"},
                                                                             {"gptj", "gptj"},
                                                                             {"gptneox-parallel", "gptneox"},
                                                                             {"llama-gqa", "llama"},
                                                                             {"llama-hd80", "llama"},
                                                                             {"llama-linear-rope", "llama"},
                                                                             {"llama3-ropefreqs", "llama"},
                                                                             {"mixtral-4x2", "llama"},
                                                                             {"mpt", "mpt"},
                                                                             {"mpt-n300", "mpt"},
                                                                             {"phi3-swa32", "phi3"},
                                                                             {"qwen2", "qwen2"},
                                                                             {"qwen3", "qwen3"}};

/// The ids that NAME's golden logits belong to.
inline std::vector<int32_t> arch_ids(const std::filesystem::path& arch, const std::string& name) {
    const auto own = arch / (name + ".ids.txt");
    return read_ids(std::filesystem::exists(own) ? own : arch / "ids.txt");
}

template <class T>
size_t argmax(std::span<const T> row) {
    return size_t(std::max_element(row.begin(), row.end()) - row.begin());
}

/// Every logit within `limit` of the golden ones' root mean square, and the same best token at every
/// position. Gives the largest difference in these terms.
template <class T, class G>
double check_logits(std::span<const T> logits, std::span<const G> golden, size_t n_vocab, double limit) {
    REQUIRE(logits.size() == golden.size());
    double square = 0, worst = 0;
    for (size_t i = 0; i < golden.size(); ++i) {
        REQUIRE(std::isfinite(double(logits[i])));
        square += double(golden[i]) * double(golden[i]) / double(golden.size());
        worst = std::max(worst, std::abs(double(logits[i]) - double(golden[i])));
    }
    CHECK(worst / std::sqrt(square) < limit);
    size_t other_best = 0;
    for (size_t row = 0; row < golden.size(); row += n_vocab)
        if (argmax(logits.subspan(row, n_vocab)) != argmax(golden.subspan(row, n_vocab))) ++other_best;
    CHECK(other_best == 0);
    return worst / std::sqrt(square);
}

} // namespace kvasir
