"""The recurrence as a function: it checks its arguments, chooses a backend and runs it."""

from __future__ import annotations

from torch import Tensor

from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.sru import op, reference
from textrnn.ops.sru.backends import choose_backend
from textrnn.ops.sru.inputs import SruInputs, check, refuse_forward_mode


def sru_recurrence(
    u: Tensor,
    x: Tensor | None,
    layout: BatchLayout,
    *,
    v: Tensor,
    b: Tensor,
    alpha: float = 1.0,
    c0: Tensor | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    r"""Run the Simple Recurrent Unit over packed sequences, in K directions at once.

    For each direction, with ``u0, u1, u2 (, u3)`` the G blocks of ``u`` and ``c`` starting at ``c0``::

        f_t = sigmoid(u1_t + v_f * c_{t-1} + b_f)
        r_t = sigmoid(u2_t + v_r * c_{t-1} + b_r)
        c_t = f_t * c_{t-1} + (1 - f_t) * u0_t
        h_t = r_t * c_t + (1 - r_t) * alpha * x_t     (u3_t instead of alpha * x_t if G is 4)

    Source: Lei, Zhang, Wang, Dai, Artzi, "Simple Recurrent Units for Highly Parallelizable Recurrence", EMNLP 2018.

    A long text can be read in windows: pass the final states of one as ``c0`` of the next. Backpropagation is truncated
    at the windows: no gradient flows into ``c0`` or out of the final states.

    Args:
        u: (N, K, G, D), the projected input; G is 3 or 4. K = 2 reads every sequence forwards and backwards.
        x: (N, K, D), the input of the highway if G is 3; None if G is 4.
        layout: the B sequences, which may be empty, on the device of ``u``.
        v: (K, 2, D), the weights of the state in the forget gate and in the reset gate.
        b: (K, 2, D), the biases of the forget gate and of the reset gate.
        alpha: the scale of the highway.
        c0: (B, K, D), the initial states; None: zeros.
        backend: ``reference``, ``cpu`` (float32 and bfloat16), ``cuda`` (these and float16), or ``auto``: the fastest
            that computes on the device and in the dtype of ``u``. The other tensors are cast to its dtypes.

    Returns:
        ``h`` (N, K, D) in the dtype of ``u``, and the final states (B, K, D) in float32 (float64 if ``u`` is).

    Raises:
        ValueError: shapes, dtypes or devices do not match, ``c0`` requires a gradient, or offsets on the CPU do not
            rise from 0 to N. On a CUDA device offsets are clamped to that range: reading them would make it wait.
        BackendError: the backend is not available.
        NotImplementedError: forward-mode derivatives.
    """
    inputs = SruInputs(u, x, layout, v, b, alpha, c0)
    check(inputs)
    refuse_forward_mode(*inputs.leaves)
    name = choose_backend(backend, device=u.device.type, dtype=str(u.dtype).removeprefix("torch."))
    return reference.recur(inputs) if name == "reference" else op.recur(inputs, backend=name)
