-- How many candidates a search looks at in a version's index (hnsw.ef_search): chosen from measured recall.
ALTER TABLE feature_versions ADD COLUMN breadth integer NOT NULL DEFAULT 100 CHECK (breadth BETWEEN 1 AND 1000);
