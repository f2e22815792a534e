// SPDX-License-Identifier: Apache-2.0
/// \file
/// The library behind a C interface, for `peers.py`: the same work that it asks of NumPy, PyTorch, JAX and Triton. Compiled by a C++
/// compiler it is the SIMD backend, compiled by nvcc the CUDA backend on the default stream.
/// One call at a time: the backends keep their scratch memory between calls, as a training loop would.
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>

#ifdef __CUDACC__
#include <infalign/infalign.cuh>
#else
#include <infalign/infalign.hpp>
#include <xsimd/xsimd.hpp>
#endif

namespace {

using infalign::index_t;

#ifdef __CUDACC__

using backend = infalign::cuda<>;
backend make_backend() {
  return backend();
}

__global__ void probe() {}

cudaMemPool_t memory_pool() {
  cudaMemPool_t pool = nullptr;
  infalign::detail::expects_cuda(cudaDeviceGetDefaultMemPool(&pool, 0), "cudaDeviceGetDefaultMemPool");
  return pool;
}

#else

/// Tasks on OpenMP's threads; with one thread, a plain loop.
struct openmp {
  static inline int threads = 1;
  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (std::size_t i = 0; i < tasks; ++i) task(i);
  }
};

using backend = infalign::simd;
backend make_backend() {
  return backend(openmp());
}

#endif

using memory = backend::memory_space;

template <class T>
using rows = infalign::rows<T, memory>;
template <class T>
using span = infalign::span<T, memory>;

struct backends {
  backend checked = make_backend(), unchecked = make_backend().unchecked();
  backends() = default;
  static backends& all() {
    static backends both;
    return both;
  }
};

/// Calls `use(backend)`; returns null, or what went wrong (valid until the next call).
template <class Use>
const char* with_backend(int checks, Use&& use) {
  static std::string message;
  try {
    use(checks != 0 ? backends::all().checked : backends::all().unchecked);
    return nullptr;
  } catch (const std::exception& e) {
    message = e.what();
    return message.c_str();
  }
}

/// Loss: the mean over tokens of the clipped surrogate (ε = 0.2), plus `beta`·KL where there is a base policy.
template <class L>
const char* policy_gradient(int checks, const L* logits, const L* base, const std::int32_t* tokens, const float* advantages,
                            const float* old_log_prob, double beta, float* loss, float* kl, L* gradient, index_t n,
                            index_t vocabulary) {
  return with_backend(checks, [&](auto& on) {
    infalign::token_logits<L, memory> batch{{logits, n, vocabulary}, {}, {tokens, n}};
    if (base != nullptr) batch.base = {base, n, vocabulary};
    const infalign::token_statistics<float, memory> statistics{{loss, n}, {}, span<float>(kl, base != nullptr ? n : 0), {}};
    const infalign::objective_weights weights{.kl = infalign::kl_weight(base != nullptr ? beta : 0),
                                              .scale = 1.0 / static_cast<double>(n)};
    infalign::policy_gradient(on, infalign::clipped_surrogate(0.2, 0.2), batch,
                              infalign::token_data(span<const float>(advantages, n), span<const float>(old_log_prob, n)),
                              weights, statistics, rows<L>(gradient, n, vocabulary));
  });
}

}  // namespace

extern "C" {

#ifdef __CUDACC__

/// What nvcc generated code for.
const char* peers_architecture() {
  static const std::string name = [] {
    cudaFuncAttributes attributes{};
    infalign::detail::expects_cuda(cudaFuncGetAttributes(&attributes, probe), "cudaFuncGetAttributes");
    return "sm_" + std::to_string(attributes.binaryVersion);
  }();
  return name.c_str();
}

#else

/// The instruction set that this library was compiled for.
const char* peers_architecture() {
  return xsimd::default_arch::name();
}

void peers_set_threads(int threads) {
  openmp::threads = threads;
}

void peers_copy(const float* in, float* out, index_t n) {
  constexpr index_t block = 1 << 16;
  openmp{}(static_cast<std::size_t>((n + block - 1) / block), [&](std::size_t i) {
    const index_t begin = static_cast<index_t>(i) * block;
    std::memcpy(out + begin, in + begin, static_cast<std::size_t>(n - begin < block ? n - begin : block) * sizeof(float));
  });
}

#endif

const char* peers_calibrate(int checks, const float* references, const float* rewards, float* out, index_t prompts, index_t k,
                            index_t m) {
  return with_backend(checks, [&](auto& on) {
    infalign::calibrate(on, rows<const float>(references, prompts, k), rows<const float>(rewards, prompts, m),
                        rows<float>(out, prompts, m));
  });
}

const char* peers_apply_exponential(int checks, const float* in, double t, float* out, index_t n) {
  return with_backend(
      checks, [&](auto& on) { infalign::apply(on, infalign::exponential(t), span<const float>(in, n), span<float>(out, n)); });
}

const char* peers_best_of_win_rate(int checks, const float* policy, const float* reference, int n, double* out, index_t prompts,
                                   index_t m, index_t k) {
  return with_backend(checks, [&](auto& on) {
    infalign::procedure_win_rate(on, rows<const float>(policy, prompts, m), rows<const float>(reference, prompts, k),
                                 infalign::best_of(n), span<double>(out, prompts));
  });
}

/// `base` may be null: no KL.
const char* peers_policy_gradient(int checks, const float* logits, const float* base, const std::int32_t* tokens,
                                  const float* advantages, const float* old_log_prob, double beta, float* loss, float* kl,
                                  float* gradient, index_t n, index_t vocabulary) {
  return policy_gradient(checks, logits, base, tokens, advantages, old_log_prob, beta, loss, kl, gradient, n, vocabulary);
}

#ifdef __CUDACC__

const char* peers_policy_gradient_bfloat16(int checks, const __nv_bfloat16* logits, const __nv_bfloat16* base,
                                           const std::int32_t* tokens, const float* advantages, const float* old_log_prob,
                                           double beta, float* loss, float* kl, __nv_bfloat16* gradient, index_t n,
                                           index_t vocabulary) {
  return policy_gradient(checks, logits, base, tokens, advantages, old_log_prob, beta, loss, kl, gradient, n, vocabulary);
}

/// Gives the backends' scratch memory back. From here on, what they take is measured by `peers_memory_peak`.
void peers_begin_memory_peak() {
  backends::all() = backends{};
  (void)cudaDeviceSynchronize();
  std::uint64_t current = 0;  // any value resets it
  (void)cudaMemPoolSetAttribute(memory_pool(), cudaMemPoolAttrUsedMemHigh, &current);
}

/// The most that the backends have held since, in bytes.
std::uint64_t peers_memory_peak() {
  std::uint64_t bytes = 0;
  (void)cudaMemPoolGetAttribute(memory_pool(), cudaMemPoolAttrUsedMemHigh, &bytes);
  return bytes;
}

#endif

}  // extern "C"
