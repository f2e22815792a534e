// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the CUDA backend promises beyond the results that every backend gives: memory, errors, waiting, graphs, storage types.
#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "cuda/configuration.cuh"
#include "infalign/calibration/calibrate.hpp"
#include "infalign/calibration/calibrator.hpp"
#include "infalign/objective/losses.hpp"
#include "infalign/objective/policy_gradient.hpp"
#include "support/samples.hpp"

using infalign::device_array;
using infalign::device_memory;
using infalign::index_t;
namespace test = infalign::test;

namespace {

/// A memory resource of the user's own: counts, and has no memory left after some allocations.
struct counting_resource {
  struct ledger {
    int allocations = 0;
    int held = 0;
    std::size_t bytes = 0;
    int most = 1 << 30;
  };
  ledger* book;
  infalign::stream_ordered_resource memory{};

  void* allocate(std::size_t bytes) const {
    if (book->allocations == book->most)
      infalign::detail::expects_cuda(cudaErrorMemoryAllocation, "counting_resource::allocate");
    void* const result = memory.allocate(bytes);
    ++book->allocations;
    ++book->held;
    book->bytes += bytes;
    return result;
  }
  void deallocate(void* p, std::size_t bytes) const noexcept {
    --book->held;
    memory.deallocate(p, bytes);
  }
};

struct problem {
  static constexpr index_t prompts = 50, references = 300, rollouts = 40;
  device_array<float> z{test::tied_values<float>(prompts * references, 1, 40)};
  device_array<float> y{test::tied_values<float>(prompts * rollouts, 2, 40)};
  device_array<float> u{std::vector<float>(prompts * rollouts, -9.0f)};

  template <class B>
  void run(B& on, infalign::rank_algorithm algorithm) {
    infalign::calibrate(on, z.rows(prompts, references), y.rows(prompts, rollouts), u.rows(prompts, rollouts),
                        {.algorithm = algorithm});
  }
};

using infalign::rank_algorithm;

}  // namespace

TEST_CASE("the launch model gives work of every size a shape that a device can run, and large groups more of it") {
  const infalign::cuda_launch_model model;
  index_t before = 0;
  for (index_t mean = 1; mean < index_t{1} << 26; mean *= 2)
    for (const index_t groups : {1, 100, 1'000'000}) {
      const auto s = model.shape(groups, groups * mean);
      CHECK(s.lanes >= 1);
      CHECK(s.lanes <= 32);
      CHECK((s.lanes & (s.lanes - 1)) == 0);
      CHECK(s.warps <= 16);
      CHECK(s.blocks <= model.largest_cluster);
      CHECK((s.lanes == 32 || !s.fills_blocks()));
      const index_t threads = s.lanes * s.warps;
      if (groups == 1) {
        CHECK(threads >= before);
        before = threads;
      }
    }
  CHECK(before == 512);
  CHECK(model.shape(1, 128).lanes == 32);  // 128 references: a pack of four for each lane
  CHECK(model.shape(1'000'000, 4'000'000).lanes <= 4);
}

TEST_CASE("where memory runs out nothing is written, and the backend remains usable") {
  problem p;
  counting_resource::ledger book;
  {
    infalign::cuda<counting_resource> on(nullptr, counting_resource{&book});
    for (const int most : {0, 1, 2}) {
      book.most = most;
      CHECK(test::message_of<infalign::cuda_error>([&] { p.run(on, rank_algorithm::sorting); }) ==
            "counting_resource::allocate: out of memory (cudaErrorMemoryAllocation)");
      CHECK(p.u.host() == std::vector<float>(problem::prompts * problem::rollouts, -9.0f));
      CHECK(p.z.host() == test::tied_values<float>(problem::prompts * problem::references, 1, 40));
    }
    book.most = 1 << 30;
    p.run(on, rank_algorithm::sorting);
    const auto sorted = p.u.host();
    p.run(on, rank_algorithm::counting);
    CHECK(p.u.host() == sorted);
    CHECK(book.held > 0);
  }
  CHECK(book.held == 0);
  CHECK(book.allocations > 0);
}

TEST_CASE("scratch memory and arrays come from the backend's resource, once") {
  problem p;
  counting_resource::ledger book;
  infalign::cuda<counting_resource> on(nullptr, counting_resource{&book});
  p.run(on, rank_algorithm::sorting);
  const int first = book.allocations;
  p.run(on, rank_algorithm::sorting);
  CHECK(book.allocations == first);
  const infalign::calibrator fitted(on, p.z.rows(problem::prompts, problem::references));
  CHECK(book.allocations > first);
  auto trusting = on.unchecked();
  const int before = book.allocations;
  p.run(trusting, rank_algorithm::sorting);  // with scratch memory of its own
  CHECK(book.allocations > before);
}

TEST_CASE("loss and gradient may replace the logits, and take no memory that grows with the vocabulary") {
  const auto bytes_for = [](index_t vocabulary) {
    const index_t tokens = 64;
    device_array<float> logits(test::normal_values<float>(tokens * vocabulary, 1)), advantages(std::vector<float>(64, 1.0f));
    device_array<std::int32_t> ids(std::vector<std::int32_t>(64, 3));
    counting_resource::ledger book;
    infalign::cuda<counting_resource> on(nullptr, counting_resource{&book});
    infalign::policy_gradient(on, infalign::reinforce(),
                              infalign::token_logits<float, device_memory>{logits.rows(tokens, vocabulary), {}, ids.span()},
                              advantages.span(), {.kl = infalign::kl_weight(0)},
                              infalign::token_statistics<float, device_memory>{}, logits.rows(tokens, vocabulary));
    return book.bytes;
  };
  CHECK(bytes_for(100) <= 64 * 1024);
  CHECK(bytes_for(20'000) <= 64 * 1024);  // the logits take 5 MB
}

TEST_CASE("a failed call is named with CUDA's own words and code") {
  try {
    infalign::detail::expects_cuda(cudaErrorInvalidValue, "cudaLaunchKernelEx");
    FAIL("nothing thrown");
  } catch (const infalign::cuda_error& e) {
    CHECK(std::string(e.what()) == "cudaLaunchKernelEx: invalid argument (cudaErrorInvalidValue)");
    CHECK(e.code == cudaErrorInvalidValue);
  }
}

#if defined(__CUDACC__)
TEST_CASE("calls of an unchecked backend are captured into a graph and replayed") {
  cudaStream_t stream;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  {
    problem p;
    auto on = infalign::cuda(stream).unchecked();
    p.run(on, rank_algorithm::sorting);                     // scratch memory is there from now on
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);  // the arrays are on another stream
    const auto expected = p.u.host();
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    p.run(on, rank_algorithm::sorting);
    p.run(on, rank_algorithm::counting);
    cudaGraph_t graph;
    REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    cudaGraphExec_t replay;
    REQUIRE(cudaGraphInstantiate(&replay, graph, 0) == cudaSuccess);
    REQUIRE(cudaMemsetAsync(p.u.data(), 0, sizeof(float) * static_cast<std::size_t>(p.u.size()), stream) == cudaSuccess);
    for (int repetition = 0; repetition < 3; ++repetition) REQUIRE(cudaGraphLaunch(replay, stream) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(p.u.host() == expected);
    cudaGraphExecDestroy(replay);
    cudaGraphDestroy(graph);
  }
  cudaStreamDestroy(stream);
}
#else
TEST_CASE("an unchecked backend never waits, a checked one only to look for bad values") {
  problem p;
  infalign::cuda on;
  auto trusting = on.unchecked();
  for (const auto algorithm : {rank_algorithm::counting, rank_algorithm::sorting}) {
    const long before = standin::calls.synchronizations;
    p.run(trusting, algorithm);
    CHECK(standin::calls.synchronizations == before);
    p.run(on, algorithm);
    CHECK(standin::calls.synchronizations == before + 2);  // references and rewards
  }
}

TEST_CASE("a launch that fails is a cuda_error, and the next call works") {
  problem p;
  infalign::cuda on;
  auto trusting = on.unchecked();
  standin::calls.next_launch_fails = true;
  CHECK(test::message_of<infalign::cuda_error>([&] { p.run(trusting, rank_algorithm::counting); }) ==
        "cudaLaunchKernelEx: invalid argument (cudaErrorInvalidValue)");
  CHECK_NOTHROW(p.run(trusting, rank_algorithm::counting));
}
#endif

TEST_CASE_TEMPLATE("CUDA's 16-bit types are storage as the library's are, to the bit", Types,
                   std::pair<__nv_bfloat16, infalign::bfloat16>, std::pair<__half, infalign::half>) {
  using theirs = typename Types::first_type;
  using ours = typename Types::second_type;
  const index_t tokens = 3, vocabulary = 300;
  std::vector<ours> logits;
  for (const float x : test::normal_values<float>(tokens * vocabulary, 1)) logits.push_back(static_cast<ours>(x));
  device_array<ours> in(logits), out(logits);
  device_array<std::int32_t> ids(std::vector<std::int32_t>{0, 299, 7});
  device_array<float> advantages(std::vector<float>{1, -2, 3}), loss(tokens);
  infalign::cuda on;
  const auto run = [&](auto storage) {
    using S = decltype(storage);
    const infalign::rows<const S, device_memory> rows(reinterpret_cast<const S*>(in.data()), tokens, vocabulary);
    infalign::policy_gradient(on, infalign::reinforce(), infalign::token_logits<S, device_memory>{rows, {}, ids.span()},
                              advantages.span(), {.kl = infalign::kl_weight(0)},
                              infalign::token_statistics<float, device_memory>{loss.span(), {}, {}, {}},
                              infalign::rows<S, device_memory>(reinterpret_cast<S*>(out.data()), tokens, vocabulary));
    std::vector<std::uint16_t> bits;
    for (const ours& x : out.host()) bits.push_back(x.bits);
    return bits;
  };
  const auto expected = run(ours());
  CHECK(run(theirs()) == expected);
}
