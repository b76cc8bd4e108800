#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace kvasir {

/// Storage types of weights. The order is that of the table in dtype.cpp.
enum class DType : uint8_t {
    f32,
    f16,
    bf16,
    q8_0,
    q4_0,
    q4_1,
    q5_0,
    q5_1,
    q2_k,
    q3_k,
    q4_k,
    q5_k,
    q6_k,
    q8_k,
    iq4_nl,
    iq4_xs,
    mxfp4
};

/// One row a type: values are stored in blocks of `block` values, `block_bytes` bytes each.
/// Source: GGUF specification, ggml tensor types.
struct DTypeInfo {
    DType dtype;
    const char* name;     ///< as in GGUF files: "F16", "Q8_0"
    uint32_t gguf_id;     ///< ggml_type
    uint32_t block;       ///< values a block
    uint32_t block_bytes; ///< bytes a block
};

const DTypeInfo& info(DType dtype);

/// All of them, in the order of DType.
std::span<const DTypeInfo> all_dtypes();

/// The type with this GGUF id, or nothing where Kvasir does not run it.
std::optional<DType> dtype_from_gguf(uint32_t gguf_id);

/// The name GGUF gives this id ("Q4_K"), also for types that Kvasir does not run; "type 99" where GGUF has
/// none.
std::string gguf_type_name(uint32_t gguf_id);

/// The names of the types that Kvasir runs, for messages: "F32, F16, ... or MXFP4".
std::string dtype_names();

/// Decodes n values (a multiple of the block) from `source` to float32, exactly as ggml does.
void decode(DType dtype, const void* source, float* target, uint64_t n);

float half_to_float(uint16_t half);
uint16_t float_to_half(float value); ///< rounds to nearest even

} // namespace kvasir
