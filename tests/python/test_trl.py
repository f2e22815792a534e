# SPDX-License-Identifier: Apache-2.0
"""examples/trl without its training: what its reward functions give, its KL, and that the two losses have the same gradient."""

import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
torch = pytest.importorskip("torch")
pytest.importorskip("trl")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "trl"))

import options  # noqa: E402
import held_out  # noqa: E402
import text_data  # noqa: E402
from datasets import Dataset  # noqa: E402
from gradient_noise import batch_gradients, signal_to_noise  # noqa: E402
from language_model import kl_to_base, new_model, sample  # noqa: E402
from policy_training import LibraryLossTrainer, Schedule, compare_losses, make_trainer, next_batch  # noqa: E402
from pipeline import prepare  # noqa: E402
from reward_model import Brevity, RewardModel, calibrated_reward, raw_reward  # noqa: E402

PROMPT, COMPLETION = 4, 12
WORDS = "the small green bird sings above a river while old stones dream of rain and light falls on water".split()


@pytest.fixture(scope="module")
def language():
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(6, 14))) for _ in range(300)]
    tokenizer = text_data.train_tokenizer(texts, 300)
    torch.manual_seed(1)
    records = text_data.encode(texts, tokenizer, PROMPT, COMPLETION, seed=1)
    return texts, tokenizer, records, new_model(tokenizer, 32, 2, PROMPT + COMPLETION).eval()


def test_records_are_prompts_that_are_read_as_the_same_tokens_alone(language):
    texts, tokenizer, records, _ = language
    assert len(records) > 200 and records.ids.shape[1] == PROMPT + COMPLETION
    heads = tokenizer(tokenizer.batch_decode(records.prompts))["input_ids"]
    assert heads == records.prompts.tolist()
    text = tokenizer.decode(records.ids[0], skip_special_tokens=True)
    assert any(t.startswith(text) for t in texts)


# The score of a completion is its first token: what a reward function makes of it is counted by hand.
def first_token(prompts, completions):
    return completions[:, :1].astype(np.float64)


def test_calibrated_reward_counts_references_below(rng):
    references = rng.integers(0, 20, size=(6, 50)).astype(float)
    completions = [[int(x), *([1] * n)] for n, x in enumerate(rng.integers(0, 20, size=6))]
    for name, t in (("exponential:10", 10.0), ("exponential:-10", -10.0)):
        reward = calibrated_reward(first_token, 0, name)
        columns = {"prompt_tokens": [[1, 2]] * 6, "base_rewards": references.tolist(), "prompts": [], "trainer_state": None}
        found = reward(completion_ids=completions, **columns)
        for value, completion, z in zip(found, completions, references):
            u = ((z < completion[0]).sum() + 0.5 * (z == completion[0]).sum()) / 50
            expected = math.copysign(1, t) * math.exp(t * u) / abs(math.exp(t) - 1)
            assert math.isclose(value, expected, rel_tol=1e-12)


def test_raw_reward_is_the_score_in_its_unit():
    assert raw_reward(first_token, 0, 4.0)(completion_ids=[[8], [2, 5]], prompt_tokens=[[1], [1]]) == [2.0, 0.5]


def test_brevity_counts_tokens_and_the_end():
    pad, end = 0, 1
    completions = np.array([[5, 6, end, pad], [end, pad, pad, pad], [5, 6, 7, 8], [5, 6, 7, end]])
    assert Brevity(pad).score(np.zeros((2, 3)), completions).tolist() == [[-3, -1], [-4, -4]]
    reward = raw_reward(Brevity(pad).score, pad, 2.0)  # as GRPOTrainer calls it: lists of tokens, without padding
    assert reward(completion_ids=[[5, 6, end], [5], [5, 6, 7, 8]], prompt_tokens=[[9]] * 3) == [-1.5, -0.5, -2.0]


@pytest.mark.parametrize("reward", list(options.GRIDS))
def test_what_is_prepared(language, tmp_path, reward):
    (tmp_path / "text").write_text("\n".join(language[0] * 2))
    sizes = dict(width=32, layers=1, vocabulary=300, pre_train=3, reward_steps=2, reward_pairs=40, train_prompts=12, references=6)
    sizes |= dict(held_out=10, samples=5)
    o = options.parse(["--quick", "--reward", reward, "--text", str(tmp_path / "text"), "--output", str(tmp_path)])
    vars(o).update(sizes)
    prepared = prepare(o, lambda text: None)
    assert prepared.references.shape == (12, 6) and prepared.data["base_rewards"] == prepared.references.tolist()
    assert math.isclose(prepared.scale, prepared.references.std(axis=1, ddof=1).mean())
    assert prepared.held_out.base_rewards.shape == (10, 5)
    assert ("reward_accuracy" in prepared.facts) == (reward == "learned")
    if reward == "brevity":
        whole = prepared.references == np.round(prepared.references)
        assert whole.all() and prepared.references.max() <= -1 and prepared.references.min() >= -options.COMPLETION


def test_reward_model_does_not_see_padding(language):
    _, tokenizer, records, base = language
    model = RewardModel(base)
    rows = records[:20]
    scores = model.score(rows.prompts, rows.completions)
    for i, ids in enumerate(rows.ids):
        alone = model.score(ids[None, :PROMPT], ids[None, PROMPT:][:, : (ids[PROMPT:] != tokenizer.pad_token_id).sum()])
        assert abs(alone[0, 0] - scores[i, 0]) < 1e-5


def test_kl_is_that_of_the_distributions(language):
    _, tokenizer, records, base = language
    torch.manual_seed(2)
    other = new_model(tokenizer, 32, 2, PROMPT + COMPLETION).eval()
    prompts = records.prompts[:3]
    completions = sample(other, prompts, 4, COMPLETION, seed=5)
    found = kl_to_base(other, base, prompts, completions)
    ids = torch.from_numpy(np.concatenate([np.repeat(prompts, 4, axis=0), completions], axis=1))
    with torch.no_grad():
        p, q = (torch.log_softmax(m(ids).logits.double(), -1)[:, PROMPT - 1 : -1] for m in (other, base))
    kl = (p.exp() * (p - q)).sum(-1) * (ids[:, PROMPT:] != tokenizer.pad_token_id)
    assert np.allclose(found, kl.sum(1).numpy(), rtol=1e-4)


def test_gradients_of_a_batch_one_completion_at_a_time(language):
    _, tokenizer, records, base = language
    prompts, pad = records.prompts[:3], tokenizer.pad_token_id
    rewards = [raw_reward(first_token, pad, 1.0), raw_reward(lambda p, c: -(c[:, :1] % 7.0), pad, 1.0)]
    found = batch_gradients(base, prompts, np.zeros((3, 5)), rewards, 4, COMPLETION, seed=9)
    completions = sample(base, prompts, 4, COMPLETION, seed=9)
    expected = np.zeros_like(found)
    for i, row in enumerate(completions):
        ids = torch.from_numpy(np.concatenate([prompts[i // 4], row[row != pad]]))
        log_prob = torch.log_softmax(base(ids[None, :-1]).logits[0, PROMPT - 1 :], -1).gather(-1, ids[PROMPT:, None]).sum()
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(log_prob, list(base.parameters()))]).numpy()
        for r, of in enumerate((lambda token: token, lambda token: -(token % 7.0))):
            values = of(completions[:, 0].astype(float))
            expected[r] += (values[i] - values[i // 4 * 4 : i // 4 * 4 + 4].mean()) * gradient / len(completions)
    assert np.abs(expected).max() > 0 and np.allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_signal_to_noise_of_known_gradients(rng):
    size, count = 2000, 400
    mean = np.zeros((2, size))
    mean[0, 0], mean[1, 0], mean[1, 1] = 3.0, 1.8, 2.4  # a length of 3 both, at a cosine of 0.6
    noise = rng.standard_normal((count, 1, size)) * np.array([1.0, 1.5])[:, None]  # the same completions: dependent
    found = signal_to_noise((mean + noise).astype(np.float32))
    for key, expected in (("ratio", (9 / size, 4 / size)), ("relative", (1, 1 / 2.25)), ("cosine", (1, 0.6))):
        for (value, error), truth in zip(found[key], expected):
            assert abs(value - truth) <= 4 * error + 1e-12 and error < 0.1 * truth, key
    # Batches that point apart: nothing is known of the direction.
    apart = signal_to_noise(np.array([[[1.0, 0.0]], [[-1.0, 1.0]], [[0.0, -1.0]]], np.float32))
    assert apart["ratio"][0, 0] < 0 and np.isnan(apart["cosine"]).all() and np.isnan(apart["relative"]).all()


@pytest.fixture
def trainer_of(language, tmp_path):
    _, tokenizer, records, base = language
    base.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    prompts = records.prompts[:8]
    data = Dataset.from_dict({"prompt": tokenizer.batch_decode(prompts), "prompt_tokens": prompts.tolist()})
    schedule = Schedule(steps=1, batch=16, generations=4, completion=COMPLETION, rate=1e-3)

    def make(**settings):
        reward = raw_reward(first_token, tokenizer.pad_token_id, 50.0)
        where = (tmp_path / "base", tokenizer, data, reward, schedule, tmp_path / "runs")
        return make_trainer(LibraryLossTrainer, *where, seed=1, on_cpu=True, **settings)

    return make


@pytest.mark.parametrize("loss_type", ["dr_grpo", "grpo"])
def test_gradients_of_the_two_losses_are_equal(trainer_of, loss_type):
    trainer = trainer_of(beta=0.3, loss_type=loss_type, scale_rewards="none")
    assert not trainer.args.bf16 and not trainer.args.gradient_checkpointing
    batch = next_batch(trainer)
    torch.manual_seed(3)
    with torch.no_grad():  # a policy that has moved since, so that ratios are clipped and the KL is not 0
        batch["old_per_token_logps"] = batch["ref_per_token_logps"] + 0.2 * torch.randn_like(batch["ref_per_token_logps"])
        for p in trainer.model.parameters():
            p.add_(0.02 * torch.randn_like(p))
    found = compare_losses(trainer, batch, repeats=1)
    assert batch["advantages"].abs().max() > 0.01
    assert math.isclose(found["trl_loss"], found["library_loss"], rel_tol=1e-5, abs_tol=1e-7)
    assert found["gradient_error"] < 1e-5
    trainer.beta = 0.0
    assert abs(compare_losses(trainer, batch, repeats=1)["library_loss"] - found["library_loss"]) > 1e-4


def test_loss_that_is_not_replaced_is_said(trainer_of):
    trainer = trainer_of(beta=0.3, loss_type="cispo")
    with pytest.raises(ValueError, match="cispo"):
        LibraryLossTrainer._compute_loss(trainer, trainer.model, next_batch(trainer))


def test_difference_at_a_kl(rng):
    def policy(kl, win):
        kls = kl + 0.1 * rng.standard_normal(400)
        return held_out.Evaluation(kls - kls.mean() + kl, {"best_of:4": np.full(400, win)})

    raw = [policy(0.25, 0.6), policy(1.0, 0.7)]
    ours = [policy(0.36, 0.7), policy(0.81, 0.8)]
    # In the root of the KL, at 0.36: raw 0.6 + 0.1 (0.6 - 0.5) / 0.5, and at 0.81 + 0.08.
    for kl, expected in ((0.36, 0.7 - 0.62), (0.81, 0.8 - 0.68)):
        found = held_out.matched_difference(ours, raw, "best_of:4", kl)
        assert abs(found.value - expected) < 1e-12 and found.interval[0] <= found.value <= found.interval[1]
    assert math.isclose(held_out.reached_by_all(raw, ours), 0.81)


def test_beta_for_raw_reaches_the_kl_of_a_normal_reward():
    # Φ(r) = r of a normal reward of deviation 1: the optimal policy is moved by 1/β, and its KL is 1/(2β²).
    z = np.random.default_rng(4).standard_normal((400, 64))
    assert abs(held_out.beta_for_raw(z, 0.5) - 1.0) < 0.05


def test_grid_is_what_the_theory_gives():
    grid = options.parse(["--quick"]).grid
    assert set(grid) == {None, *options.TRANSFORMS.values()} and all(len(kls) == 1 for kls in grid.values())
    assert set(options.parse(["--reward", "brevity"]).grid) == set(grid)
    z = np.random.default_rng(6).standard_normal((50, 64))
    methods = held_out.planned(z, {**grid, None: (0.5,)}, options.TRANSFORMS)
    assert [m.transform for m in methods] == [None, *options.TRANSFORMS.values()]
    for m in methods[1:]:  # p ∝ e^{Φ(u)/β} on [0, 1], by a sum over a fine grid
        u = (np.arange(200_000) + 0.5) / 200_000
        t = float(m.transform.split(":")[1])
        phi = np.sign(t) * np.exp(t * u) / abs(math.exp(t) - 1)
        w = np.exp((phi - phi.max()) / m.beta)
        kl = (w / w.mean() * (np.log(w) - math.log(w.mean()))).mean()
        assert abs(kl - m.wanted) < 1e-3


def test_sizes_that_cannot_be(capsys):
    for arguments, says in [(["--noise", "2"], "--noise: 2, must be at least 3"), (["--batch", "72", "--train-prompts", "8"], "--batch: 72 is more")]:
        with pytest.raises(SystemExit):
            options.parse(arguments)
        assert says in capsys.readouterr().err
    assert options.parse(["--batch", "64", "--train-prompts", "8"]).batch == 64


def test_what_is_missing_is_said_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(SystemExit, match="trl cannot be imported.*requirements.txt"):
        options.expect_packages()
    monkeypatch.setattr(text_data, "WORDNET", tmp_path / "none")
    monkeypatch.setattr(text_data, "FORTUNES", tmp_path / "none")
    with pytest.raises(SystemExit, match="apt install wordnet-base"):
        text_data.read_records(None)
    with pytest.raises(SystemExit, match="cannot read --text"):
        text_data.read_records(str(tmp_path / "none"))


def test_seeds_are_drawn_and_tabled_side_by_side(tmp_path):
    pytest.importorskip("matplotlib")
    import results

    def measured(value):
        return {"value": value, "standard_error": 0.01, "interval": (value - 0.02, value + 0.02)}

    def seed(number, kl):
        found = {"kl": measured(kl), "best_of:4": measured(0.6), "worst_of:4": measured(0.7)}
        runs = [{"label": label, "foretold": found, "measured": found} for label in ("raw reward", "exponential:10")]
        at = {"procedure": "best_of:4", "transform": "exponential:10", "kl": kl, "value": 0.031, "interval": (0.011, 0.052)}
        return {"settings": {"seed": number}, "runs": runs, "differences": [at]}

    seeds = [seed(1, 0.5), seed(3, 0.75)]
    results.draw(tmp_path / "frontier.svg", *(s["runs"] for s in seeds))
    assert (tmp_path / "frontier.svg").read_text().count("exponential:10") == 1  # in the legend, once
    lines = results.table(seeds).splitlines()
    assert lines[0] == "| win rate less that of the raw reward | seed 1 | seed 3 |"
    cells = "KL 0.50: +0.031 (+0.011 … +0.052) | KL 0.75: +0.031 (+0.011 … +0.052)"
    assert lines[2:] == ["| best_of:4, `exponential:10` | " + cells + " |"]
