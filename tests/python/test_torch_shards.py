# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from infalign.torch import token_statistics  # noqa: E402


def make(shape=(3, 4, 11), dtype=torch.float64):
    torch.manual_seed(1)
    return torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype), torch.randint(shape[-1], shape[:-1])


def plain(logits, base, tokens, temperature=1.0, cap=None):
    squeezed = [x if cap is None else cap * torch.tanh(x / cap) for x in (logits, base)]
    p, q = [torch.log_softmax(x / temperature, -1) for x in squeezed]
    return p.gather(-1, tokens[..., None])[..., 0], (p.exp() * (p - q)).sum(-1), -(p.exp() * p).sum(-1)


def some_loss(terms):
    log_prob, kl, entropy = terms
    return (log_prob.exp() * 1.5 - 0.3 * kl.square() + 0.2 * entropy).sum()


@pytest.mark.parametrize(("temperature", "cap"), [(1.0, None), (0.7, 3.0)])
def test_terms_and_gradient_are_those_of_plain_pytorch(temperature, cap):
    logits, base, tokens = make()
    own, other = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    found = token_statistics(own, tokens, base_logits=base, entropy=True, temperature=temperature, soft_cap=cap)
    expected = plain(other, base, tokens, temperature, cap)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a.detach(), b.detach(), rtol=1e-11, atol=1e-12)
    some_loss(found).backward()
    some_loss(expected).backward()
    np.testing.assert_allclose(own.grad, other.grad, rtol=1e-10, atol=1e-13)


def test_shards_of_the_vocabulary_merge():
    logits, base, tokens = make((6, 11))
    states = []

    def kept(own):
        states.append(own)
        return [own]

    parts = [slice(0, 4), slice(4, 5), slice(5, 11)]
    for part in parts:
        token_statistics(logits[:, part], tokens, base_logits=base[:, part], entropy=True, first=part.start, exchange=kept)
    whole = logits.clone().requires_grad_()
    some_loss(token_statistics(whole, tokens, base_logits=base, entropy=True)).backward()
    for part in parts:
        own = logits[:, part].clone().requires_grad_()
        some_loss(token_statistics(own, tokens, base_logits=base[:, part], entropy=True, first=part.start, exchange=lambda _: states)).backward()
        np.testing.assert_allclose(own.grad, whole.grad[:, part], rtol=1e-10, atol=1e-13)


def test_what_the_mask_leaves_out():
    logits, base, tokens = make((2, 3, 5), torch.float32)
    mask = torch.tensor([[1, 0, 1], [0, 1, 0]])
    tokens[mask == 0] = -100
    logits[0, 1] = float("nan")
    own = logits.clone().requires_grad_()
    found = token_statistics(own, tokens, base_logits=base, mask=mask)
    assert found.log_prob.dtype == torch.float64 and (found.entropy == 0).all()
    assert (found.log_prob[mask == 0] == 0).all() and (found.kl[mask == 0] == 0).all()
    some_loss(found).backward()
    assert (own.grad[mask == 0] == 0).all() and (own.grad[mask == 1] != 0).any(-1).all()


def test_gradients_by_differences():
    logits, base, tokens = make((2, 4))
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: tuple(token_statistics(x, tokens, base_logits=base, entropy=True)), logits)


def test_bad_input():
    logits, base, tokens = make((3, 5))
    for call, error, says in [
        (lambda: token_statistics(logits, tokens + 5), ValueError, r"tokens\[\d\] is \d+, which is no id of these 5 columns"),
        (lambda: token_statistics(logits, tokens - 9, exchange=lambda s: [s]), ValueError, r"tokens\[0\] is -\d"),
        (lambda: token_statistics(logits, tokens.double()), TypeError, "must be int64 or int32"),
        (lambda: token_statistics(logits.half(), tokens), TypeError, "logits must be of float32 or float64"),
        (lambda: token_statistics(logits, tokens, base_logits=base.float()), TypeError, "the type of logits"),
        (lambda: token_statistics(logits, tokens, base_logits=base[:, :4]), ValueError, "base_logits is 3 x 4"),
        (lambda: token_statistics(logits, tokens[:2]), ValueError, "logits is 3 x 5"),
        (lambda: token_statistics(logits, tokens, mask=torch.ones(2)), ValueError, "mask is"),
        (lambda: token_statistics(logits, tokens, temperature=0.0), ValueError, "temperature is 0"),
        (lambda: token_statistics(logits, tokens, soft_cap=-1.0), ValueError, "soft_cap is -1"),
        (lambda: token_statistics(logits, tokens, exchange=lambda s: []), ValueError, "no states"),
        (lambda: token_statistics(logits, tokens, exchange=lambda s: [s[:1]]), ValueError, r"states\[0\] of another shape"),
    ]:
        with pytest.raises(error, match=says):
            call()
