#pragma once

#include <map>
#include <string>

namespace kvasir {

std::string readme();

/// README's tables of families and of storage types, as the tests know them: rows of the program's own
/// tables, the cases that the tests run of each, and these relative errors of golden models (0 where one is
/// not among them).
std::string what_runs(const std::map<std::string, double>& errors);

/// The errors that a text with such a table states.
std::map<std::string, double> stated_errors(const std::string& text);

} // namespace kvasir
