#include "tests/kernels/cases.hpp"
#include "tests/kernels/check.hpp"

#include "runtime/pack.hpp"

namespace kvasir::kernels {

std::vector<EmbedCase> embed_cases() {
    std::vector<EmbedCase> cases;
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_0}) {
        const std::string type = info(dtype).name;
        cases.push_back({type + ", whole chunks", {dtype}, 100, 128, 33});
        cases.push_back({type + ", a last half chunk", {dtype}, 33, 96, 3, 5});
        cases.push_back({type + ", learned positions", {dtype}, 31, 64, 7, 9, true});
        cases.push_back({type + ", three parts by size", {dtype}, 100, 64, 33, 0, false, 64 * 64 * 4});
    }
    cases.push_back({"ragged rows of F32", {DType::f32}, 257, 20, 31, 1});
    cases.push_back({"ragged rows of F16", {DType::f16}, 1, 257, 2});
    cases.push_back({"ragged rows of BF16", {DType::bf16}, 33, 31, 3, 0, true});
    cases.push_back(
        {"a part a type", {DType::q8_0, DType::f32, DType::q4_0, DType::f16, DType::bf16}, 257, 96, 65, 3});
    return cases;
}

/// A value is a weight as the file has it: 8 bits or less times a float16 scale are exact in float32, so
/// nothing is rounded, and a position adds one rounding.
CaseResult run(Device& device, const Tuning& tuning, const EmbedCase& one) {
    Random random;
    const auto matrices = random_matrices(random, one.dtypes, one.n_vocab, one.d_model);
    std::vector<TensorInfo> infos;
    for (const Matrix& matrix : matrices) infos.push_back(matrix.tensor());
    std::vector<const TensorInfo*> tensors;
    for (const TensorInfo& tensor : infos) tensors.push_back(&tensor);
    const Linear table = make_linear(device, tensors, false, "table", one.max_part_bytes);

    std::vector<int32_t> ids(one.n_tokens);
    for (auto& id : ids) id = static_cast<int32_t>(random.bits() % one.n_vocab);
    ids.back() = static_cast<int32_t>(one.n_vocab - 1);
    std::vector<uint32_t> sequence(one.pos, poison); // the ids before the step are not looked at
    sequence.insert(sequence.end(), ids.begin(), ids.end());
    const Buffer id_buffer = upload(device, sequence);
    Values positions(uint64_t(one.pos) * one.d_model, HUGE_VAL);
    const Values own = random.values(uint64_t(one.n_tokens) * one.d_model);
    positions.insert(positions.end(), own.begin(), own.end());
    const Buffer position_buffer = one.learned ? upload(device, positions) : Buffer();

    Output x(device, one.n_tokens, one.d_model);
    Stage stage(device, tuning);
    stage.state().pos = one.pos;
    stage.run(one.n_tokens,
              [&](const Step& step) { ops::embed(step, x.rows, table, position_buffer, id_buffer); });

    Values expected = reference::embed(stacked(matrices), ids, one.d_model);
    if (one.learned) expected = reference::add(expected, own);
    const uint64_t row_bytes =
        uint64_t(one.d_model) * info(one.dtypes[0]).block_bytes / info(one.dtypes[0]).block;
    Comparison comparison(one.name,
                          one.n_tokens * (row_bytes + uint64_t(one.d_model) * (one.learned ? 8 : 4)));
    x.read();
    for (uint32_t t = 0; t < one.n_tokens; ++t)
        for (uint32_t d = 0; d < one.d_model; ++d) {
            const double y = expected[uint64_t(t) * one.d_model + d];
            x.expect(comparison, x.at(t, d), y, one.learned ? rounding * std::abs(y) : 0);
        }
    x.finish(comparison);
    return comparison.result();
}

TEST_CASE("embed") {
    check_all(embed_cases(), false, &run);
}

TEST_CASE("a table that no binding holds is cut into parts of whole tiles") {
    Random random;
    const Matrix matrix = random_matrix(random, DType::f16, 100, 64);
    const TensorInfo tensor = matrix.tensor();
    const Linear table =
        make_linear(test_device(), {&tensor}, false, "table", 2 * packed_tile_bytes(DType::f16, 64));
    REQUIRE(table.parts.size() == 2);
    CHECK(table.parts[0].first_row == 0);
    CHECK(table.parts[0].n_rows == 64);
    CHECK(table.parts[1].first_row == 64);
    CHECK(table.parts[1].n_rows == 36);
}

} // namespace kvasir::kernels
