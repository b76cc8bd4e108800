#include "runtime/file/safetensors.hpp"

#include "runtime/file/mapped_file.hpp"
#include "tests/expect_error.hpp"
#include "tests/safetensors_writer.hpp"
#include "tests/shared_data.hpp"

#include <doctest/doctest.h>

namespace kvasir {

namespace {

/// a F32 [2, 3], b BF16 [4], c I64 [].
SafetensorsWriter sample() {
    SafetensorsWriter writer;
    writer.header["__metadata__"] = {{"format", "pt"}};
    writer.add("a", DType::f32, {2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
    writer.add("b", DType::bf16, {4}, std::vector<float>{-1, 0.5f, 8, 0});
    writer.add("c", "I64", {}, std::vector<std::byte>(8));
    return writer;
}

std::vector<SafeTensor> parse(const std::vector<std::byte>& bytes) {
    return parse_safetensors(bytes, "m.safetensors");
}

/// Refused, by the tensor's name and these parts, after `change` to the header.
void refused(auto change, std::initializer_list<std::string> parts) {
    SafetensorsWriter writer = sample();
    change(writer.header);
    expect_error([&] { parse(writer.bytes()); }, parts);
    expect_error([&] { parse(writer.bytes()); }, {"m.safetensors"});
}

} // namespace

TEST_CASE("safetensors: what was written is read, in the order of the data") {
    const auto bytes = sample().bytes();
    const auto tensors = parse(bytes);
    REQUIRE(tensors.size() == 3);
    CHECK(tensors[0].name == "a");
    CHECK(tensors[0].dtype == DType::f32);
    CHECK(tensors[0].shape == std::vector<uint64_t>{2, 3});
    std::vector<float> values(6);
    decode(DType::f32, tensors[0].data.data(), values.data(), 6);
    CHECK(values == std::vector<float>{1, 2, 3, 4, 5, 6});
    CHECK(tensors[1].dtype == DType::bf16);
    values.resize(4);
    decode(DType::bf16, tensors[1].data.data(), values.data(), 4);
    CHECK(values == std::vector<float>{-1, 0.5f, 8, 0});
    CHECK(tensors[2].type == "I64");
    CHECK(!tensors[2].dtype);
    CHECK(tensors[2].shape.empty());
    CHECK(tensors[2].data.size() == 8);
}

TEST_CASE("safetensors: a header may be padded, a tensor may be empty, a file may have none") {
    SafetensorsWriter writer = sample();
    CHECK(parse(writer.bytes(writer.header.dump() + "     ")).size() == 3);
    writer.add("none", "F32", {0, 7}, {});
    const auto bytes = writer.bytes();
    CHECK(parse(bytes).size() == 4);
    CHECK(parse(SafetensorsWriter{}.bytes()).empty());
}

TEST_CASE("safetensors: every cut is refused") {
    const auto bytes = sample().bytes();
    for (size_t n = 0; n < bytes.size(); ++n)
        expect_error(
            [&] {
                parse({bytes.begin(), bytes.begin() + ptrdiff_t(n)});
            },
            {"reading m.safetensors"});
}

TEST_CASE("safetensors: one damaged name, type, shape or offset is refused with the tensor's name") {
    using json = nlohmann::json;
    refused([](json& h) { h["a"]["dtype"] = "F128"; }, {"\"a\"", "F128"});
    refused([](json& h) { h["a"]["dtype"] = 7; }, {"\"a\"", "dtype"});
    refused([](json& h) { h["a"].erase("dtype"); }, {"\"a\"", "dtype"});
    refused([](json& h) { h["a"]["dtype"] = "F16"; }, {"\"a\"", "12 bytes", "24"});
    refused([](json& h) { h["a"]["shape"] = {2, 4}; }, {"\"a\"", "32 bytes", "24"});
    refused([](json& h) { h["a"]["shape"] = {2, -3}; }, {"\"a\"", "-3"});
    refused([](json& h) { h["a"]["shape"] = {2, 1.5}; }, {"\"a\"", "1.5"});
    refused([](json& h) { h["a"]["shape"] = 6; }, {"\"a\"", "shape"});
    refused([](json& h) { h["a"]["shape"] = {uint64_t{1} << 62, 6}; }, {"\"a\"", "64 bits"});
    refused([](json& h) { h["a"]["data_offsets"] = {24, 0}; }, {"\"a\"", "data_offsets"});
    refused([](json& h) { h["a"]["data_offsets"] = {0, 2400}; }, {"\"a\"", "40"});
    refused([](json& h) { h["a"]["data_offsets"] = {0}; }, {"\"a\""});
    refused([](json& h) { h["a"].erase("data_offsets"); }, {"\"a\""});
    refused([](json& h) { h["b"]["data_offsets"] = {23, 31}; }, {"\"b\"", "23", "24"}); // overlaps a
    refused([](json& h) { h["b"]["data_offsets"] = {26, 34}; }, {"\"b\"", "26", "24"}); // leaves a gap
    refused([](json& h) { h["a"]["more"] = 1; }, {"\"a\"", "more"});
    refused([](json& h) { h["a"] = 1; }, {"\"a\""});
    refused([](json& h) { h.erase("c"); }, {"32", "40"}); // bytes that belong to nothing
    refused([](json& h) { h = json::array(); }, {"{"});
}

TEST_CASE("safetensors: a name that stands twice, deep nesting, absurd lengths") {
    SafetensorsWriter writer = sample();
    std::string text = writer.header.dump();
    text.insert(1, text.substr(text.find("\"a\""), text.find("\"b\"") - text.find("\"a\"")));
    expect_error([&] { parse(writer.bytes(text)); }, {"\"a\"", "twice"});
    std::string deep = "{\"a\":";
    for (int i = 0; i < 200; ++i) deep += "[";
    expect_error([&] { parse(writer.bytes(deep)); }, {"nested"});
    auto bytes = writer.bytes();
    for (const uint64_t size : {uint64_t{1} << 40, ~uint64_t{0}, uint64_t{100'000'001}}) {
        std::memcpy(bytes.data(), &size, 8);
        expect_error([&] { parse(bytes); }, {std::to_string(size)});
    }
    std::memset(bytes.data(), 0, 8);
    expect_error([&] { parse(bytes); }, {"m.safetensors"});
    bytes[8] = std::byte{'x'};
    expect_error([&] { parse(bytes); }, {"not a safetensors file"});
}

TEST_CASE("safetensors: other programs' small files") {
    const auto folder = shared_data("fixtures", 6);
    if (!folder) return;
    const auto read = [&](const std::string& name) {
        static std::vector<MappedFile> maps;
        maps.emplace_back((*folder / ("safetensors-" + name + ".bin")).string());
        return parse_safetensors(maps.back().bytes(), name);
    };
    const auto two = read("two-tensors");
    REQUIRE(two.size() == 2);
    CHECK(two[0].name == "a");
    CHECK(two[0].data.size() == 3);
    CHECK(two[1].name == "b");
    CHECK(two[1].data.size() == 5);
    CHECK(read("header-only").empty());
    expect_error([&] { read("gap"); }, {"\"x\"", "begin at byte 1"});
    expect_error([&] { read("unknown-dtype"); }, {"\"x\"", "F128"});
    // Their tensors' data are not part of the copies.
    expect_error([&] { read("fp8-flux2-worker-output"); }, {"\"weight\"", "23592960"});
    expect_error([&] { read("fp8-te137-canonical-member-units"); }, {"\"weight\"", "589824"});
}

} // namespace kvasir
