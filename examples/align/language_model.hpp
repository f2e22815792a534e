// SPDX-License-Identifier: Apache-2.0
/// \file
/// A character-level language model: embeddings, two hidden layers, a softmax layer, and its backward pass by hand.
///
///     h₁ = relu(Σ E[:, f] + b₁)             sums run over the active features f of the context
///     h₂ = h₁ + relu(W·h₁ + b₂)
///     logits = U·h₂ + Σ D[:, f] + c
///
/// The first layer adds table columns, which is a matrix product with a vector of zeros and ones. The direct table D lets
/// single features move the logits without passing the hidden layers: spelling rules are learned by it, and fast. E lies on top
/// of D in one table, so that a feature is one run of memory.
///
/// All parameters lie in one vector, so an optimiser and a gradient check need to know nothing of the layers. Columns are
/// contexts; a column of logits is contiguous, so the logits of T contexts are T rows for the library.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <vector>

#include "context_features.hpp"
#include "random_stream.hpp"

namespace align {

using Eigen::Index;

inline constexpr int hidden_units = 32;
/// A row of logits fills whole vector registers; the entries behind the vocabulary are masked tokens, of logit -inf.
inline constexpr int logit_columns = 32;

/// Inputs and activations of many contexts, kept for the backward pass.
template <class Scalar>
struct activations {
  using hidden_matrix = Eigen::Matrix<Scalar, hidden_units, Eigen::Dynamic>;
  using logit_matrix = Eigen::Matrix<Scalar, logit_columns, Eigen::Dynamic>;
  std::vector<context_features> features;
  hidden_matrix first;     ///< h₁
  hidden_matrix residual;  ///< relu(W·h₁ + b₂)
  hidden_matrix second;    ///< h₂
  logit_matrix logits;

  /// Room for `n` contexts. Never shrinks, so the steady state of training allocates nothing; growing drops the contents.
  void reserve(Index n) {
    if (first.cols() >= n) return;
    features.resize(static_cast<std::size_t>(n));
    first.resize(hidden_units, n);
    residual.resize(hidden_units, n);
    second.resize(hidden_units, n);
    logits.resize(logit_columns, n);
  }
};

template <class Scalar>
class language_model {
 public:
  using vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;
  using hidden_matrix = typename activations<Scalar>::hidden_matrix;
  using logit_matrix = typename activations<Scalar>::logit_matrix;

  /// Random weights, of the size that keeps the variance of a layer's output near that of its input; the direct table is 0.
  explicit language_model(random_stream& random);

  [[nodiscard]] vector& parameters() { return parameters_; }
  [[nodiscard]] const vector& parameters() const { return parameters_; }

  /// Logits of the contexts `begin … begin + n` of `at`, whose features are set.
  void forward(activations<Scalar>& at, Index begin, Index n) const;

  /// Gradient with respect to the parameters, from the gradient with respect to the logits of the first `n` contexts.
  void backward(const activations<Scalar>& at, const logit_matrix& logit_gradient, Index n, vector& gradient);

 private:
  static constexpr int table_rows = hidden_units + logit_columns;
  using table_column = Eigen::Matrix<Scalar, table_rows, 1>;

  // Where each layer begins in the vector of parameters. The column behind those of the features holds the biases b₁ and c.
  static constexpr Index mixing_begin = Index{table_rows} * (context_features::count + 1);
  static constexpr Index output_begin = mixing_begin + Index{hidden_units} * hidden_units;
  static constexpr Index mixing_bias_begin = output_begin + Index{logit_columns} * hidden_units;
  static constexpr Index size = mixing_bias_begin + hidden_units;

  template <int Rows, int Columns, class Vector>
  static auto block(Vector& parameters, Index begin) {
    using matrix = Eigen::Matrix<Scalar, Rows, Columns>;
    return Eigen::Map<std::conditional_t<std::is_const_v<Vector>, const matrix, matrix>>(parameters.data() + begin);
  }
  template <class V>
  static auto tables(V& p) {
    return block<table_rows, context_features::count + 1>(p, 0);
  }
  template <class V>
  static auto mixing(V& p) {
    return block<hidden_units, hidden_units>(p, mixing_begin);
  }
  template <class V>
  static auto output(V& p) {
    return block<logit_columns, hidden_units>(p, output_begin);
  }
  template <class V>
  static auto mixing_bias(V& p) {
    return block<hidden_units, 1>(p, mixing_bias_begin);
  }

  /// Uniform weights with the given standard deviation.
  template <class Matrix>
  static void fill(Matrix weights, double deviation, random_stream& random) {
    for (Index j = 0; j < weights.cols(); ++j)
      for (Index i = 0; i < weights.rows(); ++i)
        weights(i, j) = static_cast<Scalar>((2 * random.uniform() - 1) * std::sqrt(3.0) * deviation);
  }

  [[nodiscard]] table_column sum_features(const context_features& f) const {
    const auto table = tables(parameters_);
    table_column sum = table.col(context_features::count);
    for (int i = 0; i < f.n_active; ++i) sum += table.col(f.active[static_cast<std::size_t>(i)]);
    return sum;
  }

  static void scatter_features(const context_features& f, const table_column& column, vector& gradient) {
    auto table = tables(gradient);
    table.col(context_features::count) += column;
    for (int i = 0; i < f.n_active; ++i) table.col(f.active[static_cast<std::size_t>(i)]) += column;
  }

  vector parameters_;
  hidden_matrix d_first_, d_residual_;  // gradients of the activations, kept for their memory
};

template <class Scalar>
language_model<Scalar>::language_model(random_stream& random) : parameters_(vector::Zero(size)) {
  fill(tables(parameters_).template topRows<hidden_units>(), std::sqrt(1.0 / context_features::most_active), random);
  fill(mixing(parameters_), std::sqrt(1.0 / hidden_units), random);
  fill(output(parameters_), std::sqrt(0.3 / hidden_units), random);
}

template <class Scalar>
void language_model<Scalar>::forward(activations<Scalar>& at, Index begin, Index n) const {
  auto first = at.first.middleCols(begin, n);
  auto residual = at.residual.middleCols(begin, n);
  auto second = at.second.middleCols(begin, n);
  auto logits = at.logits.middleCols(begin, n);
  for (Index j = 0; j < n; ++j) {
    const table_column sum = sum_features(at.features[static_cast<std::size_t>(begin + j)]);
    first.col(j) = sum.template head<hidden_units>().cwiseMax(Scalar(0));
    logits.col(j) = sum.template tail<logit_columns>();
  }
  residual.noalias() = mixing(parameters_) * first;
  residual = (residual.colwise() + mixing_bias(parameters_)).cwiseMax(Scalar(0));
  second = first + residual;
  logits.noalias() += output(parameters_) * second;
  logits.template bottomRows<logit_columns - vocabulary>().setConstant(-std::numeric_limits<Scalar>::infinity());
}

template <class Scalar>
void language_model<Scalar>::backward(const activations<Scalar>& at, const logit_matrix& logit_gradient, Index n,
                                      vector& gradient) {
  gradient.setZero(size);
  const auto d_logits = logit_gradient.leftCols(n);
  const auto first = at.first.leftCols(n);
  const auto residual = at.residual.leftCols(n);
  if (d_first_.cols() < n) d_first_.resize(hidden_units, n);
  if (d_residual_.cols() < n) d_residual_.resize(hidden_units, n);
  auto d_first = d_first_.leftCols(n);
  auto d_residual = d_residual_.leftCols(n);
  output(gradient).noalias() = d_logits * at.second.leftCols(n).transpose();
  d_first.noalias() = output(parameters_).transpose() * d_logits;  // d h₂, of which h₁ is one summand
  d_residual = (residual.array() > Scalar(0)).select(d_first, Scalar(0));
  mixing(gradient).noalias() = d_residual * first.transpose();
  mixing_bias(gradient) = d_residual.rowwise().sum();
  d_first.noalias() += mixing(parameters_).transpose() * d_residual;
  d_first = (first.array() > Scalar(0)).select(d_first, Scalar(0));
  for (Index j = 0; j < n; ++j) {
    table_column column;
    column << d_first.col(j), d_logits.col(j);
    scatter_features(at.features[static_cast<std::size_t>(j)], column, gradient);
  }
}

// Compiled once, in language_model.cpp: Eigen's products take several seconds.
extern template class language_model<float>;

}  // namespace align
