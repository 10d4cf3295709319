"""The process between PostgreSQL and its users: it stops the server when the last user has gone.

Started by :mod:`cadml.store.embedded` as a script of its own (standard library alone, so that it
is small and starts fast). It waits on the users' lock file instead of on any one process: a user
that was killed has lost its lock like one that left, so a server never outlives its users, and
users may come and go in any order.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LOOK_EVERY_S = 0.5


def keep(users: Path, alive_fd: int, command: list[str]) -> None:
    """Run the server's ``command`` until it ends, or end it once nobody holds ``users``.

    ``alive_fd`` is an open, locked file: the server inherits it, so the lock tells everyone,
    for as long as any process of the server lives, that one is running on this folder.
    """
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[alive_fd])  # noqa: S603  # composed by embedded.py
    os.close(alive_fd)
    with users.open("a") as lock:
        while server.poll() is None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(LOOK_EVERY_S)
                continue
            # Held until the server is gone: whoever arrives meanwhile waits, then starts afresh.
            server.send_signal(signal.SIGINT)  # PostgreSQL's fast, orderly stop
            server.wait()


def main() -> None:
    """Detach from the caller, then keep the server named on the command line."""
    users, alive_fd, *command = sys.argv[1:]
    if os.fork():  # the caller waits for this process alone and has no child to remember
        os._exit(0)
    keep(Path(users), int(alive_fd), command)


if __name__ == "__main__":
    main()
