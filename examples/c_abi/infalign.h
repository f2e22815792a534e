/* SPDX-License-Identifier: Apache-2.0 */
/* infalign for C, and for what calls C: Rust, Go, Julia, Python's ctypes, a server with dlopen.
 *
 *   double references[] = {1, 2, 3, 4}, rewards[] = {2.5, 4}, u[2];
 *   infalign_groups z = infalign_rows_f64(references, 1, 4), y = infalign_rows_f64(rewards, 1, 2), out = infalign_rows_f64(u, 1, 2);
 *   if (infalign_calibrate(&z, &y, "exponential:10", NULL, &out) != INFALIGN_OK) fprintf(stderr, "%s\n", infalign_last_error());
 *
 * Every function returns a status; on anything but INFALIGN_OK nothing was written, and infalign_last_error says which argument, where,
 * and its value. Pointers to results are written only on success. All functions may be called from any number of threads at once; a
 * handle is constant once it is made. No exception leaves the library. Names of transforms, tie rules and procedures are those of the
 * command: "exponential:10", "mid_rank", "best_of:4". Link libinfalign_c, or load it and ask for the table by infalign_get_api. */
#ifndef INFALIGN_C_H
#define INFALIGN_C_H

#include <stdint.h>

#if defined(_WIN32)
#define INFALIGN_C_API __declspec(dllexport)
#else
#define INFALIGN_C_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a function or a member is added at the end; what is there keeps its place. */
#define INFALIGN_C_VERSION 1

typedef enum infalign_status {
  INFALIGN_OK = 0,
  INFALIGN_BAD_SHAPE = 1, /* sizes that do not fit each other, offsets, overlap */
  INFALIGN_BAD_VALUE = 2, /* a NaN, a name that is none, a number out of its range */
  INFALIGN_NO_MEMORY = 3,
  INFALIGN_FAILED = 4
} infalign_status;

typedef enum infalign_type { INFALIGN_F32 = 0, INFALIGN_F64 = 1, INFALIGN_BF16 = 2, INFALIGN_F16 = 3 } infalign_type;

/* Groups of values, one a prompt. Rows: `offsets` is NULL, row g is at data + g*stride. Ragged: group g is
 * data[offsets[g] ... offsets[g+1]), offsets has size + 1 entries, columns and stride are not read. F32 or F64. */
typedef struct infalign_groups {
  void* data;
  infalign_type type;
  int64_t size;
  int64_t columns;
  int64_t stride;
  const int64_t* offsets;
} infalign_groups;

typedef struct infalign_estimate {
  double value;
  double standard_error;
  int64_t count;
  double low; /* the confidence interval */
  double high;
} infalign_estimate;

typedef struct infalign_plan_row {
  const char* transform; /* lives as long as the plan */
  int reached;           /* 0: no beta gives this KL, and the numbers are NaN */
  double beta;
  double scaled_beta; /* for the transform scaled to a range of 1 */
  double kl;
  double win_rate; /* of the procedure */
  double standard_win_rate;
  double price; /* what it gives away against the best possible */
} infalign_plan_row;

typedef enum infalign_loss { INFALIGN_REINFORCE = 0, INFALIGN_CLIPPED_SURROGATE = 1 } infalign_loss;

/* The loss of each token, `loss + kl*KL(pi||base) - entropy*H`, times its weight and `scale`; the gradient is that of the sum. */
typedef struct infalign_loss_request {
  infalign_type type; /* of logits, base and gradient: F32, BF16 or F16 */
  int64_t tokens;
  int64_t columns;
  const void* logits; /* row t is at logits + t*logits_stride, in elements; so are the others */
  int64_t logits_stride;
  const void* base; /* NULL: none */
  int64_t base_stride;
  void* gradient; /* may be the memory of logits or base, with its stride */
  int64_t gradient_stride;
  const int64_t* ids;
  int64_t ignored_id;        /* tokens with this id are left out; -100, say. A value that is no id otherwise. */
  const float* advantages;   /* one a token */
  const float* old_log_prob; /* NULL unless the loss is a clipped surrogate */
  const float* weights;      /* one a token; NULL: 1 */
  infalign_loss loss;
  double epsilon_low; /* of the clipped surrogate */
  double epsilon_high;
  double kl;
  double entropy;
  double scale;
  double temperature; /* logits are divided by it */
  float* losses;      /* results, one a token; each may be NULL */
  float* log_probs;
  float* kls;
  float* entropies;
} infalign_loss_request;

typedef struct infalign_calibrator infalign_calibrator; /* the sorted references of prompts */
typedef struct infalign_plan infalign_plan;

/* What went wrong in the last call of this thread that failed; "" if none did. Valid until the next one that fails. */
INFALIGN_C_API const char* infalign_last_error(void);
/* "0.2.0" */
INFALIGN_C_API const char* infalign_version(void);

/* out = Phi(calibrated reward), in the shape of rewards; transform NULL: identity, ties NULL: mid_rank. */
INFALIGN_C_API infalign_status infalign_calibrate(const infalign_groups* references, const infalign_groups* rewards,
                                                  const char* transform, const char* ties, const infalign_groups* out);
/* One win rate a prompt, unbiased, ties counted 1/2; base_procedure NULL: the same. */
INFALIGN_C_API infalign_status infalign_win_rate(const infalign_groups* policy, const infalign_groups* base,
                                                 const char* procedure, const char* base_procedure, double* out);
/* One expected reward of what the procedure serves a prompt, unbiased. */
INFALIGN_C_API infalign_status infalign_expected_reward(const infalign_groups* rewards, const char* procedure, double* out);
/* The mean of n values with its standard error and interval; lowest and highest bound what they estimate: 0 and 1 for win rates. */
INFALIGN_C_API infalign_status infalign_summarize(const double* values, int64_t n, double lowest, double highest, double level,
                                                  infalign_estimate* out);
INFALIGN_C_API infalign_status infalign_policy_loss(const infalign_loss_request* request);

INFALIGN_C_API infalign_status infalign_calibrator_create(const infalign_groups* references, infalign_calibrator** out);
/* Calibrated rewards of n values of one prompt. */
INFALIGN_C_API infalign_status infalign_calibrator_cdf(const infalign_calibrator* of, int64_t prompt, const double* rewards,
                                                       int64_t n, double* out);
INFALIGN_C_API infalign_status infalign_calibrator_quantile(const infalign_calibrator* of, int64_t prompt, const double* u,
                                                            int64_t n, double* out);
INFALIGN_C_API void infalign_calibrator_destroy(infalign_calibrator* of);

/* Which transform to train with at a KL budget, in nats; base_procedure NULL: the same. Procedures may be those of
 * `infalign plan` that select by the calibrated reward, "soft_best_of:4:0.1", "rewind_and_repeat:0.8:4". */
INFALIGN_C_API infalign_status infalign_plan_create(const char* procedure, const char* base_procedure, double kl,
                                                    infalign_plan** out);
INFALIGN_C_API int64_t infalign_plan_size(const infalign_plan* of);
INFALIGN_C_API infalign_status infalign_plan_get(const infalign_plan* of, int64_t row, infalign_plan_row* out);
/* The name of a row, or "". */
INFALIGN_C_API const char* infalign_plan_recommended(const infalign_plan* of);
INFALIGN_C_API void infalign_plan_destroy(infalign_plan* of);

/* The same functions as a table, for who loads the library while running. */
typedef struct infalign_api {
  int64_t size; /* of this struct, in the library that was loaded */
  const char* (*last_error)(void);
  const char* (*version)(void);
  infalign_status (*calibrate)(const infalign_groups*, const infalign_groups*, const char*, const char*,
                               const infalign_groups*);
  infalign_status (*win_rate)(const infalign_groups*, const infalign_groups*, const char*, const char*, double*);
  infalign_status (*expected_reward)(const infalign_groups*, const char*, double*);
  infalign_status (*summarize)(const double*, int64_t, double, double, double, infalign_estimate*);
  infalign_status (*policy_loss)(const infalign_loss_request*);
  infalign_status (*calibrator_create)(const infalign_groups*, infalign_calibrator**);
  infalign_status (*calibrator_cdf)(const infalign_calibrator*, int64_t, const double*, int64_t, double*);
  infalign_status (*calibrator_quantile)(const infalign_calibrator*, int64_t, const double*, int64_t, double*);
  void (*calibrator_destroy)(infalign_calibrator*);
  infalign_status (*plan_create)(const char*, const char*, double, infalign_plan**);
  int64_t (*plan_size)(const infalign_plan*);
  infalign_status (*plan_get)(const infalign_plan*, int64_t, infalign_plan_row*);
  const char* (*plan_recommended)(const infalign_plan*);
  void (*plan_destroy)(infalign_plan*);
} infalign_api;

/* NULL if the library is older than `version`, INFALIGN_C_VERSION of the caller. */
INFALIGN_C_API const infalign_api* infalign_get_api(int version);

static inline infalign_groups infalign_rows_f32(float* data, int64_t size, int64_t columns) {
  infalign_groups g = {data, INFALIGN_F32, size, columns, columns, 0};
  return g;
}
static inline infalign_groups infalign_rows_f64(double* data, int64_t size, int64_t columns) {
  infalign_groups g = {data, INFALIGN_F64, size, columns, columns, 0};
  return g;
}

#ifdef __cplusplus
}
#endif

#endif /* INFALIGN_C_H */
