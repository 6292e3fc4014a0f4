-- giro.account_transfers: the transfers of an account with seq_from <= seq < seq_until, in the order of
-- seq or against it, max_items of them at most. Nothing when an argument is NULL.
--
-- They are a list: each names the one before it, and the account its last. Some are anchors, about one in
-- 64, which an index finds by seq. A walk begins at the anchor behind where it is to be, or at the last
-- transfer; ascending it goes from anchor to anchor, and turns round what lies between two. Beside what it
-- returns it looks at about 64 transfers.
CREATE OR REPLACE FUNCTION giro.account_transfers(
    ledger     int,
    account    uuid,
    seq_from   bigint  DEFAULT 0,
    seq_until  bigint  DEFAULT 9223372036854775807,
    descending boolean DEFAULT true,
    max_items  bigint  DEFAULT 9223372036854775807
)
RETURNS TABLE (seq bigint, id uuid, side text)
LANGUAGE plpgsql STABLE STRICT ROWS 100 SECURITY DEFINER
SET search_path = pg_catalog, giro, pg_temp
-- As in giro.apply_transfers: by index at any table size.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_sort = off
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    remaining bigint := max_items;
    low       bigint := seq_from;  -- ascending, what is before it has been returned
    anchor    record;
    start     uuid;
    n_found   bigint;
BEGIN
    WHILE remaining > 0 AND low < seq_until LOOP
        SELECT a.seq, a.id INTO anchor
          FROM ((SELECT d.seq, d.id
                   FROM giro.decisions d
                  WHERE d.ledger = ledger AND d.debit_account = account AND d.reason IS NULL
                    AND hashint8(d.seq) & 63 = 0
                    AND d.seq >= CASE WHEN descending THEN seq_until ELSE low END
                  ORDER BY d.seq LIMIT 1)
                UNION ALL
                (SELECT d.seq, d.id
                   FROM giro.decisions d
                  WHERE d.ledger = ledger AND d.credit_account = account AND d.reason IS NULL
                    AND hashint8(d.seq) & 63 = 0
                    AND d.seq >= CASE WHEN descending THEN seq_until ELSE low END
                  ORDER BY d.seq LIMIT 1)) AS a
         ORDER BY a.seq LIMIT 1;
        start := coalesce(anchor.id, (SELECT s.last_transfer FROM giro.account_state s
                                       WHERE s.ledger = ledger AND s.id = account));
        -- A row of the walk names the next one; its first names the beginning.
        RETURN QUERY
            WITH RECURSIVE walk (seq, id, credits, previous, place) AS (
                SELECT 9223372036854775807, NULL::uuid, NULL::boolean, start, 0::bigint
                UNION ALL
                SELECT d.seq, d.id, d.credits, d.previous,
                       CASE WHEN d.seq < seq_until THEN w.place + 1 ELSE 0 END
                  FROM walk w
                 CROSS JOIN LATERAL (
                       SELECT d.seq, d.id, d.credit_account = account AS credits,
                              CASE WHEN d.debit_account = account THEN d.debit_previous
                                   ELSE d.credit_previous END AS previous
                         FROM giro.decisions d
                        WHERE d.ledger = ledger AND d.id = w.previous OFFSET 0) AS d
                 WHERE w.seq > low AND (w.place < remaining OR NOT descending))
            SELECT w.seq, w.id, (ARRAY['debit', 'credit'])[1 + w.credits::int]
              FROM walk w
             WHERE w.id IS NOT NULL AND w.seq >= low AND w.seq < seq_until
             ORDER BY CASE WHEN descending THEN -w.seq ELSE w.seq END
             LIMIT remaining;
        GET DIAGNOSTICS n_found = ROW_COUNT;
        remaining := remaining - n_found;
        EXIT WHEN descending OR anchor.id IS NULL;
        low := anchor.seq + 1;
    END LOOP;
END
$$;
