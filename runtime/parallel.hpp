#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace kvasir {

/// Runs task(i) for i < n on all cores.
inline void parallel(uint32_t n, const std::function<void(uint32_t)>& task) {
    const uint32_t n_threads = std::min(n, std::max(1u, std::thread::hardware_concurrency()));
    std::vector<std::jthread> threads;
    for (uint32_t t = 0; t < n_threads; ++t)
        threads.emplace_back([&, t] {
            for (uint32_t i = t; i < n; i += n_threads) task(i);
        });
}

} // namespace kvasir
