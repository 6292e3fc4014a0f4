-- giro.expire_holds: releases holds whose time is over, the longest overdue first, in the caller's
-- transaction; how many it released. Less than max_items: there were no more, others wait for a locked
-- account, or another call is at it.
-- The servers call it twice a second; a job of the database (pg_cron, say) may do so as well.
--
-- It writes no transfer. The release counts in the version of both accounts, has a seq of its own in
-- giro.expirations, and re-opens what a closing hold had closed. Accounts are locked in the order of
-- giro.apply_transfers. One that somebody keeps locked delays its own holds alone: after lock_timeout
-- the call gives up waiting, and takes the holds whose accounts are free.
CREATE OR REPLACE FUNCTION giro.expire_holds(
    shard     int,
    server    text,
    max_items int DEFAULT 1000
)
RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, giro, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_indexscan = on
SET enable_nestloop = on
SET enable_tidscan = on
SET jit = off
SET lock_timeout = '100ms'  -- long for a batch, which an account in constant use is free after
AS $$
#variable_conflict use_variable
DECLARE
    EXPIRING CONSTANT bigint := 1734963813;  -- "gire": one call at a time
    -- Flags of holds, and of accounts.
    CLOSING_DEBIT  CONSTANT int := 64;
    CLOSING_CREDIT CONSTANT int := 128;
    HISTORY CONSTANT int := 8;
    CLOSED  CONSTANT int := 32;
    due_at      timestamptz;  -- in a variable: the index cannot be asked for a volatile function
    due_ledgers int[];
    due_ids     uuid[];
    batch_id    bigint;
    now_at      timestamptz;
    n_released  int;
    -- What is released, by place in the order of this call.
    ledgers     int[];
    ids         uuid[];
    debits      uuid[];
    credits     uuid[];
    amounts     numeric[];
    hold_flags  int[];
BEGIN
    IF max_items NOT BETWEEN 1 AND 65535 THEN
        RAISE EXCEPTION 'max_items is %, not from 1 to 65535', max_items
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT pg_try_advisory_xact_lock(EXPIRING) THEN
        RETURN 0;
    END IF;
    due_at := clock_timestamp();
    SELECT array_agg(o.ledger), array_agg(o.id)
      INTO due_ledgers, due_ids
      FROM (SELECT ledger, id FROM giro.open_holds
             WHERE expires_at <= due_at ORDER BY expires_at LIMIT max_items) AS o;
    IF due_ids IS NULL THEN
        RETURN 0;
    END IF;

    BEGIN
        -- Lock both accounts of each, all in ascending order.
        SELECT max(a.changed_at)
          INTO now_at
          FROM (SELECT DISTINCT side.ledger, side.id
                  FROM unnest(due_ledgers, due_ids) AS u (ledger, id)
                  JOIN LATERAL (SELECT k.* FROM giro.decisions k
                                 WHERE k.ledger = u.ledger AND k.id = u.id OFFSET 0) AS k ON true
                 CROSS JOIN LATERAL (VALUES (k.ledger, k.debit_account),
                                            (k.ledger, k.credit_account)) AS side (ledger, id)
                 ORDER BY side.ledger, side.id) AS d
          JOIN LATERAL (SELECT s.changed_at FROM giro.account_state s
                         WHERE s.ledger = d.ledger AND s.id = d.id
                           FOR NO KEY UPDATE) AS a ON true;
    EXCEPTION WHEN lock_not_available THEN
        -- None is locked now. What does not wait needs no order.
        SELECT array_agg(h.ledger), array_agg(h.id), max(h.changed_at)
          INTO due_ledgers, due_ids, now_at
          FROM (SELECT o.ledger, o.id, greatest(d.changed_at, c.changed_at) AS changed_at
                  FROM giro.open_holds o
                  JOIN LATERAL (SELECT k.* FROM giro.decisions k
                                 WHERE k.ledger = o.ledger AND k.id = o.id OFFSET 0) AS k ON true
                  JOIN giro.account_state d ON d.ledger = k.ledger AND d.id = k.debit_account
                  JOIN giro.account_state c ON c.ledger = k.ledger AND c.id = k.credit_account
                 WHERE o.expires_at <= due_at
                 ORDER BY o.expires_at LIMIT max_items
                   FOR NO KEY UPDATE OF d, c SKIP LOCKED) AS h;
        IF due_ids IS NULL THEN
            RETURN 0;
        END IF;
    END;
    batch_id := giro.enter_batch();
    -- Not before they were found to be due, though the clock were set back meanwhile: whoever comes next
    -- judges by the moment that is left on the accounts.
    now_at := greatest(clock_timestamp(), now_at, due_at);

    -- What was resolved meanwhile is no longer there.
    WITH released AS (
        DELETE FROM giro.open_holds o
         USING unnest(due_ledgers, due_ids) AS u (ledger, id)
         CROSS JOIN LATERAL (SELECT w.ctid AS row_tid FROM giro.open_holds w
                              WHERE w.ledger = u.ledger AND w.id = u.id OFFSET 0) AS w
         WHERE o.ctid = w.row_tid
        RETURNING o.ledger, o.id)
    SELECT count(*), array_agg(k.ledger), array_agg(k.id), array_agg(k.debit_account),
           array_agg(k.credit_account), array_agg(k.amount), array_agg(k.flags)
      INTO n_released, ledgers, ids, debits, credits, amounts, hold_flags
      FROM released r
      JOIN LATERAL (SELECT k.* FROM giro.decisions k
                     WHERE k.ledger = r.ledger AND k.id = r.id OFFSET 0) AS k ON true;

    INSERT INTO giro.expirations (ledger, id, seq, created_at)
    SELECT u.ledger, u.id, batch_id * 65536 + u.place, now_at
      FROM unnest(ledgers, ids) WITH ORDINALITY AS u (ledger, id, place)
     ORDER BY u.ledger, u.id;
    WITH movement AS (
        SELECT u.place, u.ledger, side.account, side.debit, side.credit, side.reopens
          FROM unnest(ledgers, debits, credits, amounts, hold_flags) WITH ORDINALITY
               AS u (ledger, debit, credit, amount, flags, place)
         CROSS JOIN LATERAL (VALUES (u.debit, u.amount, 0, u.flags & CLOSING_DEBIT <> 0),
                                    (u.credit, 0, u.amount, u.flags & CLOSING_CREDIT <> 0))
               AS side (account, debit, credit, reopens)),
    total AS (
        SELECT m.ledger, m.account, sum(m.debit) AS debit, sum(m.credit) AS credit,
               count(*) AS movements, bool_or(m.reopens) AS reopens
          FROM movement m GROUP BY m.ledger, m.account),
    changed AS (
        UPDATE giro.account_state s
           SET debits_pending = s.debits_pending - t.debit,
               credits_pending = s.credits_pending - t.credit,
               flags = CASE WHEN t.reopens THEN s.flags & ~CLOSED ELSE s.flags END,
               version = s.version + t.movements, changed_at = now_at
          FROM total t
         CROSS JOIN LATERAL (SELECT a.ctid AS row_tid FROM giro.account_state a
                              WHERE a.ledger = t.ledger AND a.id = t.account OFFSET 0) AS a
         WHERE s.ctid = a.row_tid
        RETURNING s.*)
    -- The balances after each: those after the last, with what came later put back.
    INSERT INTO giro.account_balances (ledger, account, seq, version, debits_pending, debits_posted,
                                       credits_pending, credits_posted, created_at)
    SELECT c.ledger, c.id, batch_id * 65536 + m.place,
           c.version - count(*) OVER later,
           c.debits_pending + coalesce(sum(m.debit) OVER later, 0), c.debits_posted,
           c.credits_pending + coalesce(sum(m.credit) OVER later, 0), c.credits_posted, now_at
      FROM changed c
      JOIN movement m ON m.ledger = c.ledger AND m.account = c.id
     WHERE c.flags & HISTORY <> 0
    WINDOW later AS (PARTITION BY m.ledger, m.account ORDER BY m.place
                     ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING);

    INSERT INTO giro.batches (shard, id, kind, items, applied, rejected, replayed, server,
                              created_at)
    VALUES (shard, batch_id, 'expirations', cardinality(due_ids), n_released, 0, 0, server, now_at);
    RETURN n_released;
END
$$;
