# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

import infalign as ia


def test_two_policies_in_closed_form(rng):
    won = rng.choice([0.0, 0.5, 1.0], 60)
    r = ia.rank(["a"] * 60, ["b"] * 60, won)
    p = won.mean()
    d = r.difference("a", "b")
    assert d.value == pytest.approx(np.log(p / (1 - p)), rel=1e-9) and r.win_rate("a", "b") == pytest.approx(p, rel=1e-9)
    assert r.score("a").value == pytest.approx(d.value / 2) and r.score("b").value == pytest.approx(-d.value / 2)
    # The sandwich: sqrt(G/(G - 1)·Σ(o - p)²)/(n·p·(1 - p)).
    assert d.standard_error == pytest.approx(np.sqrt(60 / 59 * ((won - p) ** 2).sum()) / (60 * p * (1 - p)), rel=1e-8)
    assert d.count == 60
    unit = 400 / np.log(10)
    assert r.elo("a").value == pytest.approx(1000 + unit * r.score("a").value, rel=1e-12)
    assert r.elo("a").standard_error == pytest.approx(unit * r.score("a").standard_error, rel=1e-12)
    # Clusters that repeat each comparison leave the errors as they are.
    twice = ia.rank(["a"] * 120, ["b"] * 120, np.repeat(won, 2), clusters=np.repeat(np.arange(60), 2))
    assert twice.difference("a", "b").standard_error == pytest.approx(d.standard_error, rel=1e-8)
    assert twice.difference("a", "b").count == 60


def test_many_policies_are_the_likeliest(rng):
    n, truth = 6, np.linspace(-1, 1, 6)
    pairs = np.array([rng.choice(n, 2, replace=False) for _ in range(3000)])
    won = (rng.uniform(size=3000) < 1 / (1 + np.exp(truth[pairs[:, 1]] - truth[pairs[:, 0]]))).astype(float)
    names = np.array([f"model-{i}" for i in range(n)])
    r = ia.rank(names[pairs[:, 0]], names[pairs[:, 1]], won)
    # Zermelo's iteration, on strengths.
    strength, wins, games = np.ones(n), np.zeros(n), np.zeros((n, n))
    np.add.at(wins, pairs[:, 0], won)
    np.add.at(wins, pairs[:, 1], 1 - won)
    np.add.at(games, (pairs[:, 0], pairs[:, 1]), 1)
    games += games.T
    for _ in range(3000):
        strength = wins / (games / (strength[:, None] + strength[None, :])).sum(1)
        strength /= np.exp(np.log(strength).mean())
    scores = np.array([r.score(name).value for name in names])
    np.testing.assert_allclose(scores, np.log(strength), atol=1e-8)
    assert r.names == [names[i] for i in np.argsort(-strength)] and len(r) == n
    errors = np.array([r.score(name).standard_error for name in names])
    assert (abs(scores - (truth - truth.mean())) < 4.5 * errors).all()
    assert r.names[0] in str(r).splitlines()[0] and "6 policies" in repr(r)


def test_errors_are_the_sandwich_over_clusters(rng):
    n, of = 4, np.arange(240) // 4
    pairs = np.array([rng.choice(n, 2, replace=False) for _ in range(240)])
    won = rng.choice([0.0, 0.5, 1.0], 240)
    r = ia.rank(pairs[:, 0], pairs[:, 1], won, clusters=of)
    # Newton's method on the logistic regression with a design of +1 and -1, scores summing to 0.
    x = np.zeros((240, n))
    x[np.arange(240), pairs[:, 0]], x[np.arange(240), pairs[:, 1]] = 1, -1
    s = np.zeros(n)
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ s))
        # Of the curvature, in which the mean of the scores is missing.
        inverse = np.linalg.inv(x.T @ (x * (p * (1 - p))[:, None]) + 1 / n) - 1 / n
        s += inverse @ x.T @ (won - p)
    sums = (x * (won - p)[:, None]).reshape(60, 4, n).sum(1)
    covariance = 60 / 59 * inverse @ sums.T @ sums @ inverse
    for i in range(n):
        assert r.score(i).value == pytest.approx(s[i], abs=1e-9) and r.score(i).count == 60
        assert r.score(i).standard_error == pytest.approx(np.sqrt(covariance[i, i]), rel=1e-7)
        j = (i + 1) % n
        lead = np.eye(n)[i] - np.eye(n)[j]
        assert r.difference(i, j).standard_error == pytest.approx(np.sqrt(lead @ covariance @ lead), rel=1e-7)
        assert r.win_rate(i, j) == pytest.approx(1 / (1 + np.exp(s[j] - s[i])), abs=1e-9)


def test_names_of_any_kind():
    won = np.array([1.0, 0.0, 0.5])
    expected = ia.rank(["x", "y", "x"], ["y", "x", "y"], won).score("x").value
    for x, y in ((3, 7), (np.int32(3), np.int32(7))):
        assert ia.rank([x, y, x], [y, x, y], won).score(3).value == expected
    assert ia.rank(np.array(["x", "y", "x"], object), ["y", "x", "y"], list(won)).score("x").value == expected


def test_a_prior_makes_scores_finite():
    call = dict(first=["a", "a"], second=["b", "b"], outcomes=np.ones(2))
    with pytest.raises(ia.Error, match="prior above 0"):
        ia.rank(**call)
    r = ia.rank(**call, prior=1.0)
    # By symmetry s_b = -s_a: 2·(1 - σ(2s)) = σ(s) - ½.
    s, sigma = r.score("a").value, lambda x: 1 / (1 + np.exp(-x))
    assert 2 * (1 - sigma(2 * s)) == pytest.approx(sigma(s) - 0.5, abs=1e-9)


def test_bad_input():
    a, b, won = ["a", "b"], ["b", "a"], np.array([1.0, 1.0])
    for call, error, says in [
        (lambda: ia.rank(a, ["b"], won), ValueError, "second has 1"),
        (lambda: ia.rank(a, b, won[:1]), ValueError, "outcomes 1"),
        (lambda: ia.rank(a, a, won), ValueError, "with itself"),
        (lambda: ia.rank(a, b, won * 2), ValueError, r"outcomes\[0\] is 2"),
        (lambda: ia.rank(a, b, won * np.nan), ValueError, r"outcomes\[0\] is nan"),
        (lambda: ia.rank(a, b, won.astype(np.float32)), TypeError, "outcomes is float32"),
        (lambda: ia.rank([1, 2], b, won), TypeError, "second is <U1, but first is int64"),
        (lambda: ia.rank([1.5, 2.0], [2.0, 1.5], won), TypeError, "must be strings or whole numbers"),
        (lambda: ia.rank([["a"]], [["b"]], won[:1]), ValueError, "2 dimensions"),
        (lambda: ia.rank([], [], np.array([])), (ValueError, TypeError), "rank|first|policies"),
        (lambda: ia.rank(a, b, won, clusters=np.array([1])), ValueError, "clusters has 1"),
        (lambda: ia.rank(a, b, won, clusters=np.array([1.0, 2.0])), TypeError, "whole numbers"),
        (lambda: ia.rank(a, b, won, prior=-1.0), ValueError, "prior is -1"),
        (lambda: ia.rank(["a", "b", "c", "d"], ["b", "a", "d", "c"], np.ones(4)), ValueError, "compared with"),
    ]:
        with pytest.raises(error, match=says):
            call()
    r = ia.rank(a, b, np.array([1.0, 0.25]))
    for call in (lambda: r.score("z"), lambda: r.elo("z"), lambda: r.difference("a", "z"), lambda: r.win_rate("z", "a")):
        with pytest.raises(KeyError, match="there is no policy 'z' among the 2"):
            call()
    from infalign import _core

    fit = _core.fit_bradley_terry(2, np.array([0, 1]), np.array([1, 0]), won, None, 0.0)
    for i in (-1, 2, 1 << 60):
        with pytest.raises(IndexError):
            fit.score(i)
        with pytest.raises(IndexError):
            fit.difference(0, i)
