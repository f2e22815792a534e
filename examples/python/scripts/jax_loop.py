# SPDX-License-Identifier: Apache-2.0
"""A policy is aligned for best-of-4 in JAX, one jitted function a step: rewards are calibrated, transformed and learned from inside of it.

    python jax_loop.py

The policy has a row of logits for each of 32 prompts, and a response is one of 64 tokens with a reward that was drawn at random.
"""

import infalign
import jax
import jax.numpy as jnp
import numpy as np
from infalign.jax import calibrate, policy_loss, win_rate

PROMPTS, TOKENS, REFERENCES, SAMPLES = 32, 64, 64, 16
KL = 0.5

row = infalign.plan("best_of:4", kl=[KL], transforms=["exponential:10"]).sections[0]["exponential:10"]
keys = jax.random.split(jax.random.key(0), 4)
rewards = jax.random.normal(keys[0], (PROMPTS, TOKENS))
base = jax.random.normal(keys[1], (PROMPTS, TOKENS))


def sampled(key, logits, count):
    """``(PROMPTS, count)`` tokens and their rewards."""
    tokens = jax.random.categorical(key, logits, shape=(count, PROMPTS)).T
    return tokens, jnp.take_along_axis(rewards, tokens, 1)


references = sampled(keys[2], base, REFERENCES)[1]


def loss(logits, key):
    tokens, found = sampled(key, logits, SAMPLES)
    value = calibrate(references, found, transform="exponential:10") / jnp.exp(10.0)  # of a range of 1, as scaled_beta is meant
    advantages = value - value.mean(1, keepdims=True)

    def repeated(x):
        return jnp.broadcast_to(x[:, None], (PROMPTS, SAMPLES, TOKENS))

    return policy_loss(
        repeated(logits), tokens, advantages, base_logits=repeated(base), loss="reinforce", kl=row.scaled_beta, return_statistics=True
    )


@jax.jit
def step(logits, key):
    gradient, statistics = jax.grad(loss, has_aux=True)(logits, key)
    return logits - 100.0 * gradient, statistics.kl.mean()


logits = base
for key in jax.random.split(keys[3], 400):
    logits, kl = step(logits, key)

pairs = (sampled(k, x, 256)[1] for k, x in zip(jax.random.split(jax.random.key(1), 2), (logits, base)))
wins = infalign.summarize(np.asarray(win_rate(*pairs, "best_of:4"), np.float64), range="win_rate")
low, high = wins.interval()
print(f"KL {float(kl):.2f} nats, best-of-4 win rate {wins.value:.3f} ({low:.3f} to {high:.3f}); the optimum: {row.reached.inference_win_rate:.3f}")
