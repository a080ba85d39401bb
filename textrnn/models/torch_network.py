"""Prediction with torch, for devices other than the CPU."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import PackedBatch
from textrnn.models.classifier import Classifier
from textrnn.ops.device import resolve_device
from textrnn.serialization.model_file import SavedModel


class TorchNetwork:
    """The network of a model on a torch device; the counterpart of :class:`textrnn.inference.network.Network`.

    Raises:
        BackendError: the device is not available.
    """

    batch_tokens = 65536  # enough to keep a GPU busy; about 100 MB there at the default widths

    def __init__(self, model: SavedModel, device: str) -> None:
        network = Classifier(len(model.tokenizer), len(model.labels), **model.config.model.model_dump())
        network.import_weights(model.weights)
        self._network = network.to(resolve_device(device)).eval()

    def forward(self, batch: PackedBatch, *, threads: int) -> npt.NDArray[np.float32]:
        """Return the logits (B, C) float32 of the texts of ``batch``."""
        del threads  # torch has its own
        return self._network.predict_logits(batch)
