"""A stranger's weights → tensors, and nothing else: no code that comes with them runs.

Safetensors hold only numbers. A `.bin` is a pickle, which can run code when it is opened; `torch.load` with
`weights_only=True` builds tensors and plain containers and refuses all else. It is then checked that the tensors are
what the file's size allows, since a view of one number can pass for a terabyte.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from trainer.protocol import JobFailed

Tensors = dict[str, torch.Tensor]

_TIED = 2
"""A matrix may stand in a file once and under two names: embeddings and the layer that reads them out."""
_SLACK_BYTES = 1_000_000


def read_weights(files: Sequence[Path]) -> Tensors:
    """The tensors of all the files of a model.

    Raises:
        JobFailed: kind `refused` for a pickle with more than tensors in it, `corrupt` for a file that is broken.
    """
    tensors: Tensors = {}
    for file in files:
        found = _read_safetensors(file) if file.suffix == ".safetensors" else _read_pickle(file)
        twice = tensors.keys() & found.keys()
        if twice:
            raise _broken(file, f"has {min(twice)!r}, which another file has too")
        tensors |= found
    return tensors


def _read_safetensors(file: Path) -> Tensors:
    try:
        return load_file(file)
    except SafetensorError as error:
        raise _broken(file, "is damaged") from error


def _read_pickle(file: Path) -> Tensors:
    size = file.stat().st_size
    _check_unpacked_size(file, size)
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise JobFailed(
            "refused",
            f"{file.name} holds more than weights: opening it could run a stranger's code. Nothing of it was run.",
            "Look for the same model as safetensors.",
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise _broken(file, "is damaged") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise _broken(file, "is no list of named tensors")
    total = 0
    for name, tensor in found.items():
        if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided or tensor.is_quantized:
            raise _broken(file, f"has {name!r}, which is no plain tensor")
        total += tensor.numel() * tensor.element_size()
    if total > _TIED * size + _SLACK_BYTES:
        raise _broken(file, f"unfolds to {total:,} bytes out of {size:,}")
    # safetensors keeps no two names of the same memory.
    return {name: tensor.detach().clone().contiguous() for name, tensor in found.items()}


def _check_unpacked_size(file: Path, size: int) -> None:
    """PyTorch packs nothing, so a zip that says that it unpacks to more is a trap."""
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        return  # the format before PyTorch 1.6 is no zip
    if unpacked > size + _SLACK_BYTES:
        raise _broken(file, f"unpacks to {unpacked:,} bytes out of {size:,}")


def _broken(file: Path, what: str) -> JobFailed:
    return JobFailed("corrupt", f"{file.name} {what}.", "Fetch it again, or look for the same model as safetensors.")
