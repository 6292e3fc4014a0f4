-- What users read: documented columns, joinable with their own tables. Replaced as a whole; columns
-- are only ever added, at the end.

CREATE OR REPLACE VIEW giro.accounts AS
SELECT s.ledger, s.id, s.code,
       giro.flag_names(s.flags, ARRAY['linked', 'debits_must_not_exceed_credits',
           'credits_must_not_exceed_debits', 'history', 'imported', 'closed']) AS flags,
       s.overdraft_limit, s.debits_pending, s.debits_posted, s.credits_pending, s.credits_posted,
       s.version, t.reference, t.metadata, s.created_at, s.changed_at, s.flags AS flag_bits,
       s.last_transfer
  FROM giro.account_state s
  JOIN giro.account_details t USING (ledger, id);

CREATE OR REPLACE VIEW giro.balances AS
SELECT ledger, id AS account, code, version,
       credits_posted - debits_posted AS posted,
       credits_posted - debits_posted - debits_pending AS available,
       debits_pending, debits_posted, credits_pending, credits_posted, changed_at
  FROM giro.account_state;

CREATE OR REPLACE VIEW giro.transfers AS
SELECT d.ledger, d.id, d.seq, d.seq >> 16 AS batch_id, d.debit_account, d.credit_account, d.amount,
       d.pending_id, d.timeout, d.code,
       giro.flag_names(d.flags, ARRAY['linked', 'pending', 'post_pending', 'void_pending',
           'balancing_debit', 'balancing_credit', 'closing_debit', 'closing_credit',
           'imported']) AS flags,
       d.reference, d.metadata, d.created_at,
       CASE WHEN d.flags & 2 <> 0 THEN coalesce(
           (SELECT CASE WHEN r.flags & 4 <> 0 THEN 'posted' ELSE 'voided' END
              FROM giro.decisions r
             WHERE r.ledger = d.ledger AND r.pending_id = d.id AND r.reason IS NULL),
           -- A stable function: with a volatile one the view would be computed as a whole.
           CASE WHEN d.created_at + make_interval(secs => nullif(d.timeout, 0))
                     <= statement_timestamp()
                THEN 'expired' END,
           (SELECT 'expired' FROM giro.expirations e WHERE e.ledger = d.ledger AND e.id = d.id),
           'pending') END AS state,
       d.flags AS flag_bits,
       CASE WHEN d.timeout > 0 THEN
           (SELECT o.expires_at FROM giro.open_holds o
             WHERE o.ledger = d.ledger AND o.id = d.id) END AS expires_at,
       d.debit_previous, d.credit_previous
  FROM giro.decisions d
 WHERE d.reason IS NULL;

-- Debit side, credit side; then both sides of holds that expired. Posting or voiding takes the whole
-- hold off the pending balance.
CREATE OR REPLACE VIEW giro.entries AS
SELECT d.ledger, d.debit_account AS account, d.seq, d.id AS transfer_id, 'debit' AS side,
       d.credit_account AS counterparty,
       CASE WHEN d.flags & 2 <> 0 THEN d.amount WHEN d.pending_id IS NULL THEN 0
            ELSE -(SELECT h.amount FROM giro.decisions h
                    WHERE h.ledger = d.ledger AND h.id = d.pending_id) END AS pending,
       CASE WHEN d.flags & (2 | 8) <> 0 THEN 0 ELSE d.amount END AS posted,
       d.code, d.reference, d.metadata, d.created_at, false AS expired
  FROM giro.decisions d WHERE d.reason IS NULL
UNION ALL
SELECT d.ledger, d.credit_account, d.seq, d.id, 'credit', d.debit_account,
       CASE WHEN d.flags & 2 <> 0 THEN d.amount WHEN d.pending_id IS NULL THEN 0
            ELSE -(SELECT h.amount FROM giro.decisions h
                    WHERE h.ledger = d.ledger AND h.id = d.pending_id) END,
       CASE WHEN d.flags & (2 | 8) <> 0 THEN 0 ELSE d.amount END,
       d.code, d.reference, d.metadata, d.created_at, false
  FROM giro.decisions d WHERE d.reason IS NULL
UNION ALL
SELECT d.ledger, d.debit_account, e.seq, d.id, 'debit', d.credit_account, -d.amount, 0,
       d.code, d.reference, d.metadata, e.created_at, true
  FROM giro.expirations e JOIN giro.decisions d ON d.ledger = e.ledger AND d.id = e.id
UNION ALL
SELECT d.ledger, d.credit_account, e.seq, d.id, 'credit', d.debit_account, -d.amount, 0,
       d.code, d.reference, d.metadata, e.created_at, true
  FROM giro.expirations e JOIN giro.decisions d ON d.ledger = e.ledger AND d.id = e.id;

CREATE OR REPLACE VIEW giro.balance_history AS
SELECT ledger, account, seq, version, debits_pending, debits_posted, credits_pending, credits_posted,
       created_at
  FROM giro.account_balances;

CREATE OR REPLACE VIEW giro.rejections AS
SELECT ledger, id, seq, seq >> 16 AS batch_id, reason, debit_account, credit_account, amount, code,
       reference, metadata, created_at, pending_id,
       giro.flag_names(flags, ARRAY['linked', 'pending', 'post_pending', 'void_pending',
           'balancing_debit', 'balancing_credit', 'closing_debit', 'closing_credit',
           'imported']) AS flags,
       flags AS flag_bits
  FROM giro.decisions
 WHERE reason IS NOT NULL;

CREATE OR REPLACE VIEW giro.expired_holds AS
SELECT ledger, id, seq, created_at FROM giro.expirations;

CREATE OR REPLACE VIEW giro.batch_log AS
SELECT id, kind, items, applied, rejected, replayed, server, created_at FROM giro.batches;

CREATE OR REPLACE VIEW giro.schema_info AS
SELECT (SELECT max(version) FROM giro.migrations) AS version, hash AS functions_hash, installed_at
  FROM giro.function_set;
