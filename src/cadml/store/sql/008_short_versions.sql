-- Short versions are searched as the others are: by tags in their own table, and with a sample to prove
-- the index by (store/near.py). The one that is active gets its index when the library is opened.
DO $$
DECLARE
    version text;
    near text;
    kind text;
BEGIN
    FOR version IN SELECT name FROM feature_versions WHERE to_regclass('near_' || name || '_guide') IS NULL LOOP
        near := 'near_' || version;
        SELECT format_type(atttypid, atttypmod) INTO kind FROM pg_attribute
         WHERE attrelid = near::regclass AND attname = 'scaled';
        EXECUTE format('ALTER TABLE %I ADD COLUMN tags jsonb', near);
        EXECUTE format('UPDATE %I n SET tags = p.tags FROM parts p WHERE p.seq = n.seq', near);
        EXECUTE format('ALTER TABLE %I ALTER tags SET NOT NULL', near);
        EXECUTE format('CREATE INDEX %I ON %I USING gin (tags jsonb_path_ops) WITH (fastupdate = off)',
                       near || '_tags', near);
        EXECUTE format('CREATE TABLE %I (seq bigint PRIMARY KEY REFERENCES %I (seq) ON DELETE CASCADE, scaled %s)',
                       near || '_guide', near, kind);
        EXECUTE format('ALTER TABLE %I ALTER scaled SET STORAGE PLAIN', near || '_guide');
        EXECUTE format('INSERT INTO %I SELECT seq, scaled FROM %I WHERE seq %% greatest(100, seq / 4000) = 0',
                       near || '_guide', near);
        EXECUTE format('CREATE TRIGGER keep_guide AFTER INSERT ON %I FOR EACH ROW'
                       ' WHEN (NEW.seq %% greatest(100, NEW.seq / 4000) = 0) EXECUTE FUNCTION keep_guide()', near);
    END LOOP;
END
$$;
