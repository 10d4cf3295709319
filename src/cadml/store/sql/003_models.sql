-- Model files that may serve (each a blob model/<sha256>), and what became of them.

CREATE TABLE models (
    version    text PRIMARY KEY,
    sha256     bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    filename   text NOT NULL,  -- its suffix says the format
    format     text NOT NULL,
    card       jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Hashes that may be loaded. What cadml trained itself is here too.
CREATE TABLE model_trust (
    sha256  bytea PRIMARY KEY CHECK (length(sha256) = 32),
    feature_version text NOT NULL,  -- whose vectors a file without a card takes
    who     text NOT NULL,
    at      timestamptz NOT NULL DEFAULT now()
);

-- One row: the models activated, newest first (the newest and three predecessors), which of them
-- serves (level 0: the newest), and how often one was activated. Whatever changes it counts `change`
-- up, so that every process notices.
CREATE TABLE model_state (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    line    text[] NOT NULL DEFAULT '{}',
    level   smallint NOT NULL DEFAULT 0 CHECK (level BETWEEN 0 AND 3),
    activations bigint NOT NULL DEFAULT 0,
    proven  boolean NOT NULL DEFAULT true,  -- whether the newest has passed its probation
    change  bigint NOT NULL DEFAULT 0
);
INSERT INTO model_state DEFAULT VALUES;

CREATE TABLE model_events (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    what    text NOT NULL CHECK (what IN ('trained', 'trusted', 'refused', 'activated', 'rolled_back', 'fell_back', 'proven')),
    version text,
    sha256  bytea,
    who     text NOT NULL,
    why     text NOT NULL,
    verdict jsonb
);

-- The class of each content by the model that last looked at it.
CREATE TABLE predictions (
    content bigint PRIMARY KEY REFERENCES contents ON DELETE CASCADE,
    model   text NOT NULL REFERENCES models (version),
    label   text,  -- NULL: the model abstained
    probabilities real[] NOT NULL,  -- in the order of the card's classes
    at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX predictions_model ON predictions (model);
