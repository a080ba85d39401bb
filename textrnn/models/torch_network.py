"""Prediction with torch, for devices that the engine's own network cannot use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from textrnn.data.batch import PackedBatch
from textrnn.models.classifier import Classifier
from textrnn.ops.device import resolve_device
from textrnn.serialization.model_file import SavedModel


class TorchNetwork:
    """The network of a model on a device of torch; see :class:`textrnn.inference.network.Network`.

    Raises:
        BackendError: the device is not there.
    """

    batch_tokens = 65536  # enough to keep a GPU busy; some 100 MB there at the default widths

    def __init__(self, model: SavedModel, device: str) -> None:
        self._device = resolve_device(device)
        network = Classifier(len(model.tokenizer), len(model.labels), **model.config.model.model_dump())
        network.import_weights(model.weights)
        self._network = network.to(self._device).eval()

    def forward(self, batch: PackedBatch, *, threads: int) -> npt.NDArray[np.float32]:
        """Return the logits (B, C) float32 of the texts of ``batch``."""
        del threads  # torch has its own
        ids, offsets = (torch.from_numpy(array).to(self._device) for array in (batch.ids, batch.offsets))
        with torch.inference_mode():
            logits: npt.NDArray[np.float32] = self._network(ids, offsets).float().cpu().numpy()
        return logits
