-- What was described lately, so that a window of it outlives a restart; the newest of each version are kept.
CREATE TABLE drift_observations (
    seq      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT now(),
    version  text NOT NULL,  -- '': the version that searches use has no vector for the part
    raw      vector,
    material text,  -- NULL: not stated
    model    text,  -- NULL: no model was active
    label    text,  -- NULL beside a model: it abstained
    CHECK ((version = '') = (raw IS NULL))
);
ALTER TABLE drift_observations ALTER COLUMN raw SET STORAGE EXTERNAL;
CREATE INDEX drift_observations_version ON drift_observations (version, seq);
CREATE INDEX drift_observations_model ON drift_observations (model, seq) WHERE model IS NOT NULL;

-- Samples of the past. What was replaced stays for a while, so that it can be looked up.
CREATE TABLE drift_baselines (
    subject    text NOT NULL CHECK (subject IN ('material', 'prediction', 'feature')),
    scope      text NOT NULL,  -- model of a prediction, feature version of vectors, '' for materials
    number     integer NOT NULL,
    origin     text NOT NULL,
    created_at timestamptz NOT NULL,  -- of the sample: an imported one brings its age along
    size       integer NOT NULL,
    counts     jsonb,  -- category: how often
    vectors    bytea,  -- float32, little endian, row by row
    PRIMARY KEY (subject, scope, number),
    CHECK ((subject = 'feature') = (vectors IS NOT NULL) AND (counts IS NULL) = (vectors IS NOT NULL))
);

-- Where each comparison stands: observations up to `after` belong to the past.
CREATE TABLE drift_subjects (
    subject text NOT NULL,
    scope   text NOT NULL,
    after   bigint NOT NULL DEFAULT 0,
    active  integer,  -- number of the baseline in force; NULL: the next observations become one
    score   double precision,  -- of the last window judged with it
    PRIMARY KEY (subject, scope),
    FOREIGN KEY (subject, scope, active) REFERENCES drift_baselines (subject, scope, number)
);
