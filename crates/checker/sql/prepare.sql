-- What was told about an id, beside what is stored of it.
--   stored      'applied' or 'rejected'; NULL: nothing
--   same        the content that was sent is the content that is stored
--   may_have_made  this attempt can have brought about what is stored
CREATE UNLOGGED TABLE chaos_check.answered AS
SELECT t.request, t.place, t.id, t.answer, t.reason, t.replayed,
       d.seq, d.reason AS stored_reason,
       CASE WHEN d.id IS NOT NULL THEN CASE WHEN d.reason IS NULL THEN 'applied' ELSE 'rejected' END
       END AS stored,
       t.flags = d.flags
       AND t.pending_id IS NOT DISTINCT FROM d.pending_id
       AND t.timeout = coalesce(d.timeout, 0)
       AND (t.debit IS NULL OR t.debit = d.debit_account)
       AND (t.credit IS NULL OR t.credit = d.credit_account)
       AND CASE WHEN t.amount IS NOT NULL THEN t.amount = d.amount
                ELSE d.reason IS NOT NULL OR d.amount = h.amount END AS same,
       t.answer IN ('unknown', 'none')
       OR t.answer = 'applied' AND d.reason IS NULL
       OR t.answer = 'rejected' AND t.reason = d.reason AS may_have_made
  FROM chaos_check.told t
  LEFT JOIN giro.decisions d ON d.ledger = 1 AND d.id = t.id
  LEFT JOIN giro.decisions h ON h.ledger = 1 AND h.id = t.pending_id
                            AND h.reason IS NULL AND h.flags & 2 <> 0;

-- What the ledger says has moved, by seq: transfers, and holds that expired.
--   pending, posted  what is added to these balances of the debit and of the credit account
CREATE VIEW chaos_check.movement AS
SELECT d.seq, d.id, d.debit_account AS debit, d.credit_account AS credit,
       CASE WHEN d.flags & 2 <> 0 THEN d.amount WHEN d.pending_id IS NULL THEN 0 ELSE -h.amount END
           AS pending,
       CASE WHEN d.flags & (2 | 8) <> 0 THEN 0 ELSE d.amount END AS posted
  FROM giro.decisions d
  LEFT JOIN giro.decisions h ON h.ledger = 1 AND h.id = d.pending_id
                            AND h.reason IS NULL AND h.flags & 2 <> 0
 WHERE d.ledger = 1 AND d.reason IS NULL
UNION ALL
SELECT e.seq, e.id, h.debit_account, h.credit_account, -h.amount, 0
  FROM giro.expirations e
  LEFT JOIN giro.decisions h ON h.ledger = 1 AND h.id = e.id AND h.reason IS NULL AND h.flags & 2 <> 0
 WHERE e.ledger = 1;

-- What the history of balances says has changed: one row for each side of each movement.
--   step  how far the version went
CREATE UNLOGGED TABLE chaos_check.posting AS
SELECT account, seq, version,
       version - coalesce(lag(version) OVER w, 0) AS step,
       debits_pending - coalesce(lag(debits_pending) OVER w, 0) AS debits_pending,
       debits_posted - coalesce(lag(debits_posted) OVER w, 0) AS debits_posted,
       credits_pending - coalesce(lag(credits_pending) OVER w, 0) AS credits_pending,
       credits_posted - coalesce(lag(credits_posted) OVER w, 0) AS credits_posted
  FROM giro.account_balances
 WHERE ledger = 1
WINDOW w AS (PARTITION BY account ORDER BY seq);

ANALYZE chaos_check.opened, chaos_check.told, chaos_check.answered, chaos_check.posting;
