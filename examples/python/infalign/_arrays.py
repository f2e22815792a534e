# SPDX-License-Identifier: Apache-2.0
"""Groups of any lengths, and arrays of other libraries as NumPy arrays over the same memory."""

from __future__ import annotations

from typing import Any, Iterable, Iterator

import numpy as np

__all__ = ["Ragged"]


class Ragged:
    """Groups of any lengths, one after another: group ``g`` is ``values[offsets[g]:offsets[g + 1]]``.

    ``values`` is a one-dimensional contiguous array of float32 or float64, ``offsets`` a one-dimensional array of int64 that begins
    with 0, never decreases, and ends with the number of values. Neither is copied if it is a contiguous NumPy array. Both may be written
    to or replaced: every function looks at them anew.

    >>> r = Ragged(np.array([0.1, 0.2, 0.9]), np.array([0, 2, 3]))
    >>> len(r), r[0]
    (2, array([0.1, 0.2]))
    """

    __slots__ = ("values", "offsets")

    values: np.ndarray
    offsets: np.ndarray

    def __init__(self, values: Any, offsets: Any) -> None:
        values = np.ascontiguousarray(to_numpy(values, "values"))
        offsets = np.ascontiguousarray(to_numpy(offsets, "offsets"))
        if values.dtype not in (np.float32, np.float64):
            raise TypeError(f"Ragged: values is {values.dtype}, must be float32 or float64")
        if offsets.dtype != np.int64:
            raise TypeError(f"Ragged: offsets is {offsets.dtype}, must be int64")
        if values.ndim != 1 or offsets.ndim != 1 or len(offsets) == 0:
            raise ValueError("Ragged: values and offsets must have one dimension, and offsets at least one entry")
        if offsets[0] != 0 or offsets[-1] != len(values):
            raise ValueError(
                f"Ragged: offsets must begin with 0 and end with the number of values, {len(values)};"
                f" they are {offsets[0]} … {offsets[-1]}"
            )
        falls = np.flatnonzero(np.diff(offsets) < 0)
        if len(falls):
            i = int(falls[0]) + 1
            raise ValueError(f"Ragged: offsets[{i}] is {offsets[i]}, less than the offset before it, {offsets[i - 1]}")
        self.values, self.offsets = values, offsets

    @classmethod
    def _over(cls, values: np.ndarray, offsets: np.ndarray) -> Ragged:
        """Without the checks: offsets are those of another one."""
        self = object.__new__(cls)
        self.values, self.offsets = values, offsets
        return self

    @classmethod
    def from_groups(cls, groups: Iterable[Any], dtype: Any = np.float64) -> Ragged:
        """From a sequence of sequences, one a prompt: ``Ragged.from_groups([[0.1, 0.2], [0.9]])``."""
        arrays = [np.asarray(group, dtype) for group in groups]
        offsets = np.zeros(len(arrays) + 1, np.int64)
        np.cumsum([len(a) for a in arrays], out=offsets[1:])
        return cls(np.concatenate(arrays) if arrays else np.empty(0, dtype), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, group: int) -> np.ndarray:
        if not -len(self) <= group < len(self):
            raise IndexError(f"group {group} of {len(self)}")
        group %= len(self)
        return self.values[self.offsets[group] : self.offsets[group + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[g] for g in range(len(self)))

    def __repr__(self) -> str:
        return f"Ragged({len(self)} groups, {len(self.values)} values of {self.values.dtype})"

    @property
    def sizes(self) -> np.ndarray:
        """How many values each group has."""
        return np.diff(self.offsets)

    def __reduce__(self) -> tuple:
        return (Ragged, (self.values, self.offsets))


def equal_offsets(groups: int, size: int) -> np.ndarray:
    return np.arange(groups + 1, dtype=np.int64) * size


def _is_torch(array: Any) -> bool:
    return type(array).__module__.startswith("torch") and hasattr(array, "detach")


def to_numpy(array: Any, name: str) -> np.ndarray:
    """A NumPy array over the memory of `array`."""
    if isinstance(array, np.ndarray):
        if type(array).__module__.startswith("numpy.ma"):
            raise TypeError(f"{name} is a masked array, whose mask is not read: Ragged.from_groups(x.compressed() for x in {name})")
        return array
    if _is_torch(array):
        if array.device.type != "cpu":
            raise ValueError(f"{name} is on {array.device}, must be in the memory of the CPU: .cpu()")
        if array.requires_grad:
            raise ValueError(f"{name} requires a gradient, which is not propagated: .detach()")
        try:
            return array.numpy()
        except TypeError as error:
            raise TypeError(f"{name} is {array.dtype}, must be float32 or float64") from error
    if hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__"):
        kind = int(array.__dlpack_device__()[0])
        if kind != 1:  # kDLCPU
            raise ValueError(f"{name} is on a device (of DLPack's type {kind}), must be in the memory of the CPU")
        return np.from_dlpack(array)
    raise TypeError(f"{name} is a {type(array).__name__}, must be an array: np.asarray(…)")


def like(array: Any, result: np.ndarray) -> Any:
    """`result` as an array of the library that `array` is of, over the same memory."""
    if _is_torch(array):
        import torch

        return torch.from_numpy(result)
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__().from_dlpack(result)
    return result
