#include "shaders/embedded.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace kvasir {

// SPIR-V specification 1.5, section 2.3 "Physical Layout of a SPIR-V Module and Instruction".
TEST_CASE("every embedded shader is a SPIR-V 1.5 module under a name of its own") {
    std::set<std::string> names;
    for (const EmbeddedShader& shader : embedded_shaders()) {
        CAPTURE(shader.name);
        CHECK(names.insert(shader.name).second);
        REQUIRE(shader.code.size() > 5);
        CHECK(shader.code[0] == 0x07230203);
        CHECK(shader.code[1] == 0x00010500);
        CHECK(shader.code[3] > 0);  // bound of the ids
        CHECK(shader.code[4] == 0); // schema
    }
}

} // namespace kvasir
