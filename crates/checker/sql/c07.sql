-- C7: Over all accounts debits equal credits, pending and posted.
SELECT ledger, sum(debits_pending) AS debits_pending, sum(credits_pending) AS credits_pending,
       sum(debits_posted) AS debits_posted, sum(credits_posted) AS credits_posted
  FROM giro.account_state
 GROUP BY ledger
HAVING sum(debits_pending) <> sum(credits_pending) OR sum(debits_posted) <> sum(credits_posted)
