/* SPDX-License-Identifier: Apache-2.0 */
/* The library from C: what each function returns, by numbers known in closed form, and what it refuses. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "infalign.h"

static int failures = 0;
static void check(int holds, const char* what, int line) {
  if (holds) return;
  ++failures;
  printf("FAILED, line %d: %s; last error: %s\n", line, what, infalign_last_error());
}
#define CHECK(x) check(x, #x, __LINE__)
#define CHECK_MESSAGE(call, status, text)            \
  do {                                               \
    CHECK((call) == (status));                       \
    CHECK(strcmp(infalign_last_error(), text) == 0); \
  } while (0)

static void calibrate(void) {
  double references[] = {1, 2, 3, 4, 10, 20, 30, 40}, rewards[] = {2.5, 4, 5, 45}, u[4] = {-9, -9, -9, -9};
  infalign_groups z = infalign_rows_f64(references, 2, 4), y = infalign_rows_f64(rewards, 2, 2),
                  out = infalign_rows_f64(u, 2, 2);
  CHECK(infalign_calibrate(&z, &y, NULL, NULL, &out) == INFALIGN_OK);
  CHECK(u[0] == 0.5 && u[1] == 0.875 && u[2] == 0 && u[3] == 1);
  CHECK(infalign_calibrate(&z, &y, "exponential:1", "at_or_below", &out) == INFALIGN_OK);
  CHECK(fabs(u[1] - exp(1.0)) < 1e-14 && u[2] == 1);
  /* Ragged rewards beside rows of references. */
  int64_t offsets[] = {0, 3, 4};
  infalign_groups ragged = y, ragged_out = out;
  ragged.offsets = ragged_out.offsets = offsets;
  CHECK(infalign_calibrate(&z, &ragged, NULL, NULL, &ragged_out) == INFALIGN_OK);
  CHECK(u[0] == 0.5 && u[1] == 0.875 && u[2] == 1 && u[3] == 1);
  float narrow[] = {1, 2, 3, 4}, narrow_out[4];
  infalign_groups f = infalign_rows_f32(narrow, 1, 4), f_out = infalign_rows_f32(narrow_out, 1, 4);
  CHECK(infalign_calibrate(&f, &f, NULL, NULL, &f_out) == INFALIGN_OK);
  CHECK(narrow_out[3] == 0.875F);
  u[0] = -9;
  rewards[1] = NAN;
  CHECK_MESSAGE(infalign_calibrate(&z, &y, NULL, NULL, &out), INFALIGN_BAD_VALUE,
                "calibrate: rewards[0][1] is nan, must be finite");
  CHECK(u[0] == -9);
  rewards[1] = 4;
  CHECK(infalign_calibrate(&z, &y, "no such", NULL, &out) == INFALIGN_BAD_VALUE);
  CHECK(strstr(infalign_last_error(), "no such") != NULL);
  CHECK(infalign_calibrate(&f, &y, NULL, NULL, &out) == INFALIGN_BAD_VALUE);
  CHECK_MESSAGE(infalign_calibrate(NULL, &y, NULL, NULL, &out), INFALIGN_BAD_VALUE, "infalign_calibrate: references is NULL");
  z.size = 3;
  CHECK(infalign_calibrate(&z, &y, NULL, NULL, &out) == INFALIGN_BAD_SHAPE);
}

static void win_rates(void) {
  double policy[] = {1, 2, 3, 4}, base[] = {0, 2, 5, 1}, wins[1];
  infalign_groups p = infalign_rows_f64(policy, 1, 4), b = infalign_rows_f64(base, 1, 4);
  CHECK(infalign_win_rate(&p, &b, "best_of:1", NULL, wins) == INFALIGN_OK);
  CHECK(wins[0] == 10.0 / 16); /* 1: 1.5, 2: 2.5, 3: 3, 4: 3 of four each */
  CHECK(infalign_win_rate(&p, &b, "best_of:4", "best_of:1", wins) == INFALIGN_OK);
  CHECK(wins[0] == 0.75);
  CHECK(infalign_expected_reward(&p, "best_of:2", wins) == INFALIGN_OK);
  CHECK(fabs(wins[0] - (2 + 3 + 3 + 4 + 4 + 4) / 6.0) < 1e-15);
  CHECK(infalign_win_rate(&p, &b, NULL, NULL, wins) == INFALIGN_BAD_VALUE);
  CHECK(infalign_win_rate(&p, &b, "best_of:5", NULL, wins) == INFALIGN_BAD_SHAPE);
  double values[] = {0.25, 0.75};
  infalign_estimate e;
  CHECK(infalign_summarize(values, 2, 0, 1, 0.95, &e) == INFALIGN_OK);
  CHECK(e.value == 0.5 && e.standard_error == 0.25 && e.count == 2 && e.low >= 0 && e.low < 0.5 && e.high <= 1);
  CHECK(infalign_summarize(values, 2, 0, 1, 1.5, &e) == INFALIGN_BAD_VALUE);
}

static void loss(void) {
  float logits[] = {0, 1, 2, 1, 1, 1}, gradient[6], advantages[] = {2, -1}, losses[2], log_probs[2];
  int64_t ids[] = {2, -100};
  infalign_loss_request r;
  memset(&r, 0, sizeof r);
  r.type = INFALIGN_F32;
  r.tokens = 2;
  r.columns = r.logits_stride = r.gradient_stride = 3;
  r.logits = logits;
  r.gradient = gradient;
  r.ids = ids;
  r.ignored_id = -100;
  r.advantages = advantages;
  r.loss = INFALIGN_REINFORCE;
  r.scale = 0.5;
  r.temperature = 2;
  r.losses = losses;
  r.log_probs = log_probs;
  CHECK(infalign_policy_loss(&r) == INFALIGN_OK);
  const double sum = 1 + exp(0.5) + exp(1.0), log_prob = 1 - log(sum);
  CHECK(fabs(log_probs[0] - log_prob) < 1e-6 && fabs(losses[0] + 2 * log_prob) < 1e-6);
  CHECK(fabs(gradient[0] - 0.5 * 2 * 0.5 / sum) < 1e-6); /* scale * advantage * 1/temperature * p */
  CHECK(fabs(gradient[2] - 0.5 * 2 * 0.5 * (exp(1.0) / sum - 1)) < 1e-6);
  CHECK(gradient[3] == 0 && losses[1] == 0);
  r.loss = INFALIGN_CLIPPED_SURROGATE;
  CHECK_MESSAGE(infalign_policy_loss(&r), INFALIGN_BAD_VALUE, "infalign_policy_loss: old_log_prob is NULL");
  r.loss = INFALIGN_REINFORCE;
  ids[0] = 3;
  CHECK_MESSAGE(infalign_policy_loss(&r), INFALIGN_BAD_VALUE, "policy_gradient: tokens[0] is 3, must be in [0, 2]");
  r.temperature = 0;
  CHECK(infalign_policy_loss(&r) == INFALIGN_BAD_VALUE);
}

static void handles(const infalign_api* api) {
  double references[] = {4, 1, 3, 2, 7}, values[] = {2.5, 4, 9}, u[3];
  int64_t offsets[] = {0, 4, 5};
  infalign_groups z = {references, INFALIGN_F64, 2, 0, 0, offsets};
  infalign_calibrator* c = NULL;
  CHECK(api->calibrator_create(&z, &c) == INFALIGN_OK);
  CHECK(api->calibrator_cdf(c, 0, values, 3, u) == INFALIGN_OK);
  CHECK(u[0] == 0.5 && u[1] == 0.875 && u[2] == 1);
  const double half = 0.5;
  CHECK(api->calibrator_quantile(c, 1, &half, 1, u) == INFALIGN_OK);
  CHECK(u[0] == 7);
  CHECK(api->calibrator_cdf(c, 2, values, 3, u) == INFALIGN_BAD_VALUE);
  api->calibrator_destroy(c);

  infalign_plan* plan = NULL;
  CHECK(api->plan_create("best_of:4", NULL, 1, &plan) == INFALIGN_OK);
  CHECK(strcmp(api->plan_recommended(plan), "") != 0);
  int seen = 0;
  for (int64_t i = 0; i < api->plan_size(plan); ++i) {
    infalign_plan_row row;
    CHECK(api->plan_get(plan, i, &row) == INFALIGN_OK);
    if (strcmp(row.transform, "exponential:10") != 0) continue;
    seen = 1;
    CHECK(fabs(row.kl - 1) < 1e-9 && fabs(row.scaled_beta - 0.241323) < 1e-6 && fabs(row.win_rate - 0.9351) < 5e-5);
  }
  CHECK(seen);
  infalign_plan_row row;
  CHECK(api->plan_get(plan, 99, &row) == INFALIGN_BAD_VALUE);
  api->plan_destroy(plan);
  CHECK(api->plan_create("rewind_and_repeat:0.8:4", "standard", 1, &plan) == INFALIGN_OK);
  api->plan_destroy(plan);
  CHECK_MESSAGE(api->plan_create("best_of:4", NULL, -1, &plan), INFALIGN_BAD_VALUE,
                "kl_budget: kl is -1, must be positive and finite");
  api->calibrator_destroy(NULL);
  api->plan_destroy(NULL);
}

int main(int count, char** arguments) {
  calibrate();
  win_rates();
  loss();
  CHECK(infalign_get_api(INFALIGN_C_VERSION + 1) == NULL);
  handles(infalign_get_api(INFALIGN_C_VERSION));
  if (count > 1) { /* as a server loads it */
    void* const library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    const infalign_api* (*get_api)(int);
    *(void**)&get_api = dlsym(library, "infalign_get_api");
    handles(get_api(1));
    CHECK(get_api(1)->size == (int64_t)sizeof(infalign_api));
  }
  puts(failures == 0 ? "C: all as it must be" : "C: see above");
  return failures != 0;
}
