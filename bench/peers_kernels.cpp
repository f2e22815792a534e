// SPDX-License-Identifier: Apache-2.0
/// \file
/// The library behind a C interface, for `peers.py`: the same work that it asks of NumPy, PyTorch and JAX.
/// One call at a time: the backends keep their scratch memory between calls, as a training loop would.
#include <cstdint>
#include <cstring>
#include <exception>
#include <infalign/infalign.hpp>
#include <string>
#include <xsimd/xsimd.hpp>

namespace {

using infalign::index_t;

/// Tasks on OpenMP's threads; with one thread, the loop that `infalign::sequential` would run.
struct openmp {
  static inline int threads = 1;
  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (std::size_t i = 0; i < tasks; ++i) task(i);
  }
};

template <class Backend>
Backend& checked() {
  static Backend on;
  return on;
}
template <class Backend>
Backend& unchecked() {
  static Backend on = Backend().unchecked();
  return on;
}

/// Calls `use(backend)`; returns null, or what went wrong (valid until the next call).
template <class Use>
const char* with_backend(int checks, Use&& use) {
  using backend = infalign::simd<openmp>;
  static std::string message;
  try {
    use(checks != 0 ? checked<backend>() : unchecked<backend>());
    return nullptr;
  } catch (const std::exception& e) {
    message = e.what();
    return message.c_str();
  }
}

}  // namespace

extern "C" {

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

const char* peers_calibrate(int checks, const float* references, const float* rewards, float* out, index_t prompts, index_t k,
                            index_t m) {
  return with_backend(checks, [&](auto& on) {
    infalign::calibrate(on, infalign::rows<const float>(references, prompts, k),
                        infalign::rows<const float>(rewards, prompts, m), infalign::rows<float>(out, prompts, m));
  });
}

const char* peers_calibrate_exponential(int checks, const float* references, const float* rewards, double t, float* out,
                                        index_t prompts, index_t k, index_t m) {
  return with_backend(checks, [&](auto& on) {
    infalign::calibrate_transform(on, infalign::rows<const float>(references, prompts, k),
                                  infalign::rows<const float>(rewards, prompts, m), infalign::exponential(t),
                                  infalign::rows<float>(out, prompts, m));
  });
}

const char* peers_apply_exponential(int checks, const float* in, double t, float* out, index_t n) {
  return with_backend(checks, [&](auto& on) {
    infalign::apply(on, infalign::exponential(t), infalign::span<const float>(in, n), infalign::span<float>(out, n));
  });
}

const char* peers_best_of_winrate(int checks, const float* policy, const float* reference, int n, double* out, index_t prompts,
                                  index_t m, index_t k) {
  return with_backend(checks, [&](auto& on) {
    infalign::procedure_winrate(on, infalign::rows<const float>(policy, prompts, m),
                                infalign::rows<const float>(reference, prompts, k), infalign::best_of(n),
                                infalign::span<double>(out, prompts));
  });
}

/// `base` may be null: no KL. Loss: the mean over tokens of the clipped surrogate (ε = 0.2) plus `beta`·KL.
const char* peers_policy_gradient(int checks, const float* logits, const float* base, const std::int32_t* tokens,
                                  const float* advantages, const float* old_log_prob, double beta, float* loss, float* kl,
                                  float* gradient, index_t n, index_t vocabulary) {
  return with_backend(checks, [&](auto& on) {
    infalign::token_logits<float> batch{{logits, n, vocabulary}, {}, {tokens, n}};
    if (base != nullptr) batch.base = {base, n, vocabulary};
    const infalign::token_statistics<float> statistics{{loss, n}, {}, infalign::span<float>(kl, base != nullptr ? n : 0), {}};
    const infalign::objective_weights weights{.kl = infalign::kl_weight(base != nullptr ? beta : 0),
                                              .scale = 1.0 / static_cast<double>(n)};
    infalign::policy_gradient(on, infalign::clipped_surrogate<float>({old_log_prob, n}, 0.2, 0.2), batch,
                              infalign::span<const float>(advantages, n), weights, statistics,
                              infalign::rows<float>(gradient, n, vocabulary));
  });
}

}  // extern "C"
