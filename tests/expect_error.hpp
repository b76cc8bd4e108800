#pragma once

#include "runtime/error.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>

namespace kvasir {

/// Checks that `action` throws Error with one line that has every one of `parts` in it.
inline void expect_error(auto action, std::initializer_list<std::string> parts) {
    std::string message;
    try {
        action();
    } catch (const Error& error) {
        message = error.what();
    }
    CAPTURE(message);
    REQUIRE(!message.empty());
    CHECK(message.find('\n') == std::string::npos);
    CHECK(message.find("; try ") != std::string::npos);
    for (const std::string& part : parts) {
        CAPTURE(part);
        CHECK(message.find(part) != std::string::npos);
    }
}

} // namespace kvasir
