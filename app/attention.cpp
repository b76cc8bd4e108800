#include "app/commands.hpp"
#include "app/models.hpp"
#include "app/output.hpp"
#include "app/terminal.hpp"
#include "runtime/attention_map.hpp"
#include "runtime/error.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace kvasir {

namespace {

void check(const char* what, uint32_t asked, uint32_t count) {
    if (asked >= count)
        throw Error(std::string("attention of ") + what + " " + std::to_string(asked),
                    "the model has " + std::to_string(count) + " " + what + "s",
                    std::string("a ") + what + " from 0 to " + std::to_string(count - 1));
}

/// Copies what one chunk of queries saw into the map.
void gather(AttentionMap& map, const AttentionRows& rows) {
    const size_t n = map.n();
    assert(rows.first + rows.n_queries <= n && rows.n_keys <= n);
    for (size_t h = 0; h < map.heads.size(); ++h)
        for (size_t q = 0; q < rows.n_queries; ++q) {
            const float* from = rows.p.data() + (q * rows.n_heads + map.heads[h]) * rows.n_keys;
            std::copy_n(from, rows.n_keys, map.p.data() + (h * n + rows.first + q) * n);
        }
}

/// Each row sums to 1: a row that the probe left out would be drawn as if the head saw nothing.
[[maybe_unused]] bool complete(const AttentionMap& map) {
    for (size_t h = 0; h < map.heads.size(); ++h)
        for (size_t q = 0; q < map.n(); ++q) {
            const float* row = map.row(h, q);
            if (std::abs(std::accumulate(row, row + map.n(), 0.0) - 1) > 1e-3) return false;
        }
    return true;
}

AttentionMap watch(Running& running, const AttentionOptions& options) {
    const ModelSpec& spec = running.model.spec;
    const Tokenizer& tokenizer = running.model.tokenizer;
    check("layer", options.layer, spec.n_layers);
    if (options.head) check("head", *options.head, spec.n_heads);

    AttentionMap map;
    map.layer = options.layer;
    map.heads.assign(1, options.head.value_or(0));
    if (!options.head) {
        map.heads.resize(spec.n_heads);
        std::iota(map.heads.begin(), map.heads.end(), 0u);
    }
    map.ids = encode_raw(tokenizer, options.prompt == "-" ? read_text("-") : options.prompt);
    for (int32_t id : map.ids) map.tokens.push_back(tokenizer.label(id));
    map.p.assign(map.heads.size() * map.n() * map.n(), 0);

    running.session.watch({options.layer});
    running.session.on_attention = [&](const AttentionRows& rows) { gather(map, rows); };
    running.session.prompt(map.ids, [](uint32_t, uint32_t) { return interrupts() == 0; });
    running.session.on_attention = {};
    throw_if_interrupted();
    assert(complete(map));
    return map;
}

/// The strongest keys of each query, a table a head.
std::string strongest_keys(const AttentionMap& map) {
    constexpr size_t shown = 4;
    std::string text;
    for (size_t h = 0; h < map.heads.size(); ++h) {
        std::vector<std::vector<std::string>> rows;
        for (size_t q = 0; q < map.n(); ++q) {
            std::vector<size_t> keys(q + 1);
            std::iota(keys.begin(), keys.end(), size_t{0});
            const float* p = map.row(h, q);
            const auto end = keys.begin() + static_cast<ptrdiff_t>(std::min(shown, keys.size()));
            std::partial_sort(keys.begin(), end, keys.end(),
                              [p](size_t a, size_t b) { return p[a] != p[b] ? p[a] > p[b] : a < b; });
            std::vector<std::string> row{std::to_string(q), one_line(map.tokens[q])};
            for (auto key = keys.begin(); key != end; ++key) {
                row.push_back(fixed(p[*key], 3));
                row.push_back(std::to_string(*key) + ":" + one_line(map.tokens[*key]));
            }
            rows.push_back(std::move(row));
        }
        text += (h ? "\n" : "") +
                ("layer " + std::to_string(map.layer) + " head " + std::to_string(map.heads[h])) +
                ": each query with its strongest keys\n" + table(rows);
    }
    return text;
}

} // namespace

int run(const AttentionOptions& options) {
    model_path(options.model.model);
    std::optional<OutputFile> file;
    if (!options.out.empty()) file.emplace(options.out);
    Running running(options.model);
    const AttentionMap map = watch(running, options);
    if (!file) {
        print(strongest_keys(map));
        return 0;
    }
    const Sink write = [&file](std::string_view bytes) { file->write(bytes); };
    if (options.out.ends_with(".png"))
        write_png(write, map);
    else if (options.out.ends_with(".npy"))
        write_npy(write, map);
    else
        write_json(write, map);
    file->commit();
    return 0;
}

} // namespace kvasir
