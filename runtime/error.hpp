#pragma once

#include <stdexcept>
#include <string>

namespace kvasir {

/// A fault of the world (file, device, input): what was asked, what was found, what to try. Faults of our own are
/// asserts. `what()` is the one line that is shown: "asked: found; try ...".
class Error : public std::runtime_error {
  public:
    Error(const std::string& asked, const std::string& found, const std::string& attempt)
        : std::runtime_error(asked + ": " + found + "; try " + attempt) {}
};

} // namespace kvasir
