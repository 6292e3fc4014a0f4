-- C6: No account was past its limit after any change.
SELECT b.account, b.seq, b.version, b.debits_pending, b.debits_posted, b.credits_pending,
       b.credits_posted, s.overdraft_limit
  FROM giro.account_state s
  JOIN giro.account_balances b ON b.ledger = s.ledger AND b.account = s.id
 WHERE s.flags & 2 <> 0 AND b.debits_pending + b.debits_posted > b.credits_posted + s.overdraft_limit
    OR s.flags & 4 <> 0 AND b.credits_pending + b.credits_posted > b.debits_posted + s.overdraft_limit
    OR least(b.debits_pending, b.debits_posted, b.credits_pending, b.credits_posted) < 0
