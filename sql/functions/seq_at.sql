-- giro.seq_at: the smallest seq of a transfer of the account, or of the whole ledger when account is
-- NULL, that was made at `at` or later; the largest bigint when there is none. It turns a range of
-- times into a range of seq, which an index gives in order.
--
-- A binary search, one index lookup a step: created_at never falls along the history of an account.
-- Along a ledger it may, by what lies between batches that ran at once; and by any time where old
-- transfers were imported after new ones were made, or where the clock was set back. Of an account it
-- finds an anchor (giro.account_transfers), and walks from there.
CREATE OR REPLACE FUNCTION giro.seq_at(ledger int, account uuid, at timestamptz)
RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, giro, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_sort = off
SET enable_material = off
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    NONE     CONSTANT bigint := 9223372036854775807;
    answer   bigint := NONE;
    start    uuid;         -- the transfer that has the seq of the answer
    low      bigint := 0;  -- what has a smaller seq was made before `at`
    high     bigint;       -- what has this seq or a greater one was not
    middle   bigint;
    found    record;
BEGIN
    SELECT (s.last_value + 1) * 65536 INTO high FROM giro.batch_id s;
    WHILE low < high LOOP
        middle := low + (high - low) / 2;
        IF account IS NULL THEN
            SELECT d.seq, d.id, d.created_at INTO found
              FROM giro.decisions d
             WHERE d.ledger = ledger AND d.seq >= middle AND d.seq < high AND d.seq > 0
               AND d.reason IS NULL
             ORDER BY d.seq LIMIT 1;
        ELSE
            SELECT anchor.seq, anchor.id, anchor.created_at INTO found
              FROM ((SELECT d.seq, d.id, d.created_at
                       FROM giro.decisions d
                      WHERE d.ledger = ledger AND d.debit_account = account AND d.reason IS NULL
                        AND hashint8(d.seq) & 63 = 0 AND d.seq >= middle AND d.seq < high
                      ORDER BY d.seq LIMIT 1)
                    UNION ALL
                    (SELECT d.seq, d.id, d.created_at
                       FROM giro.decisions d
                      WHERE d.ledger = ledger AND d.credit_account = account AND d.reason IS NULL
                        AND hashint8(d.seq) & 63 = 0 AND d.seq >= middle AND d.seq < high
                      ORDER BY d.seq LIMIT 1)) AS anchor
             ORDER BY anchor.seq LIMIT 1;
        END IF;
        IF found.seq IS NULL THEN
            high := middle;
        ELSIF found.created_at < at THEN
            low := found.seq + 1;
        ELSE
            answer := found.seq;
            start := found.id;
            high := middle;
        END IF;
    END LOOP;
    IF account IS NULL THEN
        RETURN answer;
    END IF;
    -- Back to the first one that was not made before.
    WITH RECURSIVE walk (seq, created_at, previous) AS (
        SELECT NONE, at, coalesce(start, (SELECT s.last_transfer FROM giro.account_state s
                                           WHERE s.ledger = ledger AND s.id = account))
        UNION ALL
        SELECT d.seq, d.created_at, d.previous
          FROM walk w
         CROSS JOIN LATERAL (
               SELECT d.seq, d.created_at, CASE WHEN d.debit_account = account THEN d.debit_previous
                                                ELSE d.credit_previous END AS previous
                 FROM giro.decisions d
                WHERE d.ledger = ledger AND d.id = w.previous OFFSET 0) AS d
         WHERE w.created_at >= at)
    SELECT min(w.seq) INTO answer FROM walk w WHERE w.created_at >= at;
    RETURN answer;
END
$$;
