"""How often stored vectors were asked for; the most used are what a fresh cache should hold."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from cadml.store.contents import Floats, raw_values
from cadml.store.database import Database

Use = tuple[str, str, str, int]  # SHA-256, feature version, reader build, how often

FORGOTTEN_AFTER = "60 days"  # without any use


class CacheUse:
    """Uses by content, version and build, of all processes together; a use counts half after a week."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, uses: Sequence[Use]) -> None:
        """Add to the counts; uses of content that is gone are forgotten."""
        hashes, versions, builds, counts = zip(*uses, strict=True) if uses else ((), (), (), ())
        with self._database.connection() as connection:
            connection.execute(
                # In one order and with the contents held, so that two writers, or a deletion, only wait.
                "INSERT INTO cache_use (sha256, version, build, uses)"
                " SELECT c.sha256, g.version, g.build, g.uses FROM"
                " unnest(%(hashes)s::bytea[], %(versions)s::text[], %(builds)s::text[], %(counts)s::float8[])"
                " AS g (sha256, version, build, uses) JOIN contents c ON c.sha256 = g.sha256"
                " ORDER BY c.sha256, g.version, g.build FOR KEY SHARE OF c"
                " ON CONFLICT (sha256, version, build)"
                " DO UPDATE SET uses = halved(cache_use.uses, cache_use.at) + excluded.uses, at = now()",
                {
                    "hashes": [bytes.fromhex(sha256) for sha256 in hashes],
                    "versions": list(versions),
                    "builds": list(builds),
                    "counts": list(counts),
                },
            )
            connection.execute("DELETE FROM cache_use WHERE at < now() - %s::interval", (FORGOTTEN_AFTER,))

    def most_used(self, limit: int) -> Generator[tuple[str, str, Floats]]:
        """Yield SHA-256, version and raw vector ``(N,)`` of what was used most, the most used first.

        What people ask for does not change with the reader's build, so the builds' uses are added up.
        """
        with self._database.connection() as connection, connection.cursor("most_used") as cursor:
            cursor.itersize = 500
            cursor.execute(
                "SELECT encode(u.sha256, 'hex'), u.version, v.raw FROM"
                " (SELECT sha256, version, sum(halved(uses, at)) AS total FROM cache_use"
                " GROUP BY sha256, version ORDER BY total DESC, sha256, version LIMIT %(limit)s) u"
                " JOIN contents c ON c.sha256 = u.sha256"
                " JOIN vectors v ON v.content = c.key AND v.version = u.version"
                " ORDER BY u.total DESC, u.sha256, u.version",
                {"limit": limit},
                binary=True,
            )
            for sha256, version, raw in cursor:
                yield sha256, version, raw_values(raw)
