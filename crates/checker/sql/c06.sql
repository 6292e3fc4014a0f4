-- C6: No account was past the limit that it was opened with after any change.
SELECT b.account, b.seq, b.version, b.debits_pending, b.debits_posted, b.credits_pending,
       b.credits_posted, o.overdraft_limit
  FROM chaos_check.opened o
  JOIN giro.account_balances b ON b.ledger = 1 AND b.account = o.id
 WHERE o.flags & 2 <> 0 AND b.debits_pending + b.debits_posted > b.credits_posted + o.overdraft_limit
    OR o.flags & 4 <> 0 AND b.credits_pending + b.credits_posted > b.debits_posted + o.overdraft_limit
    OR least(b.debits_pending, b.debits_posted, b.credits_pending, b.credits_posted) < 0
