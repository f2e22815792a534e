# SPDX-License-Identifier: Apache-2.0
"""The recipes of examples/python/README.md that need another package run as they stand, with stand-ins for what that package hands over."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import oracles
import pytest

import infalign as ia

README = Path(__file__).resolve().parents[2] / "examples" / "python" / "README.md"


def recipe(title):
    section = README.read_text(encoding="utf-8").split(f"### {title}\n")[1].split("\n### ")[0]
    return re.search(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL).group(1)


def run(title, **names):
    scope = {"np": np, "ia": ia, "json": json, **names}
    exec(compile(recipe(title).replace("beta=…", "beta=0.1"), title, "exec"), scope)
    return scope


def test_from_trl():
    made = {}
    scope = run("From TRL", score=lambda text: float(len(text)), model=None, data=None, GRPOConfig=lambda **o: o, GRPOTrainer=lambda *a, **o: made.update(o))
    assert made["reward_funcs"] is scope["calibrated"] and made["args"]["scale_rewards"] == "none"
    base = [[1.0, 2.0, 3.0], [5.0, 6.0], [2.0]]
    found = scope["calibrated"](["ab", "abcdef", "a"], base_rewards=base, prompts=["p", "q", "r"])
    assert found == pytest.approx([np.exp(10 * oracles.calibrated(z, y)) for z, y in zip(base, (2, 6, 1))], rel=1e-12)


def test_from_verl():
    compute_score = run("From verl", score=lambda text, truth: float(text == truth))["compute_score"]
    for text, u in [("42", 0.75), ("41", 0.25)]:
        found = compute_score("math", text, "42", {"base_rewards": [0.0, 1.0]})
        assert isinstance(found, float) and found == pytest.approx(np.exp(10 * u), rel=1e-12)


def test_from_an_alpaca_eval_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    judged = [1.0, 2.0, 1.5, None, 2.0]
    Path("annotations.json").write_text(json.dumps([{"instruction": str(i), "preference": p} for i, p in enumerate(judged)]))
    run("From an AlpacaEval file")
    wins = np.array([0, 1, 0.5, 1])
    assert capsys.readouterr().out == f"Estimate({wins.mean():g} ± {wins.std(ddof=1) / 2:.2g}, n = 4)\n"


def test_from_vllm(rng, capsys):
    texts = rng.normal(size=(20, 64))
    outputs = [SimpleNamespace(outputs=[SimpleNamespace(text=x) for x in row]) for row in texts]
    asked = []
    llm = SimpleNamespace(generate=lambda prompts, parameters: asked.append((prompts, parameters)) or outputs)
    scope = run("From vLLM", llm=llm, prompts=["p"] * 20, score=float, SamplingParams=lambda n: n)
    assert asked == [(["p"] * 20, 64)]
    assert scope["served"].tolist() == texts.argmax(1).tolist()
    # β is that of a KL of 1: see the plan of the README.
    low, high = scope["foretold"].kl.interval(0.999)
    assert low < 1 < high and "inference_win_rate" in capsys.readouterr().out
