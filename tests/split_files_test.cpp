#include "runtime/file/model_file.hpp"
#include "tests/expect_error.hpp"
#include "tests/gguf_writer.hpp"

#include <doctest/doctest.h>

#include <filesystem>

namespace kvasir {

TEST_CASE("split GGUF: parts are found from the first; a missing, foreign or renamed one is named") {
    const auto folder = std::filesystem::temp_directory_path() / "kvasir_split_test";
    const auto part = [](uint32_t no, uint32_t count, const std::string& tensor, uint32_t n_tensors) {
        GgufWriter writer;
        if (no == 0) writer.add_text("general.architecture", "llama");
        writer.add_u32("split.no", no);
        writer.add_u32("split.count", count);
        writer.add_u32("split.tensors.count", n_tensors);
        writer.add_tensor(tensor, {2}, DType::f32, std::vector<float>{float(no), 1});
        return writer;
    };
    const auto name = [&](int no) {
        return (folder / ("m-0000" + std::to_string(no) + "-of-00003.gguf")).string();
    };
    const auto save = [&] {
        std::filesystem::remove_all(folder);
        std::filesystem::create_directory(folder);
        for (uint32_t i = 0; i < 3; ++i) part(i, 3, "t" + std::to_string(i), 3).save(name(int(i) + 1));
    };
    const auto refused = [&](std::initializer_list<std::string> parts) {
        expect_error([&] { read_gguf(name(1)); }, parts);
        save();
    };
    save();
    const ModelFile file = read_gguf(name(1));
    CHECK(file.format == "GGUF v3 in 3 parts");
    REQUIRE(file.tensors.size() == 3);
    for (size_t i = 0; i < 3; ++i) {
        float first = -1;
        decode(DType::f32, file.find("t" + std::to_string(i))->data.data(), &first, 1);
        CHECK(first == float(i));
    }
    CHECK(!file.metadata.integer("split.count"));
    expect_error([&] { read_gguf(name(2)); }, {name(2), "part 2 of 3", "-00001-of-00003.gguf"});
    std::filesystem::remove(name(3));
    refused({name(3), "No such file"});
    part(1, 2, "t1", 3).save(name(2)); // of another number of parts
    refused({name(2), "not part 2"});
    part(2, 3, "t1", 3).save(name(2)); // the third in the second's place
    refused({name(2), "not part 2"});
    part(1, 3, "t1", 9).save(name(2)); // of a model with more tensors
    refused({name(2), "not part 2"});
    GgufWriter().save(name(2)); // no part at all
    refused({name(2), "not part 2"});
    part(1, 3, "t0", 3).save(name(2));
    refused({name(2), "\"t0\"", "earlier part"});
    GgufWriter two = part(1, 3, "t1", 3);
    two.add_tensor("t9", {1}, DType::f32, std::vector<float>{1});
    two.save(name(2));
    refused({"4 tensors", "split.tensors.count is 3"});
    std::filesystem::rename(name(1), folder / "first.gguf");
    expect_error([&] { read_gguf((folder / "first.gguf").string()); },
                 {"first.gguf", "-00001-of-00003.gguf"});
    part(0, 100000, "t0", 3).save(name(1));
    refused({"100000"});
    std::filesystem::remove_all(folder);
}

} // namespace kvasir
