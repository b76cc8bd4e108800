#include "runtime/ops.hpp"
#include "runtime/pack.hpp"
#include "shaders/embedded.hpp"
#include "shaders/push.h"
#include "tests/expect_error.hpp"
#include "tests/kernels/harness.hpp"
#include "tests/process.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>

// The GPU layer: devices, buffers, pipelines and commands. What kernels compute is proven in tests/kernels.

namespace kvasir {
namespace {

using kernels::test_device;

TEST_CASE("devices are listed with what they can do, and one is chosen") {
    const auto devices = list_devices();
    REQUIRE(!devices.empty());
    int n_chosen = 0;
    for (uint32_t i = 0; i < devices.size(); ++i) {
        const DeviceInfo& device = devices[i];
        CAPTURE(device.name);
        CHECK(device.index == i);
        for (const std::string* text :
             {&device.name, &device.driver, &device.type, &device.api, &device.reason})
            CHECK(!text->empty());
        n_chosen += device.chosen;
        if (!device.usable) continue;
        // what the Vulkan specification promises of every device ("Required Limits")
        CHECK(device.max_binding >= 1u << 27);
        CHECK(device.max_allocation >= 1u << 30);
        CHECK(device.max_workgroup >= 128);
        CHECK(device.max_shared >= 16384);
        CHECK(device.subgroup >= 1);
        CHECK(device.memory > 0);
    }
    CHECK(n_chosen == 1);
}

TEST_CASE("a device is chosen by number or by part of its name, in any case") {
    const DeviceInfo& info = test_device().info();
    std::string part = info.name.substr(0, 6);
    std::transform(part.begin(), part.end(), part.begin(), [](unsigned char c) { return std::toupper(c); });
    for (const std::string& wanted : {std::string(), std::to_string(info.index), info.name, part}) {
        CAPTURE(wanted);
        CHECK(Device({.device = wanted}).info().uuid == info.uuid);
    }
    for (const char* unknown : {"no such device", "999", "-1"})
        expect_error([&] { Device device({.device = unknown}); },
                     {unknown, std::to_string(info.index) + " " + info.name});
}

TEST_CASE("a buffer beyond what the device allows is refused by name, with both sizes") {
    Device& device = test_device();
    const uint64_t limit = std::min(device.info().max_binding, device.info().max_allocation);
    expect_error([&] { Buffer buffer(device, limit + 1, Memory::device, "the largest matrix"); },
                 {"the largest matrix", device.info().name, std::to_string(limit >> 20) + " MiB"});
    expect_error([&] { Buffer buffer(device, uint64_t(1) << 62, Memory::host, "everything"); },
                 {"everything"});
}

std::vector<std::byte> pattern(size_t n) {
    std::vector<std::byte> bytes(n);
    for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 251 + 1);
    return bytes;
}

TEST_CASE("bytes come back as they went in, at any size and offset, and the rest is zero") {
    for (const Memory memory : {Memory::device, Memory::host})
        for (const size_t n : {1u, 3u, 16u, 17u, 4099u, 1048577u}) {
            CAPTURE(n);
            Buffer buffer(test_device(), n + 5, memory, "bytes");
            const auto bytes = pattern(n);
            buffer.upload(bytes);
            CHECK(buffer.size() % 16 == 0);
            CHECK(buffer.download(0, n) == bytes);
            CHECK(buffer.download(n / 2, n - n / 2) ==
                  std::vector(bytes.begin() + std::ptrdiff_t(n / 2), bytes.end()));
            const auto rest = buffer.download(n, buffer.size() - n);
            CHECK(std::count(rest.begin(), rest.end(), std::byte(0)) == std::ptrdiff_t(rest.size()));
            Buffer moved = std::move(buffer);
            CHECK_FALSE(bool(buffer));
            CHECK(moved.download(0, n) == bytes);
        }
}

TEST_CASE("an upload in slices asks for whole slices, each once") {
    const uint64_t slice = 48, bytes = 1000 * slice + 20;
    const auto all = pattern(bytes);
    Buffer buffer(test_device(), bytes, Memory::device, "slices");
    uint64_t done = 0;
    buffer.upload(0, bytes, slice, [&](std::byte* target, uint64_t from, uint64_t n) {
        CHECK(from == done);
        CHECK((n % slice == 0 || from + n == bytes));
        std::memcpy(target, all.data() + from, n);
        done += n;
    });
    CHECK(done == bytes);
    CHECK(buffer.download(0, bytes) == all);
}

/// Push-constant bytes by kernel.
const std::map<std::string, size_t> push_sizes = {
    {"embed", sizeof(push::Embed)},
    {"norm", sizeof(push::Norm)},
    {"linear", sizeof(push::Linear)},
    {"route", sizeof(push::Route)},
    {"add_weighted", sizeof(push::AddWeighted)},
    {"limit", sizeof(push::Limit)},
    {"rope_store", sizeof(push::RopeStore)},
    {"attention", sizeof(push::Attention)},
    {"attention_merge", sizeof(push::AttentionMerge)},
    {"attention_probs", sizeof(push::AttentionProbs)},
    {"kv_norms", sizeof(push::KvNorms)},
    {"sample", sizeof(push::Sample)},
};

TEST_CASE(
    "the SPIR-V of every shader has the push constants of push.h, and bindings and constants in a row") {
    for (const EmbeddedShader& shader : embedded_shaders()) {
        CAPTURE(shader.name);
        std::string stem = shader.name; // with the type and the variant behind it
        while (!stem.empty() && !push_sizes.contains(stem))
            stem.resize(stem.find_last_of('_') == std::string::npos ? 0 : stem.find_last_of('_'));
        REQUIRE(push_sizes.contains(stem));
        const ShaderInterface interface = reflect(shader.name, shader.code);
        CHECK(interface.push_bytes == push_sizes.at(stem));
        CHECK(interface.n_bindings >= 1);
        CHECK(interface.n_constants >= 1);
    }
}

TEST_CASE("what is no SPIR-V is refused") {
    const auto code = embedded_shaders()[0].code;
    std::vector<uint32_t> words(code.begin(), code.end());
    expect_error([&] { reflect("short", std::span(words).first(4)); }, {"short"});
    expect_error([&] { reflect("cut", std::span(words).first(6)); }, {"cut", "damaged"});
    words[5] = 0; // an instruction of no words
    expect_error([&] { reflect("empty", words); }, {"empty", "damaged"});
    words[0] = 1;
    expect_error([&] { reflect("magic", words); }, {"magic"});
    expect_error([&] { test_device().pipeline("no_such_shader", {64}); }, {"no_such_shader"});
    expect_error([&] { test_device().pipeline("attention_merge", {64, 1}); }, {"attention_merge", "2", "1"});
}

TEST_CASE("a dispatch must bind what its SPIR-V declares, and fit the device's grid") {
    Device& device = test_device();
    const Pipeline& pipeline = device.pipeline("attention_merge", {64});
    Buffer buffer(device, 256, Memory::device, "buffer");
    const std::vector<const Buffer*> four(4, &buffer), three(3, &buffer), five(5, &buffer);
    const push::AttentionMerge push{};
    const push::KvNorms other{};
    Commands commands(device, false);
    const auto dispatch = [&](const auto& buffers, const auto& constants, std::array<uint32_t, 3> groups) {
        commands.dispatch(pipeline, buffers, constants, groups, "test", {});
    };
    expect_error([&] { dispatch(three, push, {1, 1, 1}); }, {"attention_merge", "3 buffers", "4"});
    expect_error([&] { dispatch(five, push, {1, 1, 1}); }, {"attention_merge", "5 buffers", "4"});
    expect_error([&] { dispatch(four, other, {1, 1, 1}); }, {"attention_merge", "8 push bytes", "20"});
    expect_error([&] { dispatch(four, push, {1, 0, 1}); }, {"attention_merge", "0 workgroups"});
    const uint32_t most = device.traits().max_groups;
    if (most < UINT32_MAX)
        expect_error(
            [&] {
                dispatch(four, push, {1, 1, most + 1});
            },
            {"attention_merge", std::to_string(most + 1)});
    CHECK(commands.dispatches() == 0);
    commands.end();
    device.wait(commands.submit());
}

/// x += W y, then y += W x, and so on: each dispatch needs the one before it.
struct Chain {
    static constexpr uint32_t width = 64, n_rounds = 150;
    kernels::Matrix matrix;
    Linear linear;
    kernels::Stage stage{test_device(), kernels::tunings(test_device(), false)[0].tuning};
    kernels::Values start;
    Rows x, y;

    Chain() {
        kernels::Random random;
        matrix = kernels::random_matrix(random, DType::q4_0, width, width);
        const TensorInfo tensor = matrix.tensor();
        linear = make_linear(test_device(), {&tensor}, false, "matrix");
        start = random.values(width);
        reset();
    }
    void reset() {
        x = make_rows(test_device(), 1, width, "x");
        y = kernels::input_rows(test_device(), start, width);
    }
    void record(Commands& commands, uint32_t rounds = n_rounds) {
        Buffer& none = x.buffer; // bound, and not read
        const Step step{commands, stage.tuning, none, none, 1};
        for (uint32_t i = 0; i < rounds; ++i) {
            ops::linear(step, x, linear, y, {.activation = Activation::sigmoid});
            ops::linear(step, y, linear, x, {.activation = Activation::sigmoid});
        }
        commands.end();
    }
    std::vector<std::byte> result() { return y.buffer.download(0, width * 4); }
};

TEST_CASE("each dispatch sees the one before it, in one submit or in many, and in a replay") {
    Device& device = test_device();
    Chain chain;
    std::vector<std::vector<std::byte>> results;
    for (const double max_macs : {0.0, 1.0, 3.5 * Chain::width * Chain::width}) {
        chain.reset();
        Commands commands(device, false, max_macs);
        chain.record(commands);
        CHECK(commands.dispatches() == 2 * Chain::n_rounds);
        CHECK(commands.macs() == 2.0 * Chain::n_rounds * Chain::width * Chain::width);
        commands.submit();
        const uint64_t value = commands.submit(); // goes on where the first one ends
        device.wait(value);
        CHECK(device.done(value));
        CHECK_FALSE(device.done(value + 1));
        results.push_back(chain.result());
    }
    CHECK(results[1] == results[0]);
    CHECK(results[2] == results[0]);

    kernels::Values y = chain.start;
    for (uint32_t i = 0; i < 4 * Chain::n_rounds; ++i)
        y = reference::activate(Activation::sigmoid,
                                reference::linear(chain.matrix.values, y, {}, Chain::width));
    std::vector<float> found(Chain::width);
    std::memcpy(found.data(), results[0].data(), Chain::width * 4);
    for (uint32_t i = 0; i < Chain::width; ++i)
        CHECK(double(found[i]) == doctest::Approx(y[i]).epsilon(1e-3));
}

TEST_CASE("a profile has every dispatch, in times that add up to no more than has passed") {
    Device& device = test_device();
    if (device.traits().timestamp_ns == 0) {
        MESSAGE("skipped: " << device.info().name << " has no timestamps");
        return;
    }
    Chain chain;
    for (const double max_macs : {0.0, 1.0}) { // 600 timestamps are more than a query pool has
        Commands commands(device, true, max_macs);
        commands.layer(3);
        chain.record(commands, 300);
        const auto begin = std::chrono::steady_clock::now();
        device.wait(commands.submit());
        const std::chrono::duration<double, std::milli> passed = std::chrono::steady_clock::now() - begin;
        Profile profile;
        commands.read_times(profile, 0);
        REQUIRE(profile.size() == 1);
        CHECK(profile[0].count == 600);
        CHECK(profile[0].layer == 3);
        CHECK(profile[0].bytes > 600 * chain.linear.bytes());
        CHECK(profile[0].ms > 0); // one tick backwards would be a whole turn of the counter
        CHECK(profile[0].ms <= passed.count());
        commands.read_times(profile, 0);
        CHECK(profile[0].count == 1200);
    }
}

TEST_CASE("copies are ordered with what is around them") {
    Device& device = test_device();
    const auto bytes = pattern(100);
    Buffer from(device, 100, Memory::device, "from"), middle(device, 100, Memory::device, "middle"),
        to(device, 100, Memory::device, "to");
    from.upload(bytes);
    Commands commands(device, true);
    commands.copy(from, 3, middle, 1, 90);
    commands.copy(middle, 0, to, 4, 91);
    commands.end();
    device.wait(commands.submit());
    CHECK(to.download(5, 90) == std::vector(bytes.begin() + 3, bytes.begin() + 93));
    CHECK(to.download(0, 5) == std::vector(5, std::byte(0)));
    CHECK(device.copy_bandwidth() > 0);
}

/// An environment variable's other value, for as long as it lives.
class Environment {
  public:
    Environment(const char* name, const std::string& value) : name_(name) {
        if (const char* old = std::getenv(name)) old_ = old;
        setenv(name, value.c_str(), 1);
    }
    ~Environment() { old_.empty() ? unsetenv(name_) : setenv(name_, old_.c_str(), 1); }

  private:
    const char* name_;
    std::string old_;
};

TEST_CASE("pipelines are cached on disk, and a damaged file does no harm") {
    const Folder folder;
    const Environment environment("XDG_CACHE_HOME", folder / "");
    const std::string file = folder / ("kvasir/pipelines-" + test_device().info().uuid);
    const auto use = [] { Device().pipeline("attention_merge", {32}); };
    use();
    const std::string good = read_file(file);
    REQUIRE(good.size() > 32);
    use();
    CHECK(read_file(file).size() >= good.size()); // SwiftShader's own grows with every use

    std::string flipped = good, header_only = good.substr(0, 24), other = good;
    flipped[good.size() / 2] ^= 0x10;
    other[good.size() - 1] ^= 1;
    for (const std::string& damaged :
         {std::string(), std::string("garbage"), std::string(100000, '\xff'), flipped, other, header_only,
          good.substr(0, good.size() - 1), good + good}) {
        CAPTURE(damaged.size());
        write_file(file, damaged);
        use();
        CHECK(read_file(file).size() == good.size()); // written anew
        CHECK(read_file(file) != damaged);
    }

    write_file(folder / "file", "");
    const Environment nowhere("XDG_CACHE_HOME", folder / "file"); // no folder can be made there
    CHECK_NOTHROW(use());
}

} // namespace
} // namespace kvasir
