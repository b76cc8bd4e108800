#pragma once

#include "app/options.hpp"

namespace kvasir {

/// The commands. Each returns the exit status; throws Error, OutputClosed or Interrupted.
int run(const WindowOptions& options);
int run(const ChatOptions& options);
int run(const GenerateOptions& options);
int run(const ScoreOptions& options);
int run(const TokenizeOptions& options);
int run(const AttentionOptions& options);
int run(const InspectOptions& options);
int run(const DevicesOptions& options);
int run(const BenchOptions& options);

} // namespace kvasir
