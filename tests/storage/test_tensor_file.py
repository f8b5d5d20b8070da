"""Files from strangers: whatever a header claims, the answer is a StorageError and nothing large is allocated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import StorageError
from storage.tensor_file import DTYPE_BYTES, TensorSpec, tensors_of, write_tensors

U8 = {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}


def write_raw(path: Path, header: object, data: bytes = b"", header_bytes: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if header_bytes is None else header_bytes
    path.write_bytes(length.to_bytes(8, "little") + text + data)
    return path


def read(path: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {spec.name: (spec.dtype, spec.shape, data) for spec, data in tensors_of(path)}


HOSTILE: dict[str, tuple[object, bytes]] = {
    "offsets past the end": ({"w": U8 | {"data_offsets": [4, 8]}}, b"abcd"),
    "offsets before the start": ({"w": U8 | {"data_offsets": [-4, 0]}}, b"abcd"),
    "offsets backwards": ({"w": U8 | {"data_offsets": [4, 0]}}, b"abcd"),
    "offsets overlapping": ({"v": U8, "w": U8 | {"data_offsets": [2, 6]}}, b"abcdef"),
    "the same bytes twice": ({"v": U8, "w": U8}, b"abcd"),
    "a hole": ({"v": U8, "w": U8 | {"data_offsets": [8, 12]}}, b"abcdefghijkl"),
    "bytes of no tensor": ({"w": U8}, b"abcdef"),
    "bytes missing": ({"w": U8}, b"ab"),
    "three offsets": ({"w": U8 | {"data_offsets": [0, 4, 4]}}, b"abcd"),
    "offsets that are no numbers": ({"w": U8 | {"data_offsets": ["0", "4"]}}, b"abcd"),
    "a shape of other size": ({"w": U8 | {"shape": [5]}}, b"abcd"),
    "a shape beyond all memory": ({"w": U8 | {"shape": [2**62, 2**62]}}, b"abcd"),
    "a negative shape": ({"w": U8 | {"shape": [-2, -2]}}, b"abcd"),
    "a shape of very many numbers": ({"w": U8 | {"shape": [1] * 100_000}}, b"abcd"),
    "an unknown type": ({"w": U8 | {"dtype": "PICKLE"}}, b"abcd"),
    "no type": ({"w": {"shape": [4], "data_offsets": [0, 4]}}, b"abcd"),
    "a name that leaves the folder": ({"../../etc/passwd": U8}, b"abcd"),
    "a name of another system's folder": ({"a\\b": U8}, b"abcd"),
    "an empty name": ({"": U8}, b"abcd"),
    "a tensor that is a list": ({"w": [1, 2]}, b""),
    "metadata that is no text": ({"__metadata__": {"format": 3}}, b""),
    "a header that is a list": ([], b""),
    "a header that is no JSON": (b"{", b""),
    "a header that is no UTF-8": (b'{"\xff": 1}', b""),
    "absurd nesting": (b"[" * 200_000, b""),
    "nesting in a tensor": (b'{"w":' * 100_000, b""),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_header_is_refused(tmp_path: Path, case: str) -> None:
    header, data = HOSTILE[case]
    with pytest.raises(StorageError, match="not a sound safetensors file"):
        read(write_raw(tmp_path / "w.safetensors", header, data))


@pytest.mark.parametrize("claimed", [3, 1_000, 100_000_001, 2**63, 2**64 - 1])
def test_a_header_of_the_wrong_length_is_refused(tmp_path: Path, claimed: int) -> None:
    with pytest.raises(StorageError, match="not a sound safetensors file"):
        read(write_raw(tmp_path / "w.safetensors", {"w": U8}, b"abcd", header_bytes=claimed))


@pytest.mark.parametrize("content", [b"", b"1234567", b"\0" * 8])
def test_a_stub_of_a_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(StorageError, match="not a sound safetensors file"):
        read(tmp_path / "w.safetensors")


@given(header=st.binary(max_size=200), data=st.binary(max_size=50))
def test_random_bytes_are_refused_or_read(tmp_path_factory: pytest.TempPathFactory, header: bytes, data: bytes) -> None:
    path = write_raw(tmp_path_factory.getbasetemp() / "random.safetensors", header, data)
    try:
        assert all(len(content) <= len(data) for _, _, content in read(path).values())
    except StorageError as refused:
        assert refused.hint


def test_what_the_reference_reads_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    # Every type that we know must be one of the reference's.
    specs = [
        TensorSpec(f"tensor.{dtype}", dtype, (2, 3)) for dtype in sorted(DTYPE_BYTES, key=lambda d: -DTYPE_BYTES[d])
    ]
    data = [bytes(range(spec.size_bytes)) for spec in specs]
    write_tensors(path, specs, data)
    written = {
        name: (each["dtype"], tuple(each["shape"]), bytes(each["data"]))
        for name, each in safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    }
    assert written == {spec.name: (spec.dtype, spec.shape, each) for spec, each in zip(specs, data, strict=True)}
    assert read(path) == written
