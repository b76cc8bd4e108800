#include "runtime/file/cursor.hpp"
#include "runtime/file/model_file.hpp"
#include "tests/expect_error.hpp"
#include "tests/gguf_writer.hpp"
#include "tests/shared_data.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

namespace kvasir {

namespace {

/// A small file with a value of every kind and a tensor of every type.
GgufWriter sample(uint32_t version = 3) {
    GgufWriter writer{.version = version};
    writer.add_u32("u32", 4294967295u);
    writer.add_u64("u64", 1ull << 40);
    writer.add_u64("beyond", std::numeric_limits<uint64_t>::max());
    writer.add_f32("f32", 0.5f);
    writer.add_bool("yes", true);
    writer.add_text("text", "V\xc3\xa9las");
    writer.add_i32s("i32s", {1, -2, 3});
    writer.add_f32s("f32s", {1.5f, -2.5f});
    writer.add_texts("texts", {"a", "", "bc"});
    writer.add_texts("none", {});
    std::vector<float> values(64);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_0})
        writer.add_tensor(std::string("t.") + info(dtype).name, {2, 32}, dtype, values);
    writer.add_tensor("vector", {3}, DType::f32, std::span(values).first(3));
    return writer;
}

ModelFile parse(const std::vector<std::byte>& bytes) {
    return parse_gguf(bytes, "m.gguf");
}

std::vector<std::byte> as_bytes(std::string_view text) {
    const auto* data = reinterpret_cast<const std::byte*>(text.data());
    return {data, data + text.size()};
}

/// One F32 tensor "t" of one row, to be damaged.
GgufWriter one_tensor() {
    GgufWriter writer;
    writer.add_tensor("t", {32}, DType::f32, std::vector<float>(32));
    return writer;
}

template <typename T>
std::vector<std::byte> payload(std::initializer_list<T> values) {
    std::vector<std::byte> bytes(values.size() * sizeof(T));
    std::memcpy(bytes.data(), std::data(values), bytes.size());
    return bytes;
}

} // namespace

TEST_CASE("GGUF: what was written is read, in versions 2 and 3") {
    for (const uint32_t version : {2u, 3u}) {
        const auto bytes = sample(version).bytes();
        const ModelFile file = parse(bytes);
        CHECK(file.format == "GGUF v" + std::to_string(version));
        CHECK(file.path == "m.gguf");
        const Metadata& meta = file.metadata;
        CHECK(meta.values.size() == 10);
        CHECK(meta.integer("u32") == 4294967295);
        CHECK(meta.integer("u64") == int64_t{1} << 40);
        CHECK(meta.real("u64") == 0x1p40);
        CHECK(meta.real("beyond") == 0x1p64);
        CHECK(meta.real("f32") == 0.5);
        CHECK(meta.flag("yes") == true);
        CHECK(meta.text("text") == "V\xc3\xa9las");
        CHECK(*meta.integers("i32s") == std::vector<int64_t>{1, -2, 3});
        CHECK(*meta.reals("f32s") == std::vector<double>{1.5, -2.5});
        CHECK(*meta.texts("texts") == std::vector<std::string>{"a", "", "bc"});
        CHECK(meta.texts("none")->empty());
        REQUIRE(file.tensors.size() == 6);
        for (const TensorInfo& tensor : file.tensors) {
            if (tensor.name == "vector") continue;
            CHECK(tensor.name == std::string("t.") + info(tensor.dtype).name);
            CHECK(tensor.shape == std::vector<uint64_t>{2, 32});
            CHECK(tensor.n_values() == 64);
            CHECK(tensor.data.size() == 64 / info(tensor.dtype).block * info(tensor.dtype).block_bytes);
            std::vector<float> values(64);
            decode(tensor.dtype, tensor.data.data(), values.data(), 64);
            CHECK(values[63] ==
                  doctest::Approx(63).epsilon(0.2)); // that it is these bytes; dtype_test has exactness
            CHECK(values[0] == doctest::Approx(0));
        }
        CHECK(file.find("vector")->shape == std::vector<uint64_t>{3});
        CHECK(file.find("t.F64") == nullptr);
    }
}

TEST_CASE("metadata: absence is nothing or an error as asked, another kind is an error that names both") {
    const auto bytes = sample().bytes();
    const ModelFile file = parse(bytes);
    const Metadata& meta = file.metadata;
    CHECK(!meta.integer("absent"));
    CHECK(!meta.text("absent"));
    CHECK(meta.texts("absent") == nullptr);
    expect_error([&] { meta.need_integer("absent"); }, {"\"absent\"", "does not have it"});
    expect_error([&] { meta.need_text("absent"); }, {"\"absent\""});
    expect_error([&] { meta.need_real("absent"); }, {"\"absent\""});
    expect_error([&] { meta.integer("f32"); }, {"\"f32\"", "an integer", "a real number"});
    expect_error([&] { meta.integer("beyond"); }, {"\"beyond\"", "beyond 2^63 - 1"});
    expect_error([&] { meta.real("text"); }, {"\"text\"", "a number", "a text"});
    expect_error([&] { meta.flag("u32"); }, {"a truth value", "an integer"});
    expect_error([&] { meta.text("yes"); }, {"a text", "a truth value"});
    expect_error([&] { meta.integers("f32s"); }, {"an array of integers", "an array of numbers"});
    expect_error([&] { meta.texts("text"); }, {"an array of texts", "found a text"});
}

TEST_CASE("GGUF: integers and reals of every stored width, and truth values") {
    GgufWriter writer;
    writer.pairs = {
        {"u8", 0, payload<uint8_t>({200})},          {"i8", 1, payload<int8_t>({-100})},
        {"u16", 2, payload<uint16_t>({60000})},      {"i16", 3, payload<int16_t>({-30000})},
        {"i32", 5, payload<int32_t>({-2000000000})}, {"i64", 11, payload<int64_t>({-(int64_t{1} << 50)})},
        {"f64", 12, payload<double>({0.1})},         {"bools", 9, payload<uint32_t>({7, 3, 0})}};
    const auto flags = payload<uint8_t>({1, 0, 1});
    writer.pairs.back().payload.insert(writer.pairs.back().payload.end(), flags.begin(), flags.end());
    const auto bytes = writer.bytes();
    const ModelFile file = parse(bytes);
    const Metadata& meta = file.metadata;
    CHECK(meta.integer("u8") == 200);
    CHECK(meta.integer("i8") == -100);
    CHECK(meta.integer("u16") == 60000);
    CHECK(meta.integer("i16") == -30000);
    CHECK(meta.integer("i32") == -2000000000);
    CHECK(meta.integer("i64") == -(int64_t{1} << 50));
    CHECK(meta.real("f64") == 0.1);
    CHECK(std::get<std::vector<bool>>(meta.values.at("bools")) == std::vector<bool>{true, false, true});
}

TEST_CASE("GGUF: other alignments are honoured, absurd ones refused") {
    for (const uint32_t alignment : {1u, 8u, 64u, 4096u}) {
        GgufWriter writer = sample();
        writer.alignment = alignment;
        writer.add_u32("general.alignment", alignment);
        const auto bytes = writer.bytes();
        CHECK(parse(bytes).find("vector")->data.data() ==
              bytes.data() + writer.header().size() + writer.offset_of(5));
    }
    for (const uint32_t alignment : {0u, 3u, 33u, 1u << 30}) {
        GgufWriter writer = sample();
        writer.add_u32("general.alignment", alignment);
        expect_error([&] { parse(writer.bytes()); }, {"general.alignment is " + std::to_string(alignment)});
    }
}

TEST_CASE("GGUF: cut at any byte, a file is refused") {
    const GgufWriter writer = sample();
    const auto bytes = writer.bytes();
    const size_t needed = writer.header().size() + writer.offset_of(5) + 12; // the rest is padding
    REQUIRE(needed < bytes.size());
    for (size_t n = 0; n < needed; ++n)
        CHECK_THROWS_AS(parse_gguf(std::span(bytes).first(n), "m.gguf"), Error);
    CHECK_NOTHROW(parse_gguf(std::span(bytes).first(needed), "m.gguf"));
    expect_error([&] { parse_gguf(std::span(bytes).first(10), "m.gguf"); },
                 {"m.gguf", "the number of tensors", "at byte 8", "needs 8 bytes", "2 of the file's 10"});
}

TEST_CASE("GGUF: any byte of the header changed gives an error or tensors that lie inside the file") {
    const GgufWriter writer = sample();
    auto bytes = writer.bytes();
    const size_t n = writer.header().size();
    size_t refused = 0;
    for (size_t at = 0; at < n; ++at) {
        const std::byte kept = bytes[at];
        for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
            bytes[at] = std::byte(value);
            try {
                for (const TensorInfo& tensor : parse(bytes).tensors) {
                    const bool inside =
                        tensor.data.data() >= bytes.data() &&
                        tensor.data.data() + tensor.data.size() <= bytes.data() + bytes.size();
                    if (!inside)
                        FAIL("byte " << at << " as " << value << " puts " << tensor.name << " outside");
                }
            } catch (const Error&) {
                ++refused;
            }
        }
        bytes[at] = kept;
    }
    CHECK(refused > n); // more than a fifth of them: the test does reach the checks
}

TEST_CASE("GGUF: counts that the file cannot hold are refused before anything is allocated") {
    const auto huge = payload<uint64_t>({1ull << 60});
    auto bytes = sample().bytes();
    std::copy(huge.begin(), huge.end(), bytes.begin() + 8);
    expect_error([&] { parse(bytes); }, {"the number of tensors at byte 8", "1152921504606846976"});
    bytes = sample().bytes();
    std::copy(huge.begin(), huge.end(), bytes.begin() + 16);
    expect_error([&] { parse(bytes); }, {"the number of metadata keys at byte 16", "1152921504606846976"});
    bytes = sample().bytes();
    std::copy(huge.begin(), huge.end(), bytes.begin() + 24);
    expect_error([&] { parse(bytes); }, {"the name of metadata key 0 at byte 24"});
    for (uint32_t type = 0; type < 13; ++type) {
        GgufWriter writer;
        writer.pairs.push_back({"list", 9, payload<uint32_t>({type, 0xffffffff, 0x7fffffff, 0, 0, 0})});
        const auto damaged = writer.bytes();
        expect_error([&] { parse(damaged); }, {"\"list\""});
    }
}

TEST_CASE("GGUF: metadata that breaks the rules") {
    const auto refused = [](const GgufWriter::Pair& pair, std::initializer_list<std::string> parts) {
        GgufWriter writer;
        writer.pairs = {pair};
        expect_error([&] { parse(writer.bytes()); }, parts);
    };
    refused({"k", 13, payload<uint64_t>({0})}, {"\"k\"", "metadata type 13"});
    refused({"k", 7, payload<uint8_t>({2})}, {"\"k\"", "truth value of 2"});
    refused({"k", 9, payload<uint32_t>({9, 1, 0, 4, 0, 0})}, {"\"k\"", "an array of arrays"});
    refused({"k", 9, payload<uint32_t>({10, 1, 0, 0, 0x80000000})}, {"\"k\"", "9223372036854775808"});
    refused({"", 4, payload<uint32_t>({1})}, {"metadata key 0 has no name"});
    refused({"bad\n\x1b[31m", 13, {}}, {"\"bad\\x0a\\x1b[31m\""});
    GgufWriter writer;
    writer.add_u32("twice", 1);
    writer.add_u32("twice", 1);
    expect_error([&] { parse(writer.bytes()); }, {"\"twice\"", "stands there twice"});
}

TEST_CASE("GGUF: tensors that break the rules") {
    const auto refused = [](auto damage, std::initializer_list<std::string> parts) {
        GgufWriter writer = one_tensor();
        damage(writer);
        const auto bytes = writer.bytes();
        expect_error([&] { parse(bytes); }, parts);
    };
    using W = GgufWriter&;
    const uint64_t big = 1ull << 40;
    refused([](W w) { w.tensors[0].type = 16; },
            {"\"t\"", "IQ2_XXS", "not supported yet", "F32, F16, BF16, Q8_0, Q4_0, "});
    refused([](W w) { w.tensors[0].type = 31; }, {"\"t\"", "Q4_0_4_4"});
    refused([](W w) { w.tensors[0].type = 12; }, {"\"t\"", "rows of 32", "Q4_K", "blocks of 256"});
    refused([](W w) { w.tensors[0].type = 77; }, {"\"t\"", "type 77"});
    refused([](W w) { w.tensors[0].shape = {}; }, {"\"t\"", "0 axes"});
    refused([](W w) { w.tensors[0].shape = {1, 1, 1, 1, 32}; }, {"\"t\"", "5 axes"});
    refused([](W w) { w.tensors[0].shape = {0, 32}; }, {"\"t\"", "an axis of length 0"});
    refused([&](W w) { w.tensors[0].shape = {big, big}; }, {"\"t\"", "64 bits"});
    refused([&](W w) { w.tensors[0].shape = {big}; }, {"\"t\"", "4398046511104 bytes"});
    refused([](W w) { w.tensors[0].shape = {33}; }, {"\"t\"", "132 bytes", "128 bytes of data", "cut short"});
    refused([](W w) { w.tensors[0].type = 8, w.tensors[0].shape = {16}; },
            {"\"t\"", "rows of 16", "Q8_0", "blocks of 32"});
    refused([](W w) { w.tensors[0].type = 2, w.tensors[0].shape = {32, 1}; }, {"rows of 1 ", "Q4_0"});
    refused([](W w) { w.tensors[0].offset = 16; }, {"\"t\"", "at byte 16", "multiple of 32"});
    refused([](W w) { w.tensors[0].offset = 32; }, {"\"t\"", "from byte 32"});
    refused([](W w) { w.tensors[0].type = 1; }, {"\"t\"", "ends at byte 64", "64 bytes follow"});
    refused([](W w) { w.tensors[0].offset = ~0ull << 5; }, {"\"t\"", "18446744073709551584"});
    refused([](W w) { w.tensors[0].name = ""; }, {"tensor 0 has no name"});
    refused([](W w) { w.tensors.push_back(w.tensors[0]); }, {"\"t\"", "stands there twice"});
    refused(
        [](W w) {
            w.tensors.push_back(w.tensors[0]);
            w.tensors[1].name = "u";
            w.tensors[1].offset = 96;
        },
        {"\"u\" is at byte 96", "\"t\" ends at byte 128"});
}

TEST_CASE("what is not GGUF is said plainly") {
    const auto refused = [](std::string_view content, std::initializer_list<std::string> parts) {
        expect_error([&] { parse(as_bytes(content)); }, parts);
    };
    using namespace std::string_view_literals;
    refused("<!DOCTYPE html><html>", {"web page"});
    refused("<html><body>", {"web page"});
    refused("version https://git-lfs.github.com/spec/v1\noid", {"Git LFS pointer"});
    refused("PK\x03\x04\x14\x00\x00\x00"sv, {"zip archive", "PyTorch"});
    refused("\x40\x00\x00\x00\x00\x00\x00\x00{\"__metadata__\""sv, {"safetensors"});
    refused("tjgg\x01\x00\x00\x00"sv, {"ggjt"});
    refused("Once upon a time", {"does not begin with \"GGUF\" but with \"Once\""});
    refused("GG", {"does not begin with \"GGUF\" but with \"GG\""});
    refused("", {"does not begin with \"GGUF\""});
    refused("GGUF\x01\x00\x00\x00"sv, {"version 1", "versions 2 and 3"});
    refused("GGUF\x04\x00\x00\x00"sv, {"version 4", "versions 2 and 3"});
    refused("GGUF\x00\x00\x00\x03"sv, {"big-endian"});
}

TEST_CASE("files: a path that cannot be read is refused with the reason") {
    const auto folder = std::filesystem::temp_directory_path() / "kvasir_files_test";
    std::filesystem::create_directories(folder);
    expect_error([&] { read_gguf((folder / "absent.gguf").string()); }, {"absent.gguf", "No such file"});
    expect_error([&] { read_gguf(folder.string()); }, {"it is a folder"});
    std::ofstream(folder / "empty.gguf").close();
    expect_error([&] { read_gguf((folder / "empty.gguf").string()); }, {"empty.gguf", "0 bytes"});
    expect_error([&] { read_gguf("/dev/null"); }, {"/dev/null", "not a regular file"});

    sample().save((folder / "sample.gguf").string());
    ModelFile moved;
    {
        ModelFile file = read_gguf((folder / "sample.gguf").string());
        moved = std::move(file);
    }
    const auto bytes = sample().bytes(); // the tensors still point into the map after it moved
    CHECK(std::memcmp(moved.find("vector")->data.data(), bytes.data() + bytes.size() - 32, 12) == 0);
    // Bytes given back are read from the file again; others are no map's to give back.
    moved.maps[0].release(moved.maps[0].bytes());
    moved.maps[0].release(bytes);
    CHECK(std::ranges::equal(moved.maps[0].bytes(), bytes));
    CHECK(bytes == sample().bytes());
    std::filesystem::remove_all(folder);
}

TEST_CASE("cursor: reads little-endian and counts what is left") {
    const auto bytes = payload<uint8_t>({0x01, 0x02, 0x03, 0x04, 2, 0, 0, 0, 0, 0, 0, 0, 'h', 'i', 9});
    Cursor in(bytes, "f");
    CHECK(in.number<uint32_t>("a number") == 0x04030201);
    CHECK(in.text("a text") == "hi");
    CHECK(in.offset() == 14);
    CHECK(in.left() == 1);
    expect_error([&] { in.number<uint16_t>("the last"); },
                 {"reading f", "the last at byte 14 needs 2", "1 of the file's 15"});
    CHECK(in.number<uint8_t>("the last") == 9);
}

TEST_CASE("real files are read") {
    const auto folder = shared_data("", 33);
    if (!folder) return;
    int checked = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(*folder)) {
        const std::string path = entry.path().string();
        if (!path.ends_with(".gguf")) continue;
        CAPTURE(path);
        ++checked;
        if (path.find("-00002-of-00002") != std::string::npos) {
            expect_error([&] { read_gguf(path); }, {"part 2 of 2", "-00001-of-00002.gguf"});
            continue;
        }
        const ModelFile file = read_gguf(path);
        CHECK(file.format.starts_with("GGUF v3"));
        CHECK(!file.metadata.values.empty());
    }
    CHECK(checked == 33);
    const ModelFile stories = read_gguf((*folder / "stories260K/stories260K.gguf").string());
    CHECK(stories.tensors.size() == 48);
    CHECK(stories.metadata.integer("tokenizer.ggml.padding_token_id") == 4294967295);
    CHECK(stories.metadata.texts("tokenizer.ggml.tokens")->size() == 512);
    CHECK(stories.find("blk.4.ffn_down.weight")->shape == std::vector<uint64_t>{64, 172});
}

TEST_CASE("small and malformed fixtures") {
    const auto folder = shared_data("fixtures", 5);
    if (!folder) return;
    const auto path = [&](const char* name) { return (*folder / name).string(); };
    CHECK(read_gguf(path("gguf-v2-f32.bin")).format == "GGUF v2");
    CHECK(read_gguf(path("gguf-v3-q4-0.bin")).tensors.at(0).dtype == DType::q4_0);
    expect_error([&] { read_gguf(path("gguf-unknown-type.bin")); }, {"\"future.weight\"", "type 43"});
    expect_error([&] { read_gguf(path("gguf-unsupported-version.bin")); }, {"version 4"});
    expect_error([&] { read_gguf(path("safetensors-gap.bin")); }, {"safetensors"});
}

} // namespace kvasir
