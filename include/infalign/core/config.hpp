// SPDX-License-Identifier: Apache-2.0
/// \file
/// The only macros of the library, its version, and the index type.
#pragma once

#include <cstdint>

// Without NaN and infinity the checks of values find nothing, and masked logits have no value. Where sums may be regrouped, the
// exponential's rounding and the differences of logits go wrong. (clang's -fno-honor-nans and its -fassociative-math alone define no
// macro, so that only the compiler's options tell.)
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || defined(__ASSOCIATIVE_MATH__)
#error \
    "infalign needs NaN, infinity and the order of sums as written: compile without -ffast-math, -ffinite-math-only and -fassociative-math"
#endif

#if defined(__GNUC__) && !defined(__cpp_exceptions) && !defined(__CUDACC__)
#error "infalign reports errors by exceptions, and catches some of its own: compile without -fno-exceptions"
#endif

#define INFALIGN_VERSION_MAJOR 0
#define INFALIGN_VERSION_MINOR 2
#define INFALIGN_VERSION_PATCH 0

// A program may hold objects that were compiled for different instruction sets, and pick one at run time. The linker keeps one of
// several inline functions of the same name, and if that is the one with AVX-512, an older processor stops at it. So functions whose
// code depends on the instruction set have it in the name that the linker sees: those marked INFALIGN_HD or INFALIGN_KEYED, members of
// classes that are marked, and what is a template on such a class. Types that users hand across the borders of libraries (views,
// errors, estimates, transforms, procedures) keep one name. Define INFALIGN_ISA, an identifier in quotes, for a finer key.
#if !defined(INFALIGN_ISA)
#if defined(__AVX512FP16__)
#define INFALIGN_ISA "avx512fp16"
#elif defined(__AVX512VBMI2__)
#define INFALIGN_ISA "avx512vbmi2"
#elif defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define INFALIGN_ISA "avx512bw"
#elif defined(__AVX512F__)
#define INFALIGN_ISA "avx512f"
#elif defined(__AVX2__) && defined(__FMA__)
#define INFALIGN_ISA "avx2fma"
#elif defined(__AVX2__)
#define INFALIGN_ISA "avx2"
#elif defined(__AVX__)
#define INFALIGN_ISA "avx"
#elif defined(__SSE4_2__)
#define INFALIGN_ISA "sse42"
#elif defined(__ARM_FEATURE_SVE)
#define INFALIGN_ISA "sve"
#endif
#endif
#if defined(INFALIGN_ISA) && defined(__GNUC__) && !defined(__CUDACC__)
#define INFALIGN_KEYED __attribute__((abi_tag(INFALIGN_ISA)))
#else
#define INFALIGN_KEYED
#endif

#if defined(__CUDACC__)
#define INFALIGN_HD __host__ __device__
#else
#define INFALIGN_HD INFALIGN_KEYED
#endif

/// For functions that are one hot loop: whatever the loop calls becomes part of it, however large the translation unit. Compilers
/// give up inlining in large ones, and a call of an exponential left in the loop would spill every accumulator. The function itself
/// stays one, whatever calls it: a kernel for another loss does not compile the loop again. Not for code that a sanitizer
/// instruments: flattened, that takes minutes to compile.
#if defined(__GNUC__) && !defined(__CUDACC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define INFALIGN_HOT [[gnu::flatten, gnu::noinline]]
#else
#define INFALIGN_HOT
#endif

/// For functions that are called once a group and do a lot: not inlined, so that they are compiled once for all kernels.
#if defined(__GNUC__) && !defined(__CUDACC__)
#define INFALIGN_NOINLINE [[gnu::noinline]]
#else
#define INFALIGN_NOINLINE
#endif

/// `inline` for the functions defined in `theory/definitions/`. A program that links `infalign::compiled` sees
/// `INFALIGN_COMPILED`: its sources then get declarations alone, and the functions are compiled once, in the library.
#if defined(INFALIGN_COMPILED)
#define INFALIGN_INLINE
#else
#define INFALIGN_INLINE inline
#endif

namespace infalign {

/// Signed 64-bit sizes and positions: a batch of logits passes 2^31 elements in ordinary use, and differences of
/// signed positions are safe.
using index_t = std::int64_t;

}  // namespace infalign
