"""Wheels made on the spot, so that tests install with the real pip and no package index."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile


def write_wheel(folder: Path, package: str, version: str, files: Mapping[str, bytes]) -> Path:
    """A pure Python wheel with one package that holds `files`, by the binary distribution format's specification."""
    info = f"{package}-{version}.dist-info"
    content = {f"{package}/{name}": data for name, data in files.items()}
    content[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode()
    content[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in content.items())
    path = folder / f"{package}-{version}-py3-none-any.whl"
    with ZipFile(path, "w") as wheel:
        for name, data in content.items():
            wheel.writestr(name, data)
        wheel.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
