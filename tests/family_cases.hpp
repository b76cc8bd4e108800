#pragma once

#include "runtime/architectures.hpp"

#include <functional>
#include <string>
#include <vector>

namespace kvasir {

/// A small model of a family, or of choices that no family makes together. Shapes are odd on purpose: no size
/// is a multiple of what kernels work in.
struct FamilyCase {
    std::string name;
    ModelSpec m;
    Architecture row;
    bool from_file = true; ///< the file's keys can say all of it

    FamilyCase(std::string name_, ModelSpec m_, const std::function<void(Architecture&)>& change = {})
        : name(std::move(name_)), m(std::move(m_)), row(architecture(m.family)) {
        from_file = m.family != stated_family;
        if (change) change(row);
    }
};

std::vector<FamilyCase> gpt_families();    ///< GPT-2 and its descendants
std::vector<FamilyCase> llama_families();  ///< LLaMA and its
std::vector<FamilyCase> expert_families(); ///< with experts or latent attention
std::vector<FamilyCase> stated_models();   ///< what no released model combines

} // namespace kvasir
