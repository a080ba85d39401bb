"""A CUDA device without memory: runs code for a GPU as far as shapes and devices go, and counts its launches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch._dynamo  # it refuses to be imported while a function of torch is replaced
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from textrnn.ops.sru import backends

CUDA, META = torch.device("cuda", 0), torch.device("meta")
# operators that only make a view or allocate memory
FREE = re.compile(
    r"_reshape_alias|_unsafe_view|alias|as_strided|chunk|detach|device|empty|"
    r"empty_like|empty_strided|expand|is_pinned|lift_fresh|new_empty|"
    r"new_empty_strided|permute|record_stream|select|slice|split|split_with_sizes|"
    r"squeeze|t|transpose|unbind|unsqueeze|view"
)
SEVERAL = {"_foreach_norm": 2, "embedding_dense_backward": 6, "native_layer_norm_backward": 2, "sru_backward": 2}
PRODUCTS = {"mm", "addmm"}
MIXED = {"copy_"}  # operators that take tensors of two devices


class _FakeMode(FakeTensorMode):
    def dispatch(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return super().dispatch(func, types, args, _to_cuda(kwargs))


def _to_cuda(options: dict[str, Any] | None) -> dict[str, Any]:
    """Return the options of an operator; where C++ took the device from a tensor, it is ``meta``."""
    return {key: CUDA if value == META else value for key, value in (options or {}).items()}


class FakeCuda(TorchDispatchMode):
    """Tensors on ``cuda`` have no memory; all others are real. A copy to the host yields zeros.

    ``launches`` counts kernels by operator, ``sent`` copies to the device, and ``read`` has the shapes of the copies to
    the host. An operator on tensors of two devices raises, and so does one that reads a number from the device, or a
    copy that the host waits for if ``strict``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._fake = _FakeMode(allow_non_fake_inputs=True)
        self.launches: Counter[str] = Counter()
        self.sent, self.read, self.strict = 0, list[tuple[int, ...]](), False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run ``func`` on its device."""
        kwargs, name = _to_cuda(kwargs), func.overloadpacket.__name__
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        is_fake = any(isinstance(t, FakeTensor) for t in tensors)
        device = torch.device(kwargs.get("device") or "cpu")
        if name == "_pin_memory" and not is_fake:
            return args[0].clone()
        if not is_fake and device.type == "cpu":
            return func(*args, **{key: value for key, value in kwargs.items() if key != "pin_memory"})
        if name == "_to_copy" and "device" in kwargs and (not is_fake or device.type == "cpu"):
            return self._copy(args[0], device, kwargs)
        if func._can_decompose():
            with self:
                return func.decompose(*args, **kwargs)
        if not FREE.fullmatch(name):
            hosts = [tuple(t.shape) for t in tensors if not isinstance(t, FakeTensor) and t.dim()]
            assert not hosts or name in MIXED, f"{func} reads {hosts} on the host"
            self.sent += bool(hosts)
            self.launches[name] += SEVERAL.get(name, 1)
        with self._fake:
            return func(*(self._cast(args) if name in PRODUCTS else args), **kwargs)

    def _copy(self, tensor: Tensor, device: torch.device, options: dict[str, Any]) -> Tensor:
        assert options.get("non_blocking") or not self.strict, f"the host waits for a copy to {device}"
        dtype = options.get("dtype") or tensor.dtype
        if device.type == "cpu":
            self.read.append(tuple(tensor.shape))
            return torch.zeros(tensor.shape, dtype=dtype)
        self.sent += 1
        with self._fake:
            return torch.empty(tensor.shape, dtype=dtype, device=device)

    def _cast(self, factors: tuple[Any, ...]) -> tuple[Any, ...]:
        """Cast the factors of a product as autocast does, or in the backward pass as it did."""
        dtypes = {factor.dtype for factor in factors}
        if torch.is_autocast_enabled("cuda"):
            dtype = torch.get_autocast_dtype("cuda")
        elif len(dtypes) > 1:
            dtype = min(dtypes, key=lambda dtype: dtype.itemsize)
        else:
            return factors
        self.launches["_to_copy"] += sum(factor.dtype != dtype for factor in factors)
        with self._fake:
            return tuple(factor.to(dtype) for factor in factors)


@contextmanager
def fake_cuda() -> Iterator[FakeCuda]:
    """Pretend that there is a CUDA device.

    In C++, where torch would ask the driver about streams, its tensors are on the device ``meta``.
    """
    make = Tensor._make_subclass
    caches = (backends._choose_fastest, backends._sees_gpu)

    def make_subclass(cls: type, *args: Any, **options: Any) -> Tensor:
        if issubclass(cls, FakeTensor):
            options["dispatch_device"] = False
        return make(cls, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "_make_subclass", staticmethod(make_subclass))
        for kind in ("cuda", "cpu"):
            is_kind = property(lambda self, kind=kind: self.device.type == kind)
            patch.setattr(FakeTensor, f"is_{kind}", is_kind, raising=False)
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        patch.setattr(torch.cuda, "set_device", lambda _: None)
        patch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
        patch.setattr(torch.cuda, "_lazy_init", lambda: None)
        patch.setattr(torch.nn.functional, "dropout", lambda x, p: torch.native_dropout(x, p, True)[0] if p else x)
        patch.setattr(torch.backends.cudnn, "is_acceptable", lambda _: False)
        for cache in caches:
            cache.cache_clear()
        try:
            with FakeCuda() as mode:
                yield mode
        finally:
            for cache in caches:
                cache.cache_clear()
