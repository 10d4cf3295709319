-- Which feature versions the library keeps: kept ones are described at every ingest and searched,
-- a building one is described but not searched yet. A database from before kept them all.
ALTER TABLE feature_versions ADD COLUMN state text NOT NULL DEFAULT 'kept'
    CHECK (state IN ('absent', 'building', 'kept'));
ALTER TABLE feature_versions ALTER COLUMN state SET DEFAULT 'absent';

-- The version that searches use unless asked otherwise: one row, set by the first start.
CREATE TABLE active_version (
    only_one   boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    version    text NOT NULL REFERENCES feature_versions,
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- Moves of the whole library from one version to another.
CREATE TABLE migrations (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    origin      text NOT NULL REFERENCES feature_versions,
    target      text NOT NULL REFERENCES feature_versions,
    state       text NOT NULL DEFAULT 'planned' CHECK (state IN
                ('planned', 'building', 'checking', 'ready', 'active', 'retired', 'failed', 'cancelled')),
    reason      text,  -- why it failed
    was_kept    boolean NOT NULL,  -- the target, before: then cancelling leaves it
    most_failed double precision NOT NULL,  -- share of the parts
    least_recall double precision NOT NULL,
    checks      jsonb,
    created_at  timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now(),
    activated_at timestamptz,
    is_cleared  boolean NOT NULL DEFAULT true  -- false: vectors of a version that was let go are to be deleted
);
-- Two at once would fight over what is described and searched.
CREATE UNIQUE INDEX migrations_one_open ON migrations ((true))
    WHERE state IN ('planned', 'building', 'checking', 'ready', 'failed');

-- The backfill in pieces: contents by ranges of their keys.
CREATE TABLE migration_chunks (
    migration uuid NOT NULL REFERENCES migrations ON DELETE CASCADE,
    seq       integer NOT NULL,
    first     bigint NOT NULL,
    last      bigint NOT NULL,
    contents  integer NOT NULL,
    attempts  integer NOT NULL DEFAULT 0,
    done_at   timestamptz,
    seconds   double precision,  -- that a worker spent on it
    PRIMARY KEY (migration, seq)
);

CREATE TABLE migration_failures (
    migration uuid NOT NULL REFERENCES migrations ON DELETE CASCADE,
    content   bigint NOT NULL REFERENCES contents ON DELETE CASCADE,
    code      text NOT NULL,
    message   text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (migration, content)
);

-- What happened, as counts: one row per request or chunk and outcome.
CREATE TABLE migration_events (
    at       timestamptz NOT NULL DEFAULT now(),
    origin   text,
    target   text NOT NULL,
    status   text NOT NULL CHECK (status IN
             ('migrated', 'downgraded', 'skipped', 'dry_run', 'not_found', 'error')),
    reason   text,
    items    integer NOT NULL,
    dimension_before integer,
    dimension_after  integer,
    seconds  double precision NOT NULL  -- that a worker spent on them
);
CREATE INDEX migration_events_at ON migration_events (at);
