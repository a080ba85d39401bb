"""The schedule's shape, which parameters decay, and that the embedding's rows move as torch's AdamW moves them."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from samples import make_config
from textrnn.models.sru import SRU
from textrnn.native import library
from textrnn.training.optimizer import AdamW, NativeStep, ParameterState
from textrnn.training.schedule import rate_factor

needs_library = pytest.mark.skipif(not library.is_available(), reason="the library was not compiled")


@pytest.mark.parametrize(("steps", "warmup"), [(100, 0.1), (100, 0.0), (7, 0.5), (1, 0.05)])
def test_the_rate_rises_and_falls_in_straight_lines(steps: int, warmup: float) -> None:
    rates = [rate_factor(step, steps=steps, warmup=warmup) for step in range(steps + 1)]
    rise = max(1, round(steps * warmup))
    assert rates[:rise] == pytest.approx([(i + 1) / rise for i in range(rise)])
    assert rates[rise:-1] == pytest.approx([(steps - i) / (steps - rise) for i in range(rise, steps)])
    assert rates[-1] == pytest.approx(0, abs=1e-12) or steps == 1


def test_other_schedules() -> None:
    cosine = [rate_factor(step, steps=100, warmup=0.1, schedule="cosine") for step in range(101)]
    assert cosine[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert cosine[10:] == pytest.approx([(1 + math.cos(math.pi * i / 90)) / 2 for i in range(91)])
    constant = [rate_factor(step, steps=100, warmup=0.1, schedule="constant") for step in range(100)]
    assert constant == pytest.approx([(i + 1) / 10 for i in range(10)] + [1] * 90)
    parameter = torch.nn.Parameter(torch.zeros(1))
    peer = torch.optim.lr_scheduler.OneCycleLR(torch.optim.SGD([parameter]), 1.0, total_steps=101, pct_start=31 / 101)
    theirs = []
    for _ in range(101):
        theirs += peer.get_last_lr()
        peer.optimizer.step()
        if len(theirs) < 101:
            peer.step()
    mine = [rate_factor(step, steps=100, warmup=0.3, schedule="one-cycle") for step in range(101)]
    assert mine == pytest.approx([*theirs[1:31], *theirs[30:]], rel=1e-6)  # the first step is not at the bottom


def test_vectors_do_not_decay() -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), SRU(4, 2, bidirectional=True))
    before = {name: value.detach().clone() for name, value in layer.named_parameters()}
    optimizer = AdamW(torch.ones(3, 2), dict(layer.named_parameters()), make_config(train__weight_decay=0.5).train)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(torch.tensor([1]), torch.zeros(1, 2), lr=0.1)
    for name, value in layer.named_parameters():
        matrix = name in ("0.weight", "2.weight")  # v and b of SRU are none, for all their three dimensions
        torch.testing.assert_close(value.detach(), before[name] * (1 - 0.1 * 0.5) if matrix else before[name])


@pytest.fixture(params=["native", "torch", "fused"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the step is computed: on the CPU, on other devices, on CUDA."""
    if request.param != "native":
        monkeypatch.setattr(ParameterState, "is_native", False)
    monkeypatch.setattr(ParameterState, "is_fused", request.param == "fused")
    return str(request.param)


def test_moves_as_torch_moves(kind: str) -> None:
    torch.manual_seed(1)
    config = make_config(train__weight_decay=0.1, train__clip_norm=2.0).train
    embedding, layer = torch.randn(6, 5), torch.nn.Linear(5, 3)
    twin, other = embedding.clone().requires_grad_(), copy.deepcopy(layer)
    groups = [{"params": [twin, other.weight], "weight_decay": 0.1}, {"params": [other.bias], "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=1.0)
    optimizer = AdamW(embedding, dict(layer.named_parameters()), config)
    rows, of, scale = torch.arange(6), [twin, other.weight, other.bias], 4.0
    for step in range(4):  # every row in every step: lazy or not is the same then
        lr = 0.1 / (step + 1)
        for value in of:
            value.grad = torch.randn(value.shape) * (
                0.1 if step % 2 else 1.0
            )  # below the norm that is clipped to, and above
        gradients = [value.grad * scale for value in of]
        layer.weight.grad, layer.bias.grad = gradients[1:]
        options = {"scale": torch.tensor(scale), "weights": embedding.clone()} if kind == "fused" else {"scale": scale}
        assert has_updated(optimizer.step(rows, gradients[0], lr=lr, **options))
        torch.nn.utils.clip_grad_norm_(of, 2.0)
        for group in adam.param_groups:
            group["lr"] = lr
        adam.step()
    for mine, theirs in zip((embedding, layer.weight, layer.bias), of, strict=True):
        torch.testing.assert_close(mine.detach(), theirs.detach(), rtol=1e-5, atol=1e-6)
    before = embedding.clone()
    optimizer.step(torch.tensor([4]), torch.ones(1, 5), lr=0.1)
    assert (embedding != before).any(dim=1).tolist() == [False] * 4 + [True, False]


def has_updated(result: bool | torch.Tensor) -> bool:
    return float(result) == 0 if isinstance(result, torch.Tensor) else result


@pytest.mark.usefixtures("kind")
def test_a_step_that_is_skipped_counts_and_changes_nothing() -> None:
    torch.manual_seed(1)
    rows, layers = torch.tensor([0]), [torch.nn.Linear(5, 3) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    skipping, resumed = (
        AdamW(torch.ones(2, 5), dict(layer.named_parameters()), make_config().train) for layer in layers
    )

    def step(index: int, gradient: float) -> bool:
        for parameter in layers[index].parameters():
            parameter.grad = torch.full_like(parameter, gradient)
        return has_updated((skipping, resumed)[index].step(rows, torch.ones(1, 5), lr=0.1))

    before = [parameter.detach().clone() for parameter in layers[0].parameters()]
    assert not step(0, float("inf"))
    assert all(map(torch.equal, before, layers[0].parameters()))
    resumed.import_state({name: value.clone() for name, value in skipping.export_state().items()}, steps=skipping.steps)
    assert step(0, 1.0)
    assert step(1, 1.0)
    assert all(map(torch.equal, layers[0].parameters(), layers[1].parameters()))


RATES = {"lr": 0.01, "scale": 0.5, "betas": (0.9, 0.999), "epsilon": 1e-8, "steps": 3}


def draw(*shape: int, decay: float = 0.0) -> ParameterState:
    return ParameterState(torch.randn(shape), torch.randn(shape), torch.rand(shape), decay)


def move_exactly(moved: ParameterState, rows: torch.Tensor, gradient: torch.Tensor) -> list[torch.Tensor]:
    (beta1, beta2), lr = RATES["betas"], RATES["lr"]
    g = gradient.double() * RATES["scale"]
    m = beta1 * moved.mean[rows].double() + (1 - beta1) * g
    v = beta2 * moved.square[rows].double() + (1 - beta2) * g**2
    change = lr / (1 - beta1**3) * m / ((v / (1 - beta2**3)).sqrt() + RATES["epsilon"])
    w = moved.weight[rows].double() * (1 - lr * moved.decay) - change
    of = (moved.weight, moved.mean, moved.square)
    return [whole.double().index_copy(0, rows, part) for whole, part in zip(of, (w, m, v), strict=True)]


@needs_library
def test_moves_the_rows_and_no_others_and_whole_tensors() -> None:
    torch.manual_seed(1)
    # a matrix by rows, a wide one of several tasks, and a tensor of three dimensions
    parts = [draw(50, 33, decay=0.1), draw(300, 100, decay=0.2), draw(2, 2, 7)]
    rows, whole = torch.tensor([0, 7, 49, 8]), torch.arange(300)
    gradients = [torch.randn(4, 33), torch.randn(100, 300).T, torch.randn(2, 2, 7)]
    wanted = [move_exactly(p, r, g) for p, r, g in zip(parts, (rows, whole, whole[:2]), gradients, strict=True)]
    norm = torch.cat([g.double().flatten() for g in gradients]).norm()
    before = torch.get_num_threads()
    found = []
    for threads in (1, 3):
        copies = [ParameterState(p.weight.clone(), p.mean.clone(), p.square.clone(), p.decay) for p in parts]
        torch.set_num_threads(threads)
        try:
            step = NativeStep(list(zip(copies, gradients, (rows, None, None), strict=True)))
            found.append(step.norm())
            step.move(**RATES)
        finally:
            torch.set_num_threads(before)
        for own, exact in zip(copies, wanted, strict=True):
            for got, value in zip((own.weight, own.mean, own.square), exact, strict=True):
                torch.testing.assert_close(got.double(), value, rtol=1e-5, atol=1e-6)
    assert found[0] == found[1] == pytest.approx(float(norm), rel=1e-6)


@needs_library
def test_refuses_rows_outside_the_matrix() -> None:
    for wrong in ([50], [-1]):
        with pytest.raises(ValueError, match="rows"):
            NativeStep([(draw(50, 3), torch.randn(1, 3), torch.tensor(wrong))]).move(**RATES)


@needs_library
def test_is_for_float32_on_the_cpu() -> None:
    assert draw(5, 3).is_native
    assert not ParameterState(*(torch.ones(5, 3, dtype=torch.float64) for _ in range(3)), decay=0.0).is_native
