// SPDX-License-Identifier: Apache-2.0
/// \file
/// The CUDA backend: every algorithm of the library on a GPU, from the same source as on the CPU. For translation units
/// compiled by nvcc (C++20, `--expt-relaxed-constexpr`); the CMake target `infalign::cuda` sets what it needs. No Eigen, no
/// xsimd.
///
/// \code
/// infalign::cuda on(stream);                                                     // a value; nothing global
/// const infalign::rows<const float, infalign::device_memory> z(references, prompts, 128);
/// infalign::calibrate(on.unchecked(), z, y, u);                                  // enqueued, returns at once
/// \endcode
#pragma once

#include <cuda_runtime.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>

#include <algorithm>
#include <cub/device/device_segmented_radix_sort.cuh>
#include <limits>
#include <utility>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/cuda_launch_model.cuh"
#include "infalign/backend/cuda_memory.cuh"
#include "infalign/backend/detail/cuda_kernels.cuh"
#include "infalign/core/workspace.hpp"

namespace infalign {

/// Backend of a CUDA device. See `backend.hpp` for the meaning of its members.
///
/// - It is a value that carries a stream and scratch memory from `Resource` (by default ordered on that stream), and nothing
///   global. It works on the device that was current when it was made, which must be current in every call.
/// - Calls enqueue on the stream and return. `read` and `first` wait for the stream. So do the search for bad values, with
///   which a checked backend (the default) begins every call, and functions that return a number, as `summarize`. An
///   `unchecked()` backend does not look at values: nothing waits, NaN gives unspecified numbers, ids out of range undefined
///   behaviour.
/// - Scratch memory is kept and reused. Once the largest call has been seen, no call allocates, and calls of an unchecked
///   backend may be captured into a CUDA graph. The graph uses the backend's scratch memory: the backend must outlive it, and
///   the two must not run at the same time.
/// - A failed CUDA call throws a `cuda_error` that names it. Scratch memory is taken before anything is written: if there is
///   not enough, inputs and outputs are untouched and the backend remains usable.
/// - `LaunchModel` chooses the shape of teams: `shape(groups, cost)` and `multiprocessors`, as `cuda_launch_model` has them.
/// - Results: counts, and so calibrated rewards, equal those of the other backends to the bit; sums differ by their order.
///   Deterministic for one device and size.
template <class Resource = stream_ordered_resource, class LaunchModel = cuda_launch_model>
class cuda {
 public:
  using memory_space = device_memory;
  using team_type = detail::cuda_team;
  template <class T>
  using array = device_array<T, Resource>;

  explicit cuda(cudaStream_t stream = nullptr)
    requires std::same_as<Resource, stream_ordered_resource>
      : cuda(stream, stream_ordered_resource{stream}) {}
  cuda(cudaStream_t stream, Resource resource) : stream_(stream), resource_(resource), workspace_(std::move(resource)) {}

  [[nodiscard]] cudaStream_t stream() const { return stream_; }

  /// The same backend without the search for bad values. It starts without scratch memory: keep it, so that its memory is
  /// reused.
  [[nodiscard]] cuda unchecked() const {
    cuda copy = *this;
    copy.checks_values_ = false;
    return copy;
  }
  [[nodiscard]] bool checks_values() const { return checks_values_; }

  typename basic_workspace<Resource>::frame scratch() { return typename basic_workspace<Resource>::frame(workspace_); }
  template <class T>
  [[nodiscard]] array<T> make_array(index_t n) const {
    return array<T>(n, stream_, resource_);
  }

  /// Waits for the stream.
  template <class T>
  [[nodiscard]] T read(const T* p) const {
    T value;
    detail::expects_cuda(cudaMemcpyAsync(&value, p, sizeof(T), cudaMemcpyDeviceToHost, stream_), "cudaMemcpyAsync");
    detail::expects_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    return value;
  }

  template <class T, class F>
  void map(index_t n, const F& f) {
    if (n > 0) launch(detail::cuda_map<T, F>, blocks_for(n), detail::cuda_block, 1, 0, f, n);
  }

  template <class Kernel>
  void groups(index_t n, index_t cost, const Kernel& kernel) {
    if (n <= 0) return;
    detail::cuda_shape shape = model_.shape(n, cost);
    while (shape.blocks > largest_cluster(detail::cuda_groups<Kernel>, shape)) shape.blocks /= 2;
    const index_t threads = shape.fills_blocks() ? 32 * shape.warps : detail::cuda_block;
    const index_t teams_of_block = shape.fills_blocks() ? 1 : threads / shape.lanes;
    const index_t clusters = std::min((n + teams_of_block - 1) / teams_of_block, most_blocks / shape.blocks);
    auto frame = scratch();
    double* const exchange = shape.blocks > 1 ? frame.template take<double>(clusters * 2 * shape.blocks) : nullptr;
    launch(detail::cuda_groups<Kernel>, clusters * shape.blocks, threads, shape.blocks,
           2 * static_cast<std::size_t>(shape.warps) * sizeof(double), kernel, n, shape, exchange);
  }

  /// Waits for the stream.
  template <class T, class P>
  index_t first(index_t n, const P& p) {
    if (n <= 0) return n;
    auto frame = scratch();
    auto* const found = frame.template take<unsigned long long>(1);
    detail::expects_cuda(cudaMemsetAsync(found, 0xff, sizeof *found, stream_), "cudaMemsetAsync");
    launch(detail::cuda_first<T, P>, blocks_for(n), detail::cuda_block, 1, 0, p, n, found);
    const unsigned long long position = read(found);
    return position < static_cast<unsigned long long>(n) ? static_cast<index_t>(position) : n;
  }

  /// Sorts by CUB's segmented radix sort, in runs of groups with at most 2^31-1 values together. With more values than that in
  /// ragged groups it waits for the stream, to read where the runs end. Errors: `shape_error` for a single group of more.
  template <class G, class T>
  void sort(const G& groups, T* out) {
    auto frame = scratch();
    const T* packed = groups.data();
    if (packed == out || !shape<G>::is_packed(groups)) {
      T* const copy = frame.template take<T>(groups.total());
      this->groups(groups.size(), groups.total(), detail::pack_kernel{any_groups(groups), copy});
      packed = copy;
    }
    for (index_t begin = 0, end = 0; begin < groups.size(); begin = end) {
      end = end_of_run(groups, begin);
      sort_run(groups, packed, begin, end, out);
    }
  }

 private:
  static constexpr index_t most_blocks = index_t{1} << 30;

  /// Enough blocks to fill the device several times over. If there is more work, each block goes through several tiles.
  [[nodiscard]] index_t blocks_for(index_t n) const {
    constexpr index_t of_block = detail::cuda_block * detail::cuda_pack_size;
    return std::min((n + of_block - 1) / of_block, index_t{32} * model_.multiprocessors);
  }

  static constexpr index_t longest_run = std::numeric_limits<int>::max();

  template <class G>
  [[nodiscard]] index_t offset(const G& groups, index_t g) const {
    return shape<G>::offset_of([this](const index_t* p) { return read(p); }, groups, g);
  }

  /// The largest `end` for which groups `begin … end-1` have no more values than CUB counts.
  template <class G>
  [[nodiscard]] index_t end_of_run(const G& groups, index_t begin) const {
    const index_t origin = offset(groups, begin);
    index_t end = std::min(groups.size(), begin + longest_run);
    if (offset(groups, end) - origin <= longest_run) return end;
    index_t fits = begin;
    while (end - fits > 1) {
      const index_t middle = fits + (end - fits) / 2;
      (offset(groups, middle) - origin <= longest_run ? fits : end) = middle;
    }
    expects<shape_error>(fits > begin, "cuda::sort", "groups[", begin, "] has more than 2^31-1 values");
    return fits;
  }

  template <class G, class T>
  void sort_run(const G& groups, const T* packed, index_t begin, index_t end, T* out) {
    const index_t origin = offset(groups, begin);
    const index_t values = offset(groups, end) - origin;
    if (values == 0) return;
    const auto segment = ::thrust::make_transform_iterator(::thrust::counting_iterator<index_t>(begin),
                                                           detail::segment_begin<G>{groups, origin});
    const auto run = [&](void* memory, std::size_t& bytes) {
      detail::expects_cuda(
          cub::DeviceSegmentedRadixSort::SortKeys(memory, bytes, packed + origin, out + origin, static_cast<int>(values),
                                                  static_cast<int>(end - begin), segment, segment + 1, 0,
                                                  static_cast<int>(8 * sizeof(T)), stream_),
          "cub::DeviceSegmentedRadixSort::SortKeys");
    };
    std::size_t bytes = 0;
    run(nullptr, bytes);
    auto frame = scratch();
    run(frame.template take<char>(static_cast<index_t>(bytes)), bytes);
  }

  /// The most blocks that a cluster of this kernel may have. On small parts of a device they are few. Code made from PTX for
  /// less than compute capability 9.0 has no clusters, even on a device that does: then it is one.
  template <class... Parameters>
  [[nodiscard]] static int largest_cluster(void (*kernel)(Parameters...), const detail::cuda_shape& shape) {
    if (shape.blocks == 1) return 1;
    cudaFuncAttributes attributes{};
    detail::expects_cuda(cudaFuncGetAttributes(&attributes, kernel), "cudaFuncGetAttributes");
    if (attributes.ptxVersion < 90) return 1;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
    config.blockDim = dim3(static_cast<unsigned>(32 * shape.warps));
    config.dynamicSmemBytes = 2 * static_cast<std::size_t>(shape.warps) * sizeof(double);
    int blocks = 1;
    detail::expects_cuda(cudaOccupancyMaxPotentialClusterSize(&blocks, kernel, &config),
                         "cudaOccupancyMaxPotentialClusterSize");
    return std::max(blocks, 1);
  }

  template <class... Parameters, class... Arguments>
  void launch(void (*kernel)(Parameters...), index_t blocks, index_t threads, int cluster, std::size_t shared_bytes,
              const Arguments&... arguments) const {
    static_assert((std::is_trivially_copyable_v<Parameters> && ...), "what enters a kernel must own no memory of the host");
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(blocks));
    config.blockDim = dim3(static_cast<unsigned>(threads));
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream_;
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim = {static_cast<unsigned>(cluster), 1, 1};
    config.attrs = &attribute;
    config.numAttrs = cluster > 1 ? 1 : 0;
    detail::expects_cuda(cudaLaunchKernelEx(&config, kernel, arguments...), "cudaLaunchKernelEx");
  }

  cudaStream_t stream_;
  Resource resource_;
  basic_workspace<Resource> workspace_;
  LaunchModel model_;
  bool checks_values_ = true;
};

static_assert(backend<cuda<>>);

}  // namespace infalign
