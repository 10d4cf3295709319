"""Remove from this environment whatever the named distribution does not need to run, pip included.

The lock holds what tests need too, so that there is one lock; an image shall not. What is needed is
read from the metadata of what is installed. Run once, when the image is built.
"""

from __future__ import annotations

import re
import shutil
import sys
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement


def name_of(text: str) -> str:
    """Return a distribution's name in its normal form."""
    return re.sub(r"[-_.]+", "-", text).lower()


def needed(root: str) -> set[str]:
    """Return ``root`` and all that it requires, with the extras asked for, on this machine."""
    found: set[tuple[str, str]] = set()
    pending = [(name_of(root), "")]
    while pending:
        name, extra = pending.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        for text in distribution(name).requires or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                pending += [(name_of(wanted.name), each) for each in ("", *wanted.extras)]
    return {name for name, _ in found}


def remove(installed: Distribution) -> None:
    """Delete the files of a distribution and the folders that this leaves empty."""
    folders = set()
    for file in installed.files or ():
        path = Path(str(file.locate()))
        path.unlink(missing_ok=True)
        folders |= {path.parent, path.parent / "__pycache__"}
    for folder in sorted(folders, key=lambda each: -len(each.parts)):
        if folder.name == "__pycache__":
            shutil.rmtree(folder, ignore_errors=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def main() -> None:
    """Prune, and say what is gone."""
    keep = needed(sys.argv[1])
    others = sorted((d for d in distributions() if name_of(d.name) not in keep), key=lambda d: d.name)
    print(f"keeps {len(keep)} distributions; removes {', '.join(each.name for each in others)}")
    for each in others:
        remove(each)


if __name__ == "__main__":
    main()
