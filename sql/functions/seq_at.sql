-- giro.seq_at: the smallest seq of a transfer of the account, or of the whole ledger when account is
-- NULL, that was made at `at` or later; the largest bigint when there is none. It turns a range of
-- times into a range of seq, which an index gives in order.
--
-- A binary search, one index lookup a step: created_at never falls along the history of an account.
-- Along a ledger it may, by what lies between batches that ran at once; and by any time where old
-- transfers were imported after new ones were made, or where the clock was set back.
CREATE OR REPLACE FUNCTION giro.seq_at(ledger int, account uuid, at timestamptz)
RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, giro, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_material = off
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    answer bigint := 9223372036854775807;
    low    bigint := 0;  -- what has a smaller seq was made before `at`
    high   bigint;       -- what has this seq or a greater one was not
    middle bigint;
    found  record;
BEGIN
    SELECT (s.last_value + 1) * 65536 INTO high FROM giro.batch_id s;
    WHILE low < high LOOP
        middle := low + (high - low) / 2;
        IF account IS NULL THEN
            SELECT d.seq, d.created_at INTO found
              FROM giro.decisions d
             WHERE d.ledger = ledger AND d.seq >= middle AND d.seq < high AND d.seq > 0
               AND d.reason IS NULL
             ORDER BY d.seq LIMIT 1;
        ELSE
            SELECT side.seq, side.created_at INTO found
              FROM ((SELECT d.seq, d.created_at
                       FROM giro.decisions d
                      WHERE d.ledger = ledger AND d.debit_account = account
                        AND d.seq >= middle AND d.seq < high AND d.reason IS NULL
                      ORDER BY d.seq LIMIT 1)
                    UNION ALL
                    (SELECT d.seq, d.created_at
                       FROM giro.decisions d
                      WHERE d.ledger = ledger AND d.credit_account = account
                        AND d.seq >= middle AND d.seq < high AND d.reason IS NULL
                      ORDER BY d.seq LIMIT 1)) AS side
             ORDER BY side.seq LIMIT 1;
        END IF;
        IF found.seq IS NULL THEN
            high := middle;
        ELSIF found.created_at < at THEN
            low := found.seq + 1;
        ELSE
            answer := found.seq;
            high := middle;
        END IF;
    END LOOP;
    RETURN answer;
END
$$;
