"""The page that explains the interface, as a browser without a way outside shows it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from served import need_program


@pytest.mark.timeout(200)
def test_the_docs_page_renders_without_a_network(client: Any, tmp_path: Path) -> None:
    chromium = need_program("chromium")
    shown = subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={tmp_path}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--virtual-time-budget=20000",
            "--dump-dom",
            f"{client.base_url}/docs",
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    ).stdout
    assert 'id="operations-' in shown  # Swagger UI's own mark-up: the schema was loaded and drawn
    assert "/api/v1/search" in shown


def test_the_docs_page_names_no_other_host(client: Any) -> None:
    page = client.get("/docs").text
    assert "//" not in page.replace("<!-- ", "").replace(str(client.base_url), "")
