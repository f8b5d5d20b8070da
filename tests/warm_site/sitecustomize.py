"""In a bot under test, what would become a trainer has a warm one work for it (tests/warm.py), and ends like it."""

import os
import sys

if sys.orig_argv[1:] == ["-m", "trainer"] and "TEST_WARM_TRAINERS" in os.environ:
    import json
    import signal
    import socket

    with socket.socket(socket.AF_UNIX) as keeper:
        keeper.connect(os.environ["TEST_WARM_TRAINERS"])
        asked = json.dumps({"environment": dict(os.environ), "folder": os.getcwd()})
        socket.send_fds(keeper, [asked.encode()], [0, 1, 2])
        if pid := int(keeper.recv(16) or 0):
            signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            status = int(keeper.recv(16) or 1)
            if status < 0:
                signal.signal(-status, signal.SIG_DFL)
                os.kill(os.getpid(), -status)
            os._exit(status)
