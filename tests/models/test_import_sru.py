"""Loading the weights of the package ``sru``: layout, refusals, and outputs equal to the package's."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from textrnn.errors import ModelError
from textrnn.models.import_sru import from_sru_state_dict
from textrnn.models.sru import SRU
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.sru.recurrence import sru_recurrence

State = dict[str, Tensor]


def made_by_hand(sizes: Sequence[int], D: int, K: int, *, G: Sequence[int]) -> State:
    """A state dict whose numbers all differ."""
    state = {}
    for number, (width, blocks) in enumerate(zip(sizes, G, strict=True)):
        key = f"rnn_lst.{number}."
        state[f"{key}weight"] = torch.arange(width * K * D * blocks).float().view(width, -1) + 1000 * number
        state[f"{key}weight_c"] = torch.arange(2 * K * D).float() + 0.25
        state[f"{key}bias"] = torch.arange(2 * K * D).float() + 0.5
        state[f"{key}scale_x"] = torch.tensor([1.25 + number])
    return state


@pytest.mark.parametrize("K", [1, 2])
def test_every_weight_is_copied_to_its_place(K: int) -> None:
    D, sizes, G = 3, [5, 3 * K], [4, 3]
    state = made_by_hand(sizes, D, K, G=G)
    layers = from_sru_state_dict(state, bidirectional=K == 2)
    assert [type(layer) for layer in layers] == [SRU, SRU]
    for number, layer in enumerate(layers):
        weight = layer.weight.view(sizes[number], K, G[number], D)
        for k in range(K):
            for d in range(D):
                for g in range(G[number]):
                    column = (k * D + d) * G[number] + g
                    assert torch.equal(weight[:, k, g, d], state[f"rnn_lst.{number}.weight"][:, column])
                for gate in range(2):
                    place = (gate * K + k) * D + d
                    assert layer.v[k, gate, d] == place + 0.25
                    assert layer.b[k, gate, d] == place + 0.5
        assert layer.alpha == 1.25 + number
        assert layer.norm is None


def test_two_steps_computed_by_hand() -> None:
    state = {
        "rnn_lst.0.weight": torch.tensor([[0.3, -0.7, 1.1]]),
        "rnn_lst.0.weight_c": torch.tensor([0.9, -0.4]),
        "rnn_lst.0.bias": torch.tensor([0.2, -0.6]),
        "rnn_lst.0.scale_x": torch.tensor([1.5]),
    }
    expected, c = [], 0.0
    for x in (2.0, -1.0):
        f = 1 / (1 + math.exp(-(-0.7 * x + 0.9 * c + 0.2)))
        r = 1 / (1 + math.exp(-(1.1 * x - 0.4 * c - 0.6)))
        c = f * c + (1 - f) * 0.3 * x
        expected.append([r * c + (1 - r) * 1.5 * x])
    (layer,) = from_sru_state_dict(state, bidirectional=False)
    torch.testing.assert_close(
        layer(torch.tensor([[2.0], [-1.0]]), BatchLayout(torch.tensor([0, 2]))), torch.tensor(expected)
    )


def test_weights_are_copies_in_their_own_dtype() -> None:
    state = {key: value.double().requires_grad_() for key, value in made_by_hand([3], 3, 1, G=[3]).items()}
    (layer,) = from_sru_state_dict(state, bidirectional=False)
    assert {parameter.dtype for parameter in layer.parameters()} == {torch.float64}
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in layer.parameters())
    with torch.no_grad():
        layer.v.zero_()
    assert state["rnn_lst.0.weight_c"][0] == 0.25


def test_a_prefix_selects_one_module() -> None:
    state = made_by_hand([3], 3, 1, G=[3])
    whole = {f"encoder.rnn.{key}": value for key, value in state.items()} | {"head.weight": torch.ones(2)}
    (layer,) = from_sru_state_dict(whole, bidirectional=False, prefix="encoder.rnn.")
    (other,) = from_sru_state_dict(state, bidirectional=False)
    assert torch.equal(layer.weight, other.weight)
    with pytest.raises(ModelError, match=r"^encoder\.rnn\.rnn_lst\.0\.weight: .*prefix"):
        from_sru_state_dict(whole, bidirectional=False)
    with pytest.raises(ModelError, match=r"^rnn\.rnn_lst\.0\.weight: missing "):
        from_sru_state_dict(whole, bidirectional=False, prefix="rnn.")


@pytest.mark.parametrize("option", ["use_tanh", "normalize_after"])
def test_options_without_a_counterpart_are_refused(option: str) -> None:
    with pytest.raises(ModelError, match=f"^{option}: "):
        from_sru_state_dict(made_by_hand([3], 3, 1, G=[3]), bidirectional=False, **{option: True})


def without(key: str) -> Callable[[State], State]:
    return lambda state: {name: value for name, value in state.items() if name != key}


def with_value(key: str, value: Any) -> Callable[[State], State]:
    return lambda state: {**state, key: value}


REFUSED = {
    "custom_m": (with_value("rnn_lst.0.custom_m.weight", torch.ones(1)), r"rnn_lst\.0\.custom_m\.weight: .*custom_m"),
    "custom_m without parameters": (without("rnn_lst.0.weight"), r"rnn_lst\.0\.weight: missing .*custom_m"),
    "unknown": (with_value("rnn_lst.0.ln.weight", torch.ones(5)), r"rnn_lst\.0\.ln\.weight: no key of sru\.SRU"),
    "part of a checkpoint": (with_value("epoch", 3), r"epoch: no key of sru\.SRU"),
    "no scale": (without("rnn_lst.1.scale_x"), r"rnn_lst\.1\.scale_x: missing"),
    "no norm's bias": (with_value("rnn_lst.0.layer_norm.weight", torch.ones(5)), r"rnn_lst\.0\.layer_norm\.bias: miss"),
    "normalised after": (
        lambda state: {**state, **{f"rnn_lst.0.layer_norm.{name}": torch.ones(6) for name in ("weight", "bias")}},
        r"rnn_lst\.0\.layer_norm\.weight: should be \(5,\), not \(6,\); .*normalize_after",
    ),
    "gap": (with_value("rnn_lst.3.bias", torch.ones(12)), r"rnn_lst\.2\.weight: missing"),
    "no tensor": (with_value("rnn_lst.0.bias", [0.0] * 12), r"rnn_lst\.0\.bias: .*floating-point"),
    "integers": (with_value("rnn_lst.0.bias", torch.ones(12).long()), r"rnn_lst\.0\.bias: .*floating-point"),
    "bias": (with_value("rnn_lst.1.bias", torch.ones(11)), r"rnn_lst\.1\.bias: should be \(12,\), not \(11,\)"),
    "scale": (with_value("rnn_lst.1.scale_x", torch.ones(2)), r"rnn_lst\.1\.scale_x: should be \(1,\), not \(2,\)"),
    "vector": (with_value("rnn_lst.0.weight", torch.ones(5)), r"rnn_lst\.0\.weight: should have 2 dim.*not \(5,\)"),
    "no rows": (with_value("rnn_lst.0.weight", torch.ones(0, 24)), r"rnn_lst\.0\.weight: .*none of them 0"),
    "odd": (with_value("rnn_lst.0.weight_c", torch.ones(10)), r"rnn_lst\.0\.weight_c: 10 numbers.* multiple of 4"),
    "three blocks": (
        with_value("rnn_lst.0.weight", torch.ones(5, 18)),
        r"rnn_lst\.0\.weight: should be \(5, 24\), not \(5, 18\); .*has_skip_term",
    ),
    "chain": (
        with_value("rnn_lst.1.weight", torch.ones(7, 24)),
        r"rnn_lst\.1\.weight: reads 7 columns, but the previous layer gives 6",
    ),
    "projection": (
        with_value("rnn_lst.0.weight_proj", torch.ones(5, 2)),
        r"rnn_lst\.0\.weight: should be \(2, 24\), not \(5, 24\)",
    ),
    "input": (with_value("input_to_hidden.weight", torch.ones(6, 4)), r"input_to_hidden\.weight: should be \(6, "),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_and_names_the_key(case: str) -> None:
    change, message = REFUSED[case]
    with pytest.raises(ModelError, match=f"^{message}") as caught:
        from_sru_state_dict(change(made_by_hand([5, 6], 3, 2, G=[4, 3])), bidirectional=True)
    assert "\n" not in str(caught.value)


def test_layer_norm_after_an_input_projection_is_refused() -> None:
    state = made_by_hand([6], 3, 2, G=[3]) | {"input_to_hidden.weight": torch.ones(6, 4)}
    state |= {f"rnn_lst.0.layer_norm.{name}": torch.ones(6) for name in ("weight", "bias")}
    with pytest.raises(ModelError, match=r"^input_to_hidden\.weight: proj_input_to_hidden_first with layer_norm"):
        from_sru_state_dict(state, bidirectional=True)


# parity with the package itself


@pytest.fixture(scope="module")
def peer() -> Any:
    """The package ``sru``, which compiles itself when it is first imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import sru  # noqa: PLC0415
        except Exception as error:  # no package, no ninja, no compiler, no headers
            pytest.skip(f"sru cannot be imported: {type(error).__name__}: {str(error)[:80]}")
    if sru.__version__ != "2.6.0":
        pytest.skip(f"the package sru is {sru.__version__}, not 2.6.0")
    return sru


LENGTHS = [4, 1, 7, 3]
LAYOUT = BatchLayout(torch.tensor([0, 4, 5, 12, 15]))
T, B = max(LENGTHS), len(LENGTHS)
PADDED = torch.arange(T)[:, None] >= torch.tensor(LENGTHS)  # (T, B)

CASES = {
    "plain": {"input_size": 6, "num_layers": 1},
    "rescaled": {"input_size": 6, "num_layers": 2, "rescale": True, "highway_bias": -1.5},
    "wider": {"input_size": 9, "num_layers": 1, "rescale": True},
    "three layers": {"input_size": 9, "num_layers": 3, "rescale": True, "highway_bias": -2.0},
    "projection": {"input_size": 9, "num_layers": 3, "projection_size": 4, "rescale": True},
    "projection of some": {"input_size": 3, "num_layers": 2, "projection_size": 4},  # sru has none in the first layer
    "layer norm": {"input_size": 9, "num_layers": 3, "layer_norm": True, "rescale": True},
    "layer norm, projection": {"input_size": 6, "num_layers": 2, "layer_norm": True, "projection_size": 2},
    "no highway": {"input_size": 6, "num_layers": 2, "has_skip_term": False, "rescale": True},
    "no highway, wider": {"input_size": 9, "num_layers": 2, "has_skip_term": False},
    "v1": {"input_size": 9, "num_layers": 2, "v1": True},
    "input to hidden": {"input_size": 4, "num_layers": 2, "proj_input_to_hidden_first": True, "rescale": True},
    "input to hidden, no highway": {
        "input_size": 4,
        "num_layers": 1,
        "proj_input_to_hidden_first": True,
        "has_skip_term": False,
    },
}
HIDDEN = {False: 6, True: 3}  # 6 columns in all


def build(peer: Any, case: str, bidirectional: bool) -> tuple[Any, nn.ModuleList]:
    """A model of the package, its biases and norms moved from where they begin, and ours."""
    torch.manual_seed(7)
    model = peer.SRU(hidden_size=HIDDEN[bidirectional], bidirectional=bidirectional, **CASES[case]).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name or "layer_norm" in name:
                parameter.add_(torch.randn_like(parameter) / 2)
            elif name.endswith("weight"):
                parameter.mul_(2.0)
    skip = CASES[case].get("has_skip_term", True)
    return model, from_sru_state_dict(model.state_dict(), bidirectional=bidirectional, has_skip_term=bool(skip))


def run(layers: nn.ModuleList, x: Tensor, c0: Tensor, how: str) -> tuple[Tensor, Tensor | None]:
    """The last output (N, columns) and the final states (layers, B, columns) from ``c0`` (layers, B, columns)."""
    if how == "layers":
        for layer in layers:
            x = layer(x, LAYOUT)
        return x, None
    final = []
    for layer, start in zip(layers, c0, strict=True):
        K, D = layer.directions, layer.hidden_size
        u = (x if layer.norm is None else layer.norm(x)) @ layer.weight
        h, c = sru_recurrence(
            u.view(len(x), K, layer.blocks, D),
            x.view(len(x), K, D) if layer.blocks == 3 else None,
            LAYOUT,
            v=layer.v,
            b=layer.b,
            alpha=layer.alpha,
            c0=start.view(B, K, D),
            backend=how,
        )
        x = h.view(len(x), K * D)
        final.append(c.view(B, K * D))
    return x, torch.stack(final)


def rows(padded: Tensor) -> Tensor:
    """The steps that are not padding, (T, B, width) to (N, width)."""
    return padded.transpose(0, 1)[~PADDED.T]


def assert_near(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max().item() <= 1e-5 * expected.abs().max().item()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["reference", "auto", "layers"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_outputs_and_states_equal_those_of_the_package(peer: Any, case: str, bidirectional: bool, how: str) -> None:
    model, layers = build(peer, case, bidirectional)
    x = torch.randn(T, B, CASES[case]["input_size"])
    x[PADDED] = 1e3  # none of it may be read
    c0 = torch.randn(len(layers), B, 6) * (how != "layers")
    with torch.no_grad():  # their C++ for inference
        expected, c = model(x, c0, mask_pad=PADDED)
        actual, final = run(layers, rows(x), c0, how)
    assert_near(actual, rows(expected))
    assert not expected[PADDED].any()
    if final is not None:
        assert_near(final, c)


def gradients_in_their_layout(layers: nn.ModuleList, model: Any) -> State:
    """Our gradients by their names, where a weight is one matrix there too."""
    found = {}
    for number, (layer, cell) in enumerate(zip(layers, model.rnn_lst, strict=True)):
        key = f"rnn_lst.{number}."
        G = cell.num_matrices
        blocks = layer.weight.grad.view(-1, layer.directions, layer.blocks, layer.hidden_size)[:, :, :G]
        whole = blocks.permute(0, 1, 3, 2).reshape(len(blocks), -1)
        if cell.projection_size:
            found[f"{key}weight"] = cell.weight_proj.detach().T @ whole
            found[f"{key}weight_proj"] = whole @ cell.weight.detach().T
        else:
            found[f"{key}weight"] = whole
        found[f"{key}weight_c"] = layer.v.grad.permute(1, 0, 2).reshape(-1)
        found[f"{key}bias"] = layer.b.grad.permute(1, 0, 2).reshape(-1)
        if layer.norm is not None:
            found[f"{key}layer_norm.weight"] = layer.norm.weight.grad
            found[f"{key}layer_norm.bias"] = layer.norm.bias.grad
    return found


@pytest.mark.filterwarnings("ignore")  # theirs says that a loop in Python is slow
@pytest.mark.parametrize("how", ["reference", "auto", "layers"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_gradients_equal_those_of_the_package(peer: Any, case: str, bidirectional: bool, how: str) -> None:
    model, layers = build(peer, case, bidirectional)
    theirs = torch.randn(T, B, CASES[case]["input_size"], requires_grad=True)
    ours = rows(theirs.detach()).requires_grad_()
    c0 = torch.randn(len(layers), B, 6) * (how != "layers")
    upstream = torch.randn(T, B, 6)

    expected, _ = model(theirs, c0, mask_pad=PADDED)
    (expected * upstream).sum().backward()
    actual, _ = run(layers, ours, c0, how)
    (actual * rows(upstream)).sum().backward()

    assert_near(actual, rows(expected))
    assert_near(ours.grad, rows(theirs.grad))
    assert not theirs.grad[PADDED].any()
    mapped = gradients_in_their_layout(layers, model)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not CASES[case].get("proj_input_to_hidden_first"):
            assert_near(mapped[name], parameter.grad)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_anywhere_is_ignored(peer: Any, bidirectional: bool) -> None:
    model, layers = build(peer, "three layers", bidirectional)
    x = torch.randn(B, T, 9)
    padded = torch.stack([torch.randperm(T) >= length for length in LENGTHS])  # before, between and after
    with torch.no_grad():
        expected, c = model(x.transpose(0, 1), mask_pad=padded.T.contiguous())
        actual, final = run(layers, x[~padded], torch.zeros(3, B, 6), "auto")
    assert_near(actual, expected.transpose(0, 1)[~padded])
    assert final is not None
    assert_near(final, c)


@pytest.mark.filterwarnings("ignore")
def test_the_examples_of_the_documentation_run(peer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "explanation" / "networks.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(examples) == 2
    monkeypatch.chdir(tmp_path)
    for example in examples:
        exec(example, {})


@pytest.mark.filterwarnings("ignore")
def test_unsupported_options_in_the_state_dict_are_refused(peer: Any) -> None:
    after = peer.SRU(5, 3, 1, layer_norm=True, normalize_after=True)
    with pytest.raises(ModelError, match=r"layer_norm\.weight: .*normalize_after"):
        from_sru_state_dict(after.state_dict(), bidirectional=False)
    custom = peer.SRU(5, 3, 1, custom_m=nn.Linear(5, 12))
    with pytest.raises(ModelError, match="custom_m"):
        from_sru_state_dict(custom.state_dict(), bidirectional=False)
    plain = peer.SRU(5, 3, 1, has_skip_term=False)
    with pytest.raises(ModelError, match="has_skip_term"):
        from_sru_state_dict(plain.state_dict(), bidirectional=False)
