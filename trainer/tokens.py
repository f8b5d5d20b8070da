"""Tokens come from the environment alone: NAME itself, or the file that NAME_FILE names. No message holds one."""

from __future__ import annotations

import os
import re
from pathlib import Path

from trainer.protocol import JobFailed

NAMES = ("HF_TOKEN", "WANDB_API_KEY")


def read_token(name: str) -> str | None:
    """A token of the environment; None where it has none.

    Raises:
        JobFailed: kind `refused`. What is not printable ASCII is refused here, because it cannot stand in a header, and
            the error that a client raises over a bad header shows it.
    """
    token, file = os.environ.get(name, "").strip(), os.environ.get(f"{name}_FILE", "")
    if not token and file:
        try:
            token = Path(file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise JobFailed(
                "refused",
                f"{name}_FILE names a file that cannot be read as text.",
                "Check its path and its permissions.",
            ) from None
    if token and not re.fullmatch(r"[!-~]+", token):
        raise JobFailed("refused", f"{name} holds something that is no token.", "Copy the token once more, whole.")
    return token or None
