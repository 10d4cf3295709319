-- Content (what bytes say) apart from library entries (what people call them).

CREATE TABLE contents (
    key      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256   bytea UNIQUE CHECK (length(sha256) = 32),  -- NULL: a vector described elsewhere, without a file
    bytes    bigint,
    format   text,
    kind     text,
    facts    jsonb NOT NULL DEFAULT '{}',
    findings jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (sha256 IS NULL OR (bytes IS NOT NULL AND format IS NOT NULL AND kind IS NOT NULL))
);

-- One row per library entry. tags = facts of the content and metadata of the entry in one object,
-- so that every filter is a condition on this one table.
CREATE TABLE parts (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text NOT NULL UNIQUE DEFAULT gen_random_uuid()::text,
    content     bigint NOT NULL REFERENCES contents,
    has_file    boolean NOT NULL,
    name        text NOT NULL,
    part_number text,
    metadata    jsonb NOT NULL DEFAULT '{}',
    tags        jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
-- The same bytes under the same number (or, without one, the same name) are the same entry.
CREATE UNIQUE INDEX parts_identity ON parts (content, (part_number IS NOT NULL), coalesce(part_number, name));
CREATE INDEX parts_name ON parts (name, seq);
CREATE INDEX parts_tags ON parts USING gin (tags jsonb_path_ops) WITH (fastupdate = off);
-- Facts that people filter by range and sort by.
CREATE INDEX parts_width ON parts ((tags -> 'width'), seq);
CREATE INDEX parts_height ON parts ((tags -> 'height'), seq);
CREATE INDEX parts_depth ON parts ((tags -> 'depth'), seq);
CREATE INDEX parts_diagonal ON parts ((tags -> 'diagonal'), seq);
CREATE INDEX parts_area ON parts ((tags -> 'area'), seq);
CREATE INDEX parts_volume ON parts ((tags -> 'volume'), seq);
CREATE INDEX parts_solids ON parts ((tags -> 'solids'), seq);
CREATE INDEX parts_faces ON parts ((tags -> 'faces'), seq);
CREATE INDEX parts_triangles ON parts ((tags -> 'triangles'), seq);
CREATE INDEX parts_entities ON parts ((tags -> 'entities'), seq);
CREATE INDEX parts_part_number ON parts ((tags -> 'part_number'), seq);
CREATE INDEX parts_updated_at ON parts (updated_at, seq);

-- What filters look at. Indexed facts are always there, null where the part has none, so that
-- sorting by one of them drops nobody.
CREATE FUNCTION part_tags(facts jsonb, metadata jsonb, name text, part_number text) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT '{"width": null, "height": null, "depth": null, "diagonal": null, "area": null, "volume": null, "solids": null, "faces": null, "triangles": null, "entities": null}'
        || facts || metadata || jsonb_build_object('name', name, 'part_number', part_number)
$$;

-- The exact values as computed. What is compared lies in the tables near_<version>, derived from it
-- (store/near.py).
CREATE TABLE vectors (
    content bigint NOT NULL REFERENCES contents ON DELETE CASCADE,
    version text NOT NULL,
    raw     vector NOT NULL,
    PRIMARY KEY (content, version)
);
ALTER TABLE vectors ALTER COLUMN raw SET STORAGE EXTERNAL;  -- floats do not compress
CREATE INDEX vectors_version ON vectors (version);

-- Copies a sampled row of near_<version> to near_<version>_guide (store/near.py).
CREATE FUNCTION keep_guide() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %I (seq, scaled) VALUES ($1, $2)', TG_TABLE_NAME || '_guide') USING NEW.seq, NEW.scaled;
    RETURN NULL;
END
$$;

-- Contents that killed a reader; two such failures put them in quarantine.
CREATE TABLE reader_failures (
    sha256  bytea NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    reason  text NOT NULL
);
CREATE INDEX reader_failures_sha256 ON reader_failures (sha256);

CREATE TABLE ingest_jobs (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now(),
    cancelled  boolean NOT NULL DEFAULT false
);

CREATE TABLE ingest_items (
    job      uuid NOT NULL REFERENCES ingest_jobs ON DELETE CASCADE,
    seq      integer NOT NULL,
    sha256   bytea NOT NULL,  -- of the blob source/<sha256>
    name     text NOT NULL,
    part_number text,
    metadata jsonb NOT NULL DEFAULT '{}',
    state    text NOT NULL DEFAULT 'queued'
             CHECK (state IN ('queued', 'running', 'added', 'known', 'failed', 'cancelled')),
    attempts integer NOT NULL DEFAULT 0,
    part     text,  -- id of the entry it became; kept when the entry is deleted later
    code     text,
    message  text,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job, seq)
);
CREATE INDEX ingest_items_state ON ingest_items (state) WHERE state IN ('queued', 'running', 'failed');

-- The recipes whose vectors lie here; a table near_<name> belongs to each.
CREATE TABLE feature_versions (
    name   text PRIMARY KEY,
    length integer NOT NULL,
    metric text NOT NULL,
    recipe bytea NOT NULL,  -- checksum of metric and scaling: a released version never changes
    created_at timestamptz NOT NULL DEFAULT now()
);
