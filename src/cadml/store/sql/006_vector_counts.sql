-- How many vectors of each version are stored: the sum of what was added and removed.
-- Counting the table itself takes longer the more there is, and a scrape asks every few seconds.
-- Each statement notes its own change in a row of its own, so that writers never wait for each other;
-- whoever reads many rows adds them up to one for each version.
CREATE TABLE vector_counts (
    version text NOT NULL,
    change  bigint NOT NULL
);

CREATE FUNCTION note_vectors_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO vector_counts SELECT version, count(*) FROM changed GROUP BY version;
    RETURN NULL;
END $$;

CREATE FUNCTION note_vectors_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO vector_counts SELECT version, -count(*) FROM changed GROUP BY version;
    RETURN NULL;
END $$;

CREATE FUNCTION note_vectors_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM vector_counts;
    RETURN NULL;
END $$;

LOCK TABLE vectors IN SHARE ROW EXCLUSIVE MODE;  -- nobody writes between the count and the triggers
INSERT INTO vector_counts SELECT version, count(*) FROM vectors GROUP BY version;

CREATE TRIGGER vectors_added AFTER INSERT ON vectors
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_vectors_added();
CREATE TRIGGER vectors_removed AFTER DELETE ON vectors
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_vectors_removed();
CREATE TRIGGER vectors_emptied AFTER TRUNCATE ON vectors
    FOR EACH STATEMENT EXECUTE FUNCTION note_vectors_emptied();
