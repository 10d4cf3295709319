-- How often stored vectors were asked for, so that a fresh process can load the most used first.
CREATE TABLE cache_use (
    sha256  bytea NOT NULL REFERENCES contents (sha256) ON DELETE CASCADE,
    version text NOT NULL,
    build   text NOT NULL,  -- of the reader
    uses    double precision NOT NULL,  -- as of `at`
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sha256, version, build)
);

-- A use counts half after a week.
CREATE FUNCTION halved(uses double precision, at timestamptz) RETURNS double precision
LANGUAGE sql STABLE AS $$
    SELECT uses * power(2::double precision, -extract(epoch FROM now() - at)::double precision / 604800)
$$;
