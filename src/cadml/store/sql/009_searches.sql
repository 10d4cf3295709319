-- How many entries pass a filter decides how a search goes: it is estimated from a larger sample. An
-- index that is built from now on has more links (store/near.py); one that is there stays as it was built.
DO $$
DECLARE
    version text;
    near text;
BEGIN
    FOR version IN SELECT name FROM feature_versions LOOP
        near := 'near_' || version;
        EXECUTE format('ALTER TABLE %I ALTER tags SET STATISTICS 1000', near);
        EXECUTE format('ANALYZE %I', near);
        EXECUTE format('ALTER INDEX IF EXISTS %I SET (m = 32, ef_construction = 200)', near || '_hnsw');
    END LOOP;
END
$$;
