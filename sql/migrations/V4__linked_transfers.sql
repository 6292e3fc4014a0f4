-- The transfers of an account as a list: each names the one before it on either account, and the account
-- names its last. Two indexes that were entered at a random place for every transfer become two that
-- every 64th transfer enters, so that a listing can begin anywhere.

ALTER TABLE giro.decisions
    ADD COLUMN debit_previous uuid,
    ADD COLUMN credit_previous uuid;
ALTER TABLE giro.account_state
    ADD COLUMN last_transfer uuid,
    -- What the last UPDATE found, for the function that corrects what it had foreseen.
    ADD COLUMN last_transfer_before uuid,
    ADD COLUMN changed_at_before timestamptz;

-- Links for what there is already, once the wide indexes cannot take every row again.
DROP INDEX giro.decisions_debits, giro.decisions_credits;
ALTER TABLE giro.decisions DISABLE TRIGGER append_only_rows;
WITH side AS (
    SELECT ledger, id, seq, debit_account AS account, true AS debits
      FROM giro.decisions WHERE reason IS NULL
    UNION ALL
    SELECT ledger, id, seq, credit_account, false
      FROM giro.decisions WHERE reason IS NULL),
linked AS MATERIALIZED (
    SELECT ledger, id, account, debits, lag(id) OVER list AS previous,
           lead(id) OVER list IS NULL AS is_last
      FROM side
    WINDOW list AS (PARTITION BY ledger, account ORDER BY seq)),
ended AS (
    UPDATE giro.account_state s
       SET last_transfer = l.id
      FROM linked l
     WHERE l.is_last AND s.ledger = l.ledger AND s.id = l.account),
both_sides AS (
    SELECT ledger, id, (array_agg(previous) FILTER (WHERE debits))[1] AS debit_previous,
           (array_agg(previous) FILTER (WHERE NOT debits))[1] AS credit_previous
      FROM linked GROUP BY ledger, id)
UPDATE giro.decisions d
   SET debit_previous = b.debit_previous, credit_previous = b.credit_previous
  FROM both_sides b
 WHERE d.ledger = b.ledger AND d.id = b.id
   AND (b.debit_previous IS NOT NULL OR b.credit_previous IS NOT NULL);
ALTER TABLE giro.decisions ENABLE ALWAYS TRIGGER append_only_rows;

-- A coin that is heads once in 64 times, thrown by the seq (W. Pugh, Skip lists, 1990).
CREATE INDEX decisions_debits ON giro.decisions (ledger, debit_account, seq)
    WHERE reason IS NULL AND debit_account IS NOT NULL AND hashint8(seq) & 63 = 0;
CREATE INDEX decisions_credits ON giro.decisions (ledger, credit_account, seq)
    WHERE reason IS NULL AND credit_account IS NOT NULL AND hashint8(seq) & 63 = 0;
