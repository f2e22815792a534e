// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "infalign/backend/cuda_memory.cuh"
#include "infalign/transform/tabulated.hpp"

namespace infalign {

/// A `tabulated` transform whose table lies in device memory, for the CUDA backend and kernels of your own (`ref()`). Copies share
/// the table. On the host it is the transform that it was made from. Waits until the table is copied. Errors: `cuda_error`.
class device_tabulated {
 public:
  static constexpr const char* citation = tabulated::citation;

  explicit device_tabulated(const tabulated& transform, cudaStream_t stream = nullptr)
      : host_(transform), table_(std::make_shared<const table>(transform.ref(), stream)) {}

  template <class V>
  V operator()(V at) const {
    return host_(at);
  }
  template <class V>
  V derivative(V at) const {
    return host_.derivative(at);
  }
  [[nodiscard]] std::vector<double> kinks() const { return host_.kinks(); }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return host_.name(); }
  [[nodiscard]] basic_tabulated_ref<device_memory> ref() const {
    return {table_->u.data(), table_->value.data(), table_->slope.data(), table_->u.size()};
  }

 private:
  struct table {
    device_array<double> u, value, slope;
    table(const tabulated_ref& of, cudaStream_t stream)
        : u(std::vector(of.u, of.u + of.size), stream),
          value(std::vector(of.value, of.value + of.size), stream),
          slope(std::vector(of.slope, of.slope + of.size), stream) {}
  };

  tabulated host_;
  std::shared_ptr<const table> table_;
};

}  // namespace infalign
