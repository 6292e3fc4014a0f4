-- C3: Nothing was applied of which a caller was told that it was not, if nobody else can have brought it about.
-- A recorded refusal is final: then it may not be applied by anybody.
SELECT a.request, a.id, a.answer, a.reason, a.seq
  FROM chaos_check.answered a
 WHERE a.answer IN ('rejected', 'not_applied', 'not_sent') AND a.stored = 'applied'
   AND (a.reason IN ('cancelled', 'debit_account_not_found', 'credit_account_not_found',
                     'pending_transfer_not_found', 'debit_account_already_closed',
                     'credit_account_already_closed', 'version_mismatch', 'exceeds_credits',
                     'exceeds_debits')
        OR NOT EXISTS (SELECT FROM chaos_check.answered other
                        WHERE other.id = a.id AND other.may_have_made))
