-- What the contenders without Giro use, beside pgbench's own tables.

-- TPC-B in one round trip.
CREATE FUNCTION tpcb(p_aid int, p_bid int, p_tid int, p_delta int) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    balance int;
BEGIN
    UPDATE pgbench_accounts SET abalance = abalance + p_delta WHERE aid = p_aid
        RETURNING abalance INTO balance;
    UPDATE pgbench_tellers SET tbalance = tbalance + p_delta WHERE tid = p_tid;
    UPDATE pgbench_branches SET bbalance = bbalance + p_delta WHERE bid = p_bid;
    INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)
    VALUES (p_tid, p_bid, p_aid, p_delta, CURRENT_TIMESTAMP);
    RETURN balance;
END
$$;

-- Many of them at once: every row is updated once, in the order of the keys, and each position gets the
-- balance that it would have found alone.
CREATE FUNCTION tpcb_arrays(p_aids int[], p_bids int[], p_tids int[], p_deltas int[]) RETURNS int[]
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    before   int[];
    balances int[];
BEGIN
    WITH sums AS (
        SELECT aid, sum(delta) AS delta FROM unnest(p_aids, p_deltas) AS t (aid, delta)
         GROUP BY aid ORDER BY aid
    ), updated AS (
        UPDATE pgbench_accounts a SET abalance = a.abalance + s.delta FROM sums s WHERE a.aid = s.aid
        RETURNING a.aid, a.abalance - s.delta AS abalance
    )
    SELECT array_agg(abalance ORDER BY aid) INTO before FROM updated;
    UPDATE pgbench_tellers t SET tbalance = t.tbalance + s.delta
      FROM (SELECT tid, sum(delta) AS delta FROM unnest(p_tids, p_deltas) AS t (tid, delta)
             GROUP BY tid ORDER BY tid) s
     WHERE t.tid = s.tid;
    UPDATE pgbench_branches b SET bbalance = b.bbalance + s.delta
      FROM (SELECT bid, sum(delta) AS delta FROM unnest(p_bids, p_deltas) AS t (bid, delta)
             GROUP BY bid ORDER BY bid) s
     WHERE b.bid = s.bid;
    INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)
    SELECT tid, bid, aid, delta, CURRENT_TIMESTAMP
      FROM unnest(p_tids, p_bids, p_aids, p_deltas) AS t (tid, bid, aid, delta);
    SELECT array_agg(before[slot] + running ORDER BY position) INTO balances
      FROM (SELECT position, dense_rank() OVER (ORDER BY aid) AS slot,
                   sum(delta) OVER (PARTITION BY aid ORDER BY position)::int AS running
              FROM unnest(p_aids, p_deltas) WITH ORDINALITY AS t (aid, delta, position)) s;
    RETURN balances;
END
$$;

-- Transfers as an application without Giro keeps them, each account's to be listed in order.
CREATE TABLE app_accounts (
    id      bigint PRIMARY KEY,
    balance bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE app_transfers (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    debit      bigint      NOT NULL,
    credit     bigint      NOT NULL,
    amount     bigint      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX app_transfers_debit ON app_transfers (debit, id);
CREATE INDEX app_transfers_credit ON app_transfers (credit, id);
