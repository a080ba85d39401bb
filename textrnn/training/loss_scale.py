"""The factor of the loss that keeps the gradients of float16 from vanishing."""

from __future__ import annotations

import torch
from torch import Tensor

_FIRST, _STEPS_TO_RAISE = 2.0**16, 2000  # as torch.amp.GradScaler's


class LossScale:
    """A loss scale: halved when gradients overflow, doubled after 2,000 steps in a row that are finite.

    ``factor`` is a number; on CUDA a tensor () float32 that never leaves the device during training. It stays 1 unless
    ``active``. ``steady`` counts the finite steps in a row.
    """

    def __init__(self, device: torch.device, *, active: bool) -> None:
        self.active = active
        self.factor: float | Tensor = _FIRST if active else 1.0
        self.steady: int | Tensor = 0
        if active and device.type == "cuda":
            self.factor = torch.full((), _FIRST, device=device)
            self.steady = torch.zeros((), dtype=torch.int32, device=device)

    def adapt(self, updated: bool | Tensor) -> None:
        """Adapt the factor after a step that ``updated`` the network, as ``AdamW.step`` returns it."""
        if not self.active:
            return
        if isinstance(updated, Tensor) and isinstance(self.factor, Tensor) and isinstance(self.steady, Tensor):
            overflow = updated.ne(0).float()
            torch._amp_update_scale_(self.factor, self.steady, overflow, 2.0, 0.5, _STEPS_TO_RAISE)
            return
        self.steady = self.steady + 1 if updated else 0
        if not updated:
            self.factor /= 2
        elif self.steady % _STEPS_TO_RAISE == 0:
            self.factor *= 2

    def export_state(self) -> list[float]:
        """Return the factor and the count."""
        return [float(self.factor), int(self.steady)]

    def import_state(self, state: list[float]) -> None:
        """Set the state that :meth:`export_state` returned."""
        factor, steady = state
        if isinstance(self.factor, Tensor) and isinstance(self.steady, Tensor):
            self.factor.fill_(factor)
            self.steady.fill_(int(steady))
        else:
            self.factor, self.steady = factor, int(steady)
