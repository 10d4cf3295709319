"""One run of the staging smoke, as CI starts it."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from cadml.config import PREFIX

SCRIPT = Path("scripts", "ci", "docker_staging_smoke.sh")


class Run:
    """One smoke of a checkout: what it said, and what it left."""

    def __init__(self, checkout: Path, folder: Path, **settings: str) -> None:
        self.artifacts = folder / "artifacts"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        ours = {
            "SMOKE_TARGET": "process",
            "SKIP_BUILD": "1",
            "PATIENCE": "120",
            "TMPDIR": str(self.temporary),
        }
        self.port = int(settings.setdefault("API_PORT", str(free_port())))
        ran = subprocess.run(
            ["bash", str(checkout / SCRIPT)],
            env=inherited | ours | {"ARTIFACT_DIR": str(self.artifacts)} | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        self.code, self.out, self.err = ran.returncode, ran.stdout, ran.stderr

    def assert_clean(self) -> None:
        """Nothing runs and nothing lies about any more."""
        assert list(self.temporary.iterdir()) == []
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", self.port)) != 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
