-- What users read: documented columns, joinable with their own tables. Replaced as a whole.

CREATE OR REPLACE VIEW giro.accounts AS
SELECT s.ledger, s.id, s.code,
       giro.flag_names(s.flags, ARRAY['linked', 'debits_must_not_exceed_credits',
           'credits_must_not_exceed_debits', 'history', 'imported', 'closed']) AS flags,
       s.overdraft_limit, s.debits_pending, s.debits_posted, s.credits_pending, s.credits_posted,
       s.version, t.reference, t.metadata, s.created_at, s.changed_at
  FROM giro.account_state s
  JOIN giro.account_details t USING (ledger, id);
COMMENT ON VIEW giro.accounts IS 'Accounts with their balances as of now.';

CREATE OR REPLACE VIEW giro.transfers AS
SELECT ledger, id, seq, seq >> 16 AS batch_id, debit_account, credit_account, amount, pending_id,
       timeout, code,
       giro.flag_names(flags, ARRAY['linked', 'pending', 'post_pending', 'void_pending',
           'balancing_debit', 'balancing_credit', 'closing_debit', 'closing_credit',
           'imported']) AS flags,
       reference, metadata, created_at
  FROM giro.decisions
 WHERE reason IS NULL;
COMMENT ON VIEW giro.transfers IS
    'Applied transfers. seq grows along the history of every account; nothing is ever changed.';

CREATE OR REPLACE VIEW giro.rejections AS
SELECT ledger, id, seq, seq >> 16 AS batch_id, reason, debit_account, credit_account, amount, code,
       reference, metadata, created_at
  FROM giro.decisions
 WHERE reason IS NOT NULL;
COMMENT ON VIEW giro.rejections IS
    'Transfers refused for a reason that depends on state: the id is burnt, the answer is final.';

CREATE OR REPLACE VIEW giro.schema_info AS
SELECT (SELECT max(version) FROM giro.migrations) AS version, hash AS functions_hash, installed_at
  FROM giro.function_set;
COMMENT ON VIEW giro.schema_info IS 'What giro serve compares with itself before it serves.';
