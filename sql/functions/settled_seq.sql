-- giro.settled_seq: every transfer up to this seq that will ever be applied is visible to the next
-- statement; beyond it a batch may still commit. What pages through a ledger in order stops here.
--
-- A batch takes a shared advisory lock named after a lower bound of its number before it draws the
-- number (giro.enter_batch). The sequence is read before the locks are: a batch that drew a number by
-- then either still shows its lock, or has ended and is visible to whatever looks afterwards.
CREATE OR REPLACE FUNCTION giro.settled_seq()
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, giro, pg_temp
AS $$
DECLARE
    drawn     bigint;
    in_flight bigint;
BEGIN
    SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END INTO drawn FROM giro.batch_id s;
    SELECT min((l.classid::bigint << 32 | l.objid::bigint) - giro.batch_lock(0)) INTO in_flight
      FROM pg_locks l
     WHERE l.locktype = 'advisory' AND l.objsubid = 1
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (l.classid::bigint << 32 | l.objid::bigint)
           BETWEEN giro.batch_lock(0) AND giro.batch_lock(140737488355327);
    RETURN least(drawn + 1, in_flight) * 65536 - 1;
END
$$;
