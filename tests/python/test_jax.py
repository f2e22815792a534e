# SPDX-License-Identifier: Apache-2.0
"""``infalign.jax``, against what JAX's own differentiation makes of the formulas."""

import runpy
from pathlib import Path

import infalign
import numpy as np
import oracles
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")
jax.config.update("jax_enable_x64", True)  # before any array is made
import jax.numpy as jnp  # noqa: E402

try:
    import infalign.jax
except ImportError as error:
    pytest.skip(str(error), allow_module_level=True)

B, L, V = 3, 7, 61


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")  # of runpy, which runs the module anew
def test_a_jaxlib_that_is_older_than_the_handlers(monkeypatch):
    """XLA would refuse its whole CPU backend: no JAX at all, instead of none of ours."""
    monkeypatch.setattr(infalign._core, "jax_api", lambda: (0, 1000))
    with pytest.raises(ImportError, match=rf"version \(0, 1000\) of XLA's .*, jaxlib {jax.lib.__version__} has \(0, \d+\)"):
        runpy.run_module("infalign.jax")


def batch(dtype=np.float64, seed=0):
    """Logits, base logits, and the data of tokens; the last response has two tokens of padding."""
    rng = np.random.default_rng(seed)
    logits, base = (jnp.asarray(rng.normal(0, 2, (B, L, V))).astype(dtype) for _ in range(2))
    tokens = jnp.asarray(rng.integers(0, V, (B, L)), jnp.int32)
    log_prob = jnp.take_along_axis(jax.nn.log_softmax(logits.astype(np.float64)), tokens[..., None].astype(int), -1)[..., 0]
    mask = jnp.ones((B, L)).at[-1, -2:].set(0)
    return logits, base, tokens, jnp.asarray(rng.normal(size=B)), mask, log_prob + rng.normal(0, 0.3, (B, L))


def ppo(logits, base, tokens, advantages, mask, old_log_prob, kl=0.1, entropy=0.01, temperature=0.7):
    """The clipped surrogate with the exact KL and an entropy bonus, a mean over tokens, as anybody would write it."""
    p, q = (jax.nn.log_softmax(x.astype(np.float64) / temperature) for x in (logits, base))
    log_prob = jnp.take_along_axis(p, tokens[..., None].astype(int), -1)[..., 0]
    ratio, a = jnp.exp(log_prob - old_log_prob), advantages[:, None]
    value = -jnp.minimum(ratio * a, jnp.clip(ratio, 0.8, 1.2) * a)
    value += kl * (jnp.exp(p) * (p - q)).sum(-1) + entropy * (jnp.exp(p) * p).sum(-1)
    return (value * mask).sum() / mask.sum()


def ours(logits, base, tokens, advantages, mask, old_log_prob, **more):
    options = dict(loss="ppo", kl=0.1, entropy=0.01, temperature=0.7) | more
    return infalign.jax.policy_loss(
        logits, tokens, advantages, mask=mask, old_log_prob=old_log_prob, base_logits=base, **options
    )


@pytest.mark.parametrize("dtype, error", [(np.float64, 1e-13), (np.float32, 1e-6), (jnp.bfloat16, 5e-3), (np.float16, 1e-3)])
def test_loss_and_gradient_are_those_of_differentiation(dtype, error):
    data = batch(dtype)
    want, wanted = jax.value_and_grad(ppo)(data[0].astype(np.float64), *data[1:])
    found, gradient = jax.jit(jax.value_and_grad(ours))(*data)
    assert gradient.dtype == dtype and found.dtype == (np.float64 if dtype == np.float64 else np.float32)
    assert abs(found - want) < max(error, 1e-12) and abs(gradient.astype(np.float64) - wanted).max() < error * abs(wanted).max()


def test_logits_stay_as_they_were():
    data = batch()
    before = np.array(data[0])
    jax.jit(ours)(*data)
    ours(*data)
    assert np.array_equal(before, data[0])


def test_the_gradient_passes_into_a_model_and_is_scaled():
    _, base, tokens, advantages, mask, old = batch()
    rng = np.random.default_rng(1)
    hidden, weights = jnp.asarray(rng.normal(size=(B, L, 5))), jnp.asarray(rng.normal(size=(5, V)))

    def step(loss, weights):
        return 3 * loss(hidden @ weights, base, tokens, advantages, mask, old) + (weights**2).sum()

    wanted = jax.grad(lambda w: step(ppo, w))(weights)
    assert abs(jax.jit(jax.grad(lambda w: step(ours, w)))(weights) - wanted).max() < 1e-12 * abs(wanted).max()


def test_statistics_of_tokens():
    logits, base, tokens, advantages, mask, old = batch()
    _, s = jax.jit(lambda x: ours(x, base, tokens, advantages, mask, old, temperature=1.0, return_statistics=True))(logits)
    p, q = jax.nn.log_softmax(logits), jax.nn.log_softmax(base)
    assert abs(s.kl - mask * (jnp.exp(p) * (p - q)).sum(-1)).max() < 1e-12
    assert abs(s.entropy + mask * (jnp.exp(p) * p).sum(-1)).max() < 1e-12
    assert abs(s.log_prob - mask * jnp.take_along_axis(p, tokens[..., None].astype(int), -1)[..., 0]).max() < 1e-12


def test_vmap_of_the_loss_is_one_call_after_another():
    many = [batch(seed=s) for s in range(3)]
    stacked = [jnp.stack(x) for x in zip(*many)]
    found = jax.vmap(jax.grad(ours))(*stacked)
    for one, gradient in zip(many, found):
        assert abs(gradient - jax.grad(ours)(*one)).max() == 0


def test_a_loss_without_other_data_and_a_preset():
    logits, _, tokens, advantages, *_ = batch()
    found = jax.grad(lambda x: infalign.jax.policy_loss(x, tokens, advantages, preset="trl.dr_grpo"))(logits)
    p = jax.nn.softmax(logits)
    wanted = advantages[:, None, None] * (p - jax.nn.one_hot(tokens, V)) / (B * L)
    assert abs(found - wanted).max() < 1e-15


def test_calibration_and_win_rates_under_jit_and_vmap():
    rng = np.random.default_rng(2)
    references, rewards = rng.normal(size=(2, 4, 8)), rng.normal(size=(2, 4, 5))
    wanted = [infalign.calibrate(z, y, transform="exponential:10", ties="below") for z, y in zip(references, rewards)]
    calibrate = jax.jit(lambda z, y: infalign.jax.calibrate(z, y, transform="exponential:10", ties="below", threads=None))
    assert np.array_equal(jax.vmap(calibrate)(references, rewards), wanted)
    assert np.array_equal(calibrate(references[0], rewards[0]), wanted[0])
    alone = jax.jit(lambda y: infalign.jax.calibrate(y, y, leave_one_out=True))(rewards[0])
    assert np.array_equal(alone, infalign.calibrate(None, rewards[0], leave_one_out=True))
    wins = jax.jit(lambda y, z: infalign.jax.win_rate(y, z, "best_of:2", "standard"))
    assert np.array_equal(wins(rewards[0], references[0]), infalign.win_rate(rewards[0], references[0], "best_of:2", "standard"))
    single = jax.vmap(infalign.jax.win_rate)(rewards.astype(np.float32), references.astype(np.float32))
    assert single.dtype == np.float32 and abs(single - np.array([infalign.win_rate(y, z) for y, z in zip(rewards, references)])).max() < 1e-7
    assert not jax.grad(lambda y: infalign.jax.calibrate(references[0], y).sum())(jnp.asarray(rewards[0])).any()


def test_calibration_and_win_rates_by_counting():
    rng = np.random.default_rng(5)
    references, rewards = rng.integers(0, 6, (4, 6)).astype(np.float64), rng.integers(0, 6, (4, 5)).astype(np.float64)
    for ties, share in (("mid_rank", 0.5), ("at_or_below", 1)):
        counted = np.array([[oracles.calibrated(z, r, share) for r in y] for z, y in zip(references, rewards)])
        found = jax.jit(lambda z, y: infalign.jax.calibrate(z, y, transform="power:2", ties=ties))(references, rewards)
        np.testing.assert_allclose(found, counted**2, rtol=1e-14)
    alone = [[oracles.calibrated(np.delete(y, i), r) for i, r in enumerate(y)] for y in rewards]
    np.testing.assert_allclose(infalign.jax.calibrate(rewards, rewards, leave_one_out=True), alone, rtol=1e-14)
    wins = jax.jit(lambda y, z: infalign.jax.win_rate(y, z, "best_of:3", "worst_of:2"))(rewards, references)
    np.testing.assert_allclose(wins, [oracles.win_rate(y, z, 3, "best", 2, "worst") for y, z in zip(rewards, references)], rtol=1e-13)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(tokens=jnp.full((B, L), V, jnp.int32)), r"tokens\[0\] is 61, must be in \[0, 60\]"),
        (dict(tokens=jnp.zeros((B, L))), "tokens must be of int64 or int32"),
        (dict(advantages=jnp.zeros(L)), "advantages is 7, but tokens is 3 x 7: must be one value a token or a response"),
        (dict(advantages=jnp.full(B, jnp.nan)), r"advantages\[0\] is nan, must be finite"),
        (dict(old=jnp.full((B, L), jnp.nan)), r"old_log_prob\[0\] is nan"),
        (dict(base=jnp.zeros((B, L, V), np.float32)), "base_logits must be of the type of logits"),
        (dict(loss="pop"), "loss is 'pop', must be one of"),
        (dict(temperature=-1.0), "temperature is -1.0"),
    ],
)
def test_bad_input_of_the_loss(change, message):
    logits, base, tokens, advantages, mask, old = batch()
    data = dict(base=base, tokens=tokens, advantages=advantages, old=old) | change
    options = {k: change[k] for k in ("loss", "temperature") if k in change}
    with pytest.raises(jax.errors.JaxRuntimeError, match="INVALID_ARGUMENT: policy_(loss|gradient): .*" + message):
        ours(logits, data["base"], data["tokens"], data["advantages"], mask, data["old"], **options).block_until_ready()


def test_bad_input_that_is_seen_while_tracing():
    y = jnp.zeros((2, 3))
    with pytest.raises(ValueError, match="references is of shape .3, 3. and rewards of .2, 3."):
        infalign.jax.calibrate(jnp.zeros((3, 3)), y)
    with pytest.raises(TypeError, match="policy is of float64 and base of int"):
        infalign.jax.win_rate(y, jnp.zeros((2, 3), int))
    with pytest.raises(jax.errors.JaxRuntimeError, match="best_of:0"):
        infalign.jax.win_rate(y, y, "best_of:0")
    for options, says in [
        ({"ties": "middle"}, "'middle': unknown tie rule"),
        ({"transform": "cube"}, "'cube': unknown transform"),
        ({"threads": 0}, "threads is 0"),
    ]:
        with pytest.raises(jax.errors.JaxRuntimeError, match=says):
            infalign.jax.calibrate(y, y, **options).block_until_ready()
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"rewards\[1\]\[2\] is nan, must be finite"):
        infalign.jax.calibrate(y, y.at[1, 2].set(jnp.nan)).block_until_ready()
    with pytest.raises(jax.errors.JaxRuntimeError, match="fewer than the 4"):
        infalign.jax.win_rate(y, y, "best_of:4").block_until_ready()
    with pytest.raises(ValueError, match="policy is of shape .3,. and base of .3,."):
        infalign.jax.win_rate(y[0], y[0])
    with pytest.raises(TypeError, match="give either loss, or the name of a preset"):
        infalign.jax.policy_loss(jnp.zeros((1, 2)), jnp.zeros(1, int), jnp.zeros(1), loss="ppo", preset="trl.grpo")
    with pytest.raises(Exception, match="(?i)cannot|second|differentiat|not"):
        logits, *rest = batch()
        jax.grad(lambda x: jax.grad(ours)(x, *rest).sum())(logits)


def test_the_loop_of_the_examples(capsys):
    script = Path(__file__).resolve().parents[2] / "examples/python/scripts/jax_loop.py"
    runpy.run_path(str(script), run_name="__main__")
    assert "best-of-4 win rate" in capsys.readouterr().out
