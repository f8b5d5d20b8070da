"""How the trainer ends from outside: SIGTERM, or its parent's death, and never half way through a weight update.

A step of the largest recipe lasts longer than the ten seconds that SIGTERM leaves, and Python runs no signal handler
while torch computes. So the signal is blocked in every thread and awaited in one of its own, which writes the
checkpoint itself: weights change only under the training's lock, and between changes they are a whole step.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable

from safetensors import SafetensorError

from trainer.protocol import Finished
from trainer.stream import Emit

_PARENT_POLL_S = 1.0


class Lifeline:
    """Waits for the end; whoever has something to save while it waits sets `checkpoint`."""

    def __init__(self, emit: Emit, parent_pid: int) -> None:
        self._emit = emit
        self._parent_pid = parent_pid
        self.checkpoint: Callable[[], int] | None = None
        """Writes the state to disk and returns its step; called from the lifeline's thread."""

    def hold(self) -> None:
        """Start waiting. Call it before any other thread starts, since threads inherit what is blocked."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C on the terminal is the bot's to understand
        threading.Thread(target=self._await_sigterm, name="lifeline", daemon=True).start()
        if self._parent_pid:
            threading.Thread(target=self._watch_parent, name="parent-watch", daemon=True).start()

    def _await_sigterm(self) -> None:
        signal.sigwait({signal.SIGTERM})
        code = 1
        try:
            step = self.checkpoint() if self.checkpoint is not None else 0
            self._emit(Finished(reason="checkpointed", step=step))
            code = 0
        except (OSError, SafetensorError):
            traceback.print_exc()  # a full disk: the checkpoint before this one still stands
        finally:
            os._exit(code)

    def _watch_parent(self) -> None:
        _await_death(self._parent_pid)
        os.kill(os.getpid(), signal.SIGTERM)


def _await_death(parent_pid: int) -> None:
    """The kernel tells of it; where it has no such thing, look now and then."""
    if sys.platform == "linux":
        try:
            parent = os.pidfd_open(parent_pid)
        except ProcessLookupError:
            return
        except OSError:
            pass  # older than 5.3
        else:
            select.select([parent], [], [])
            return
    while os.getppid() == parent_pid:
        time.sleep(_PARENT_POLL_S)
