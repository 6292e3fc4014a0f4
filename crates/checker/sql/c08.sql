-- C8: The balances and the version of every account are the fold of its changes.
SELECT s.id, s.version, p.changes, s.debits_pending, p.debits_pending AS debits_pending_changed,
       s.debits_posted, p.debits_posted AS debits_posted_changed,
       s.credits_pending, p.credits_pending AS credits_pending_changed,
       s.credits_posted, p.credits_posted AS credits_posted_changed
  FROM giro.account_state s
  FULL JOIN (SELECT account, count(*) AS changes, max(version) AS version,
                    sum(debits_pending) AS debits_pending, sum(debits_posted) AS debits_posted,
                    sum(credits_pending) AS credits_pending, sum(credits_posted) AS credits_posted
               FROM chaos_check.posting GROUP BY account) AS p ON s.ledger = 1 AND p.account = s.id
 WHERE s.id IS NULL
    OR (s.version, s.version, s.debits_pending, s.debits_posted, s.credits_pending, s.credits_posted)
       <> (coalesce(p.changes, 0), coalesce(p.version, 0), coalesce(p.debits_pending, 0),
           coalesce(p.debits_posted, 0), coalesce(p.credits_pending, 0), coalesce(p.credits_posted, 0))
