"""A worker process for the tests of the queue: ``python ingest_worker.py URL FOLDER SECONDS_PER_ITEM``."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from store_words import VERSIONS, new_content

from cadml.jobs.ingests import Ingests
from cadml.jobs.queue import Queue
from cadml.store.database import Database
from cadml.store.ingest import IngestItem
from cadml.store.parts import NewEntry, Parts


def main(url: str, folder: str, seconds: str) -> None:
    database = Database.open(None if url == "embedded" else url, Path(folder), versions=VERSIONS)
    parts = Parts(database)

    def work(item: IngestItem) -> None:
        time.sleep(float(seconds))
        entry = NewEntry(item.name, item.part_number, item.metadata)
        parts.add(new_content(item.name), entry, item=(item.job_id, item.seq))

    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    sys.stdout.write("working\n")
    sys.stdout.flush()
    queue = Queue(database)
    Ingests(database, queue, work)
    queue.run_worker(2, stop)
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
