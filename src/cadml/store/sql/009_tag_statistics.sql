-- How many entries pass a filter decides how a search goes: it is estimated from a larger sample.
DO $$
DECLARE
    version text;
BEGIN
    FOR version IN SELECT name FROM feature_versions LOOP
        EXECUTE format('ALTER TABLE %I ALTER tags SET STATISTICS 1000', 'near_' || version);
        EXECUTE format('ANALYZE %I', 'near_' || version);
    END LOOP;
END
$$;
