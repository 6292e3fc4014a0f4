-- giro.enter_batch: the number of a new batch, drawn in sight of giro.settled_seq until the caller's
-- transaction ends. Call it while the accounts are locked: seq must grow along each one's history.
-- Without a search_path of its own, which costs as much as the rest: its callers have set it.
CREATE OR REPLACE FUNCTION giro.enter_batch()
RETURNS bigint
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(
        giro.batch_lock(s.last_value + s.is_called::int)) FROM giro.batch_id s;
    RETURN nextval('giro.batch_id');
END
$$;
