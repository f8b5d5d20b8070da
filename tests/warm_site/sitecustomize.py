"""What would become a trainer, a plain voice or a bot has a warm one work for it (tests/warm.py), and ends like it."""

import os
import sys


def work(door: str, command: list[str]) -> None:
    import json
    import signal
    import socket

    with socket.socket(socket.AF_UNIX) as keeper:
        keeper.connect(door)
        asked = json.dumps({"command": command, "environment": dict(os.environ), "folder": os.getcwd()})
        socket.send_fds(keeper, [asked.encode()], [0, 1, 2])
        pid = int(keeper.recv(16) or 0)
        if not pid:
            os.write(2, b"tests/warm.py: the environment asks for what a warm process was not told in time.\n")
            os._exit(1)
        with open("/proc/self/comm", "w") as name:  # for whoever looks for it (tests/running.py)
            name.write(f"warm {pid}")
        signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        status = int(keeper.recv(16) or 1)
        if status < 0:
            if -status != signal.SIGKILL:
                signal.signal(-status, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
        os._exit(status)


if sys.orig_argv[1:2] == ["-m"] and "TEST_WARM_DOORS" in os.environ:
    from json import loads

    for start, door in loads(os.environ["TEST_WARM_DOORS"]).items():
        if f"{' '.join(sys.orig_argv[2:])} ".startswith(f"{start} "):
            work(door, sys.orig_argv[2:])
