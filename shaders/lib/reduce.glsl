// Sum over a workgroup of WG_SIZE invocations (specialisation constant 0), any size and any subgroup size. Every
// invocation must call it, and gets the result. With SUBGROUP the subgroup adds first; ONE_SUBGROUP (a specialisation
// constant) says that this is the whole workgroup, and then there is no barrier: on software devices a barrier costs
// more than the arithmetic.
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

shared float reduce_shared[WG_SIZE];

float workgroup_sum(float value) {
#ifdef SUBGROUP
    float sum = subgroupAdd(value);
    if (ONE_SUBGROUP) return sum;
    if (subgroupElect()) reduce_shared[gl_SubgroupID] = sum;
    barrier();
    sum = 0.0;
    for (uint i = 0; i < gl_NumSubgroups; ++i) sum += reduce_shared[i];
#else
    reduce_shared[gl_LocalInvocationIndex] = value;
    barrier();
    for (uint half_size = WG_SIZE / 2; half_size > 0; half_size /= 2) { // WG_SIZE is a power of two
        if (gl_LocalInvocationIndex < half_size)
            reduce_shared[gl_LocalInvocationIndex] += reduce_shared[gl_LocalInvocationIndex + half_size];
        barrier();
    }
    float sum = reduce_shared[0];
#endif
    barrier(); // before the next call writes reduce_shared again
    return sum;
}

float workgroup_max(float value) {
#ifdef SUBGROUP
    float most = subgroupMax(value);
    if (ONE_SUBGROUP) return most;
    if (subgroupElect()) reduce_shared[gl_SubgroupID] = most;
    barrier();
    most = reduce_shared[0];
    for (uint i = 1; i < gl_NumSubgroups; ++i) most = max(most, reduce_shared[i]);
#else
    reduce_shared[gl_LocalInvocationIndex] = value;
    barrier();
    for (uint half_size = WG_SIZE / 2; half_size > 0; half_size /= 2) {
        if (gl_LocalInvocationIndex < half_size)
            reduce_shared[gl_LocalInvocationIndex] =
                max(reduce_shared[gl_LocalInvocationIndex], reduce_shared[gl_LocalInvocationIndex + half_size]);
        barrier();
    }
    float most = reduce_shared[0];
#endif
    barrier();
    return most;
}
