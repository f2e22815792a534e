// SPDX-License-Identifier: Apache-2.0
/// \file
/// The team of the CUDA backend: from a few lanes of a warp to a cluster of blocks. Its shape is chosen at run time, so that
/// every kernel is compiled once.
#pragma once

#include "infalign/backend/detail/cuda_lanes.cuh"
#include "infalign/backend/detail/pack.hpp"
#include "infalign/backend/team.hpp"
#include "infalign/core/storage.hpp"

namespace infalign::detail {

/// Elements that a thread holds of a `vec`. Their loads are independent and hide the latency of memory.
inline constexpr int cuda_pack_size = 4;

inline constexpr int cuda_block = 256;          ///< threads of a block that is not one team's
inline constexpr int cuda_largest_block = 512;  ///< threads of the blocks of the largest teams

/// The threads that work on one group: `lanes` of a warp (1, 2, 4 … 32), or all 32 lanes of each of the `warps` (up to 16) of a
/// block, or of each of the `blocks` (up to 8) of a cluster.
struct cuda_shape {
  int lanes = 32;
  int warps = 1;
  int blocks = 1;
  /// Whether a block is not shared by several teams.
  [[nodiscard]] INFALIGN_HD bool fills_blocks() const { return warps > 1 || blocks > 1; }
};

/// Positions `first + k·stride`, k = 0 … size-1: consecutive threads read consecutive elements, whatever their alignment.
template <class T, bool Whole>
struct cuda_position {
  using vec = pack<T, cuda_pack_size>;
  index_t first;
  int stride;
  index_t end;  ///< positions from here on do not exist

  [[nodiscard]] INFALIGN_HD bool exists(int k) const { return Whole || first + k * stride < end; }

  template <class Storage>
  [[nodiscard]] INFALIGN_HD vec load(const Storage* p, T pad = T()) const {
    vec v;
    p += first;
    for (int k = 0; k < vec::size; ++k) v.element[k] = exists(k) ? static_cast<T>(p[k * stride]) : pad;
    return v;
  }
  template <class Storage>
  INFALIGN_HD void store(Storage* p, const vec& v) const {
    p += first;
    for (int k = 0; k < vec::size; ++k)
      if (exists(k)) p[k * stride] = static_cast<Storage>(static_cast<compute_t<Storage>>(v.element[k]));
  }
  [[nodiscard]] INFALIGN_HD static vec add_where(const vec& sum, const pack_mask<vec::size>& where, const vec& v) {
    return select(where, sum + v, sum);
  }
  [[nodiscard]] INFALIGN_HD static vec count_where(const vec& count, const pack_mask<vec::size>& where) {
    return add_where(count, where, vec(T(1)));
  }
};

/// Cuts `0 … n-1` into tiles of `lanes` threads times the elements of each, and goes through every `step`-th from tile `tile`.
template <class T, class F>
INFALIGN_HD void for_each_tile(index_t n, int lane, int lanes, index_t tile, index_t step, F&& f) {
  const index_t length = static_cast<index_t>(lanes) * cuda_pack_size;
  index_t begin = tile * length;
#if defined(__CUDA_ARCH__)
#pragma unroll 2
#endif
  for (; begin + length <= n; begin += step * length) f(cuda_position<T, true>{begin + lane, lanes, n});
  if (begin < n) f(cuda_position<T, false>{begin + lane, lanes, n});
}

/// Ignores NaN, so that all lanes get the same result in any order.
struct largest_of {
  INFALIGN_HD double operator()(double a, double b) const { return a < b || a != a ? b : a; }
};
struct sum_of {
  INFALIGN_HD double operator()(double a, double b) const { return a + b; }
};

/// See `team.hpp` for the meaning of its members. Reductions go over the lanes by shuffles, over the warps of a block through
/// shared memory, and over the blocks of a cluster through global memory. Each memory has two places that take turns, so that
/// one barrier a reduction is enough.
class cuda_team {
 public:
  template <class T>
  using vec = pack<T, cuda_pack_size>;
  template <class T>
  using positions = position_types<cuda_position<T, true>, cuda_position<T, false>>;

  /// `shared`: 2·warps doubles of this block; `exchange`: 2·blocks doubles of this cluster in global memory.
  INFALIGN_HD cuda_team(cuda_shape shape, double* shared, double* exchange)
      : shape_(shape), shared_(shared), exchange_(exchange) {
    const int thread = thread_of_block();
    lane_ = thread & (shape.lanes - 1);
    mask_ = shape.lanes == 32 ? 0xffffffffu : ((1u << shape.lanes) - 1u) << ((thread & 31) - lane_);
    warp_ = shape.warps > 1 ? thread / 32 : 0;
    block_ = shape.blocks > 1 ? block_of_cluster() : 0;
  }

  template <class T, int U = 1, class F>
  INFALIGN_HD void loop(index_t n, F&& f) {
    begin_step();
    for_each_tile<T>(n, lane_, shape_.lanes, block_ * shape_.warps + warp_, shape_.warps * shape_.blocks,
                     [&](auto at) { f(at, accumulator_index<0>{}); });
  }
  template <class F>
  INFALIGN_HD void items(index_t n, F&& f) {
    begin_step();
    for (index_t i = rank(); i < n; i += size()) f(i);
  }
  template <class F>
  [[nodiscard]] INFALIGN_HD double sum_items(index_t n, F&& f) {
    begin_step();
    double sum = 0;
    for (index_t i = rank(); i < n; i += size()) sum += f(i);
    return reduce(sum, sum_of{});
  }
  template <class F>
  INFALIGN_HD void once(F&& f) {
    begin_step();
    if (rank() == 0) f();
  }
  template <class T>
  [[nodiscard]] INFALIGN_HD double sum(const vec<T>& v) {
    static_assert(cuda_pack_size == 4);
    return reduce(static_cast<double>((v.element[0] + v.element[1]) + (v.element[2] + v.element[3])), sum_of{});
  }
  template <class T>
  [[nodiscard]] INFALIGN_HD double count(const vec<T>& counts) {
    return sum(counts);
  }
  template <class T>
  [[nodiscard]] INFALIGN_HD double maximum(const vec<T>& v) {
    T largest = v.element[0];
    for (const T e : v.element) largest = largest < e ? e : largest;
    return reduce(static_cast<double>(largest), largest_of{});
  }

  /// Long, so that reductions and their barriers are few. Short enough that reading the first chunk twice (for its maximum)
  /// costs little.
  template <class T>
  [[nodiscard]] INFALIGN_HD static constexpr index_t chunk() {
    return 1 << 14;
  }

 private:
  [[nodiscard]] INFALIGN_HD index_t rank() const { return (block_ * shape_.warps + warp_) * shape_.lanes + lane_; }
  [[nodiscard]] INFALIGN_HD index_t size() const { return shape_.blocks * shape_.warps * shape_.lanes; }

  /// Makes visible to the whole team what the step before may have stored.
  INFALIGN_HD void begin_step() {
    if (stored_) barrier();
    stored_ = true;
  }
  INFALIGN_HD void barrier() {
    if (shape_.blocks > 1)
      cluster_barrier();
    else if (shape_.warps > 1)
      block_barrier();
    else
      warp_barrier(mask_);
  }

  template <class Op>
  INFALIGN_HD double reduce(double v, Op op) {
    for (int offset = shape_.lanes / 2; offset > 0; offset /= 2) v = op(v, shuffle_xor(mask_, v, offset));
    if (!shape_.fills_blocks()) return v;
    turn_ ^= 1;
    stored_ = false;  // a barrier follows
    if (shape_.warps > 1) {
      double* const of_warps = shared_ + turn_ * shape_.warps;
      if (lane_ == 0) of_warps[warp_] = v;
      block_barrier();
      v = combined(of_warps, shape_.warps, op);
    }
    if (shape_.blocks > 1) {
      double* const of_blocks = exchange_ + turn_ * shape_.blocks;
      if (warp_ == 0 && lane_ == 0) of_blocks[block_] = v;
      cluster_barrier();
      v = combined(of_blocks, shape_.blocks, op);
    }
    return v;
  }
  template <class Op>
  INFALIGN_HD static double combined(const double* values, int n, Op op) {
    double v = values[0];
    for (int i = 1; i < n; ++i) v = op(v, values[i]);
    return v;
  }

  cuda_shape shape_;
  double* shared_;
  double* exchange_;
  unsigned mask_;
  int lane_;
  int warp_;
  int block_;
  int turn_ = 0;
  bool stored_ = false;
};

}  // namespace infalign::detail
