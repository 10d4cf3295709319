"""What a user of cadml does, from an empty folder to look-alikes: `make demo`, `make serve`.

The service is real, on a free loopback port, with an embedded PostgreSQL in a temporary folder;
everything is stopped and removed at the end, whatever happens. With --serve the library is kept
in demo-data/ and the service stays on 127.0.0.1:8000 until Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import trimesh
from rich.console import Console
from rich.table import Table

from cadml.bench import samples
from cadml.bench.service import CADML, Served, served
from cadml.errors import CadmlError
from cadml.geometry.samples import MANIFEST

ROOT = Path(__file__).parents[1]
PORT = 8000
SHOWN = ("kind", "width", "height", "depth", "volume", "area", "faces", "solids")
console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)


class DemoError(Exception):
    """A step did not answer as it should."""


def main() -> int:
    """Return 0 if every step answered as it should."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", default="", help="folder of your own CAD files")
    parser.add_argument("--serve", action="store_true", help="keep the service running")
    arguments = parser.parse_args()
    data = Path(arguments.data).expanduser().resolve() if arguments.data else None
    if data and not data.is_dir():
        print(f"demo: {data} is no folder", file=sys.stderr)
        return 2
    try:
        if arguments.serve:
            serve(data)
        else:
            with tempfile.TemporaryDirectory(prefix="cadml-demo-") as folder:
                demo(Path(folder), data)
    except KeyboardInterrupt:
        console.print("\nstopped")
        return 0 if arguments.serve else 130
    except (CadmlError, DemoError, httpx.HTTPError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def demo(folder: Path, data: Path | None) -> None:
    """Go through everything once."""
    begin = time.monotonic()
    files = data or sample_library(folder / "parts")
    with served(folder / "data", workers=2) as service:
        console.print(f"The service listens on {service.url}, its data is in a temporary folder.")
        with httpx.Client(base_url=service.url, timeout=300) as client:
            ingest(service, files)
            chosen = look_at_the_library(client)
            train_and_classify(client, service, files)
            analyze_a_file(client, files, chosen)
            describe_without_a_database(service, files, chosen)
            find_similar(client, service, chosen)
            narrow_the_search(client, chosen)
            look_at_pictures(client, chosen)
            tune_the_cache(client, service)
            watch(client)
    console.print(
        f"\nAll done in {time.monotonic() - begin:.0f} s; the service is stopped, its data is gone."
    )


def serve(data: Path | None) -> None:
    """Keep a library in demo-data and serve it until Ctrl-C."""
    home = ROOT / "demo-data"
    files = data or sample_library(home / "parts")
    with served(home / "data", workers=2, port=PORT) as service:
        ingest(service, files)
        console.print(f"\ncadml serves this library on [bold]{service.url}[/] (try /docs); Ctrl-C stops it.")
        while True:
            time.sleep(3600)


def sample_library(folder: Path) -> Path:
    """Return ``folder``, filled with parametric sample parts unless it is already."""
    start = time.monotonic()
    title("A library of sample parts")
    if not (folder / MANIFEST).is_file():
        samples(folder)
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]
    kinds = sorted({path.suffix for path in found})
    console.print(f"{len(found)} files ({', '.join(kinds)}) in {time.monotonic() - start:.1f} s.")
    return folder


def ingest(service: Served, files: Path) -> None:
    """Put the folder into the library, twice: the second time adds nothing."""
    title("Ingest the folder; a second time adds nothing")
    labels = ["--labels", str(files / MANIFEST)] if (files / MANIFEST).is_file() else []
    arguments = ["ingest", str(files), "--recursive", *labels]
    for _ in range(2):
        start = time.monotonic()
        report = json.loads(cadml(service, *arguments, "--json"))
        counts = ", ".join(f"{count} {state}" for state, count in report["counts"].items())
        console.print(f"[dim]$ cadml {arguments[0]} {files.name}/ {' '.join(arguments[2:3])}[/]")
        console.print(f"{report['files']} files: {counts}, in {time.monotonic() - start:.1f} s")
    if report["counts"]["added"]:
        raise DemoError("the second ingest added parts")
    for failure in report["failures"][:10]:
        console.print(f"  not added: {failure['name']}: {failure['code']}: {failure['message']}")


def look_at_the_library(client: httpx.Client) -> dict[str, Any]:
    """List the library and return the part that the rest is about."""
    title("The library")
    page = get(client, "/api/v1/parts", sort="name", limit=1000)
    formats: dict[str, int] = {}
    for part in page["parts"]:
        formats[part["format"]] = formats.get(part["format"], 0) + 1
    console.print(f"GET /api/v1/parts → {page['total']} parts: {formats}")
    solid = [part for part in page["parts"] if part["kind"] == "brep"] or page["parts"]
    if not solid:
        raise DemoError("the library is empty")
    chosen: dict[str, Any] = solid[len(solid) // 2]
    console.print(f"Take [bold]{chosen['name']}[/]: {facts(chosen['geometry'])}")
    return chosen


def analyze_a_file(client: httpx.Client, files: Path, chosen: dict[str, Any]) -> None:
    """Send a file without keeping it."""
    title("What is this file, and have we made it before?")
    path = next(path for path in files.rglob("*") if path.name == chosen["name"])
    start = time.monotonic()
    with path.open("rb") as stream:
        answer = client.post(
            "/api/v1/analyze",
            files={"file": (path.name, stream)},
            data={"options": '{"store": false, "similar": 5}'},
        )
    body = checked(answer)
    console.print(
        f"POST /api/v1/analyze {path.name} ({path.stat().st_size} bytes) → {time.monotonic() - start:.2f} s"
    )
    console.print(class_in_words(body["classification"]))
    neighbours(body["similar"])


def train_and_classify(client: httpx.Client, service: Served, files: Path) -> None:
    """Train a classifier from the library's labels, let it serve, and ask for a part that nobody has seen."""
    title("Train a classifier, let it serve, and ask it about a part that is not in the library")
    console.print("[dim]$ cadml train --name demo[/] (the labels are in the library)")
    try:
        report = json.loads(cadml(service, "train", "--name", "demo", "--json"))
    except DemoError as error:
        if files.joinpath(MANIFEST).is_file():
            raise
        console.print(f"not trained: {error}")  # a folder of one's own may have no labels
        return
    scores = report["scores"]
    console.print(
        f"{report['version']}: {scores['estimator']} over {report['feature_version']}, "
        f"{scores['parts']} parts of {len(report['classes'])} classes; held out, families apart: "
        f"accuracy {scores['accuracy']:.0%}, macro-F1 {scores['macro_f1']:.2f}, "
        f"abstains from {scores['abstained']:.0%}"
    )
    if scores["left_out"]:
        console.print(f"not learnt, for want of a second family: {', '.join(scores['left_out'])}")
    cadml(service, "model", "activate", report["version"])
    while get(client, "/api/v1/model")["load_seq"] == 0:  # the service looks once a second
        time.sleep(0.2)
    active = get(client, "/api/v1/model")
    console.print(
        f"[dim]$ cadml model activate {report['version']}[/]; GET /api/v1/model → {active['status']}"
    )
    body = checked(
        client.post(
            "/api/v1/analyze",
            files={"file": ("unseen.stl", unseen_part())},
            data={"options": '{"store": false, "similar": 0}'},
        )
    )
    console.print(
        f"POST /api/v1/analyze of a washer that nobody drew before → {class_in_words(body['classification'])}"
    )


def unseen_part() -> bytes:
    """Return a flat ring of 36 corners, 13 × 24 × 2.5 mm, as STL: its dimensions are in no sample."""
    ring = trimesh.creation.annulus(r_min=6.5, r_max=12, height=2.5, sections=36)
    return bytes(ring.export(file_type="stl"))


def class_in_words(found: dict[str, Any]) -> str:
    """Return the class of a part in one line."""
    if found["confidence"] is None:
        return f"class: none ({found['status']})"
    others = ", ".join(f"{row['label']} {row['probability']:.0%}" for row in found["runner_ups"][:2])
    named = f"{found['label']} ({found['confidence']:.0%})" if found["label"] else "abstained"
    return f"class: {named}; otherwise {others}; by {found['model']}"


def describe_without_a_database(service: Served, files: Path, chosen: dict[str, Any]) -> None:
    """Describe the same file on the command line."""
    title("Describe a file, without any service")
    path = next(path for path in files.rglob("*") if path.name == chosen["name"])
    body = json.loads(cadml(service, "describe", str(path), "--json"))
    console.print(f"[dim]$ cadml describe {path.name}[/]")
    features = body["features"]
    console.print(f"{features['version']}: {features['length']} slots, for instance")
    rows = [
        (slot["name"], f"{slot['value']:.5g}", slot["unit"], slot["meaning"]) for slot in features["slots"]
    ]
    show(("slot", "value", "unit", "meaning"), rows[:: max(1, len(rows) // 6)][:6])


def find_similar(client: httpx.Client, service: Served, chosen: dict[str, Any]) -> None:
    """Ask for look-alikes over HTTP and on the command line; both must agree."""
    title("Parts that look like it, by HTTP and by command line")
    found = get(client, f"/api/v1/parts/{chosen['id']}/similar", k=5)
    neighbours(found)
    told = json.loads(cadml(service, "similar", chosen["id"], "-k", "5", "--json"))
    if [n["id"] for n in told["neighbours"]] != [n["id"] for n in found["neighbours"]]:
        raise DemoError("the command line and the service disagree")
    console.print("[dim]$ cadml similar … -k 5[/]: the same")


def narrow_the_search(client: httpx.Client, chosen: dict[str, Any]) -> None:
    """Search with filters on facts: smaller and lighter, same look."""
    title("The same, but only smaller ones")
    limit = chosen["geometry"]["diagonal"]
    query = {"part_id": chosen["id"], "k": 5, "filters": {"diagonal": {"lt": limit}}}
    console.print(f"POST /api/v1/search filters: diagonal < {limit:.5g} mm")
    neighbours(checked(client.post("/api/v1/search", json=query)))
    library = get(client, "/api/v1/parts", limit=1000)["parts"]
    is_drawing = chosen["kind"] == "drawing"  # drawings have a feature version of their own
    ids = [part["id"] for part in library if (part["kind"] == "drawing") == is_drawing]
    start = time.monotonic()
    batch = checked(client.post("/api/v1/similarity/batch", json={"ids": ids, "k": 3}))
    seconds = time.monotonic() - start
    good = sum(item["status"] == "ok" for item in batch["results"])
    if good < len(ids):
        raise DemoError(f"{len(ids) - good} of {len(ids)} parts have no neighbours")
    console.print(f"POST /api/v1/similarity/batch for {len(ids)} parts → {good} answered, {seconds:.2f} s")


def look_at_pictures(client: httpx.Client, chosen: dict[str, Any]) -> None:
    """Fetch what a browser shows."""
    title("To look at")
    for view in ("thumbnail.png", "preview.glb"):
        answer = client.get(f"/api/v1/parts/{chosen['id']}/{view}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            console.print(f"GET …/{view} → none for a {chosen['kind']}")
            continue
        answer.raise_for_status()
        console.print(f"GET …/{view} → {answer.headers['content-type']}, {len(answer.content)} bytes")


def tune_the_cache(client: httpx.Client, service: Served) -> None:
    """Ask for vectors again and again, and the cache for advice."""
    title("The feature cache, and advice on its size")
    ids = [part["id"] for part in get(client, "/api/v1/parts", limit=1000)["parts"]]
    begin = time.monotonic()
    for number in range(3 * len(ids)):
        vector = f"/api/v1/parts/{ids[number % len(ids)]}/features"
        client.get(vector, params={"version": "v1"}).raise_for_status()
    seconds = time.monotonic() - begin
    held = get(client, "/api/v1/features/cache")
    console.print(
        f"{3 * len(ids)} vectors asked for in {seconds:.1f} s: {held['hits']} hits, {held['misses']} misses, "
        f"{held['size']} of {held['capacity']} entries in {held['bytes'] / 1024:.0f} KiB"
    )
    advice = get(client, "/api/v1/features/cache/tuning")
    console.print(f"GET /features/cache/tuning → {advice['reasoning'][0]}")
    stated = {"hit_rate": 0.32, "capacity": 1200, "ttl": 3600, "window_hours": 6}
    bands = checked(client.post("/api/v1/features/cache/tuning", json=stated))
    console.print(
        f"POST /features/cache/tuning {json.dumps(stated)} → capacity {bands['recommended_capacity']}, "
        f"ttl {bands['recommended_ttl']} s: {bands['reasoning'][0]}"
    )
    applied = json.loads(
        cadml(service, "cache", "apply", "--capacity", "1800", "--url", service.url, "--json")
    )
    back = json.loads(cadml(service, "cache", "rollback", "--url", service.url, "--json"))
    console.print(
        f"[dim]$ cadml cache apply --capacity 1800[/] → {applied['capacity']} entries, "
        f"[dim]cadml cache rollback[/] → {back['capacity']}"
    )


def watch(client: httpx.Client) -> None:
    """See what an operator sees."""
    title("What an operator sees")
    console.print(f"GET /ready → {get(client, '/ready')['status']}")
    console.print(f"GET /health/vectors → {get(client, '/api/v1/health/vectors')['status']}")
    text = client.get("/metrics").raise_for_status().text
    wanted = ("analysis_requests_total", "extraction_workers{", "vector_query_latency_seconds_count")
    for line in text.splitlines():
        if line.startswith(wanted):
            console.print(f"  {line}", markup=False)
    problem = client.get("/api/v1/parts/none").json()
    console.print(f"GET /api/v1/parts/none → {problem['status']} {problem['code']}: {problem['detail']}")


def cadml(service: Served, *arguments: str) -> str:
    """Return what the command prints."""
    run = subprocess.run(
        [*CADML, *arguments],
        env=service.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise DemoError(f"cadml {' '.join(arguments)}: {run.stderr.strip() or run.stdout.strip()}")
    return run.stdout


def get(client: httpx.Client, path: str, **query: Any) -> dict[str, Any]:
    """Return the JSON at ``path``."""
    return checked(client.get(path, params=query))


def checked(answer: httpx.Response) -> dict[str, Any]:
    """Return the body of a good answer."""
    body: dict[str, Any] = answer.json()
    if answer.is_error:
        raise DemoError(f"{answer.request.method} {answer.request.url.path}: {body.get('detail', body)}")
    return body


def title(text: str) -> None:
    """Print a heading."""
    console.print(f"\n[bold]{text}[/]")


def facts(geometry: dict[str, Any]) -> str:
    """Return the main facts in one line."""
    return ", ".join(
        f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}"
        for name in SHOWN
        if (value := geometry.get(name)) is not None
    )


def neighbours(found: dict[str, Any]) -> None:
    """Print neighbours as a table."""
    rows = [
        (f"{n['distance']:.4f}", n["name"], str(n["metadata"].get("label", "")), size(n["facts"]))
        for n in found["neighbours"]
    ]
    show(("distance", "part", "label", "size"), rows)


def size(geometry: dict[str, Any]) -> str:
    """Return the extents and the volume in a few characters."""
    extents = " × ".join(f"{geometry[name]:.4g}" for name in ("width", "height", "depth"))
    volume = geometry.get("volume")
    return f"{extents} mm" + (f", {volume:.4g} mm³" if volume is not None else "")


def show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
