-- C5: What is stored is what was sent by an attempt that can have made it, and nobody was told that anything else was.
SELECT id, seq, 'no attempt sent it' AS fault
  FROM chaos_check.answered
 WHERE stored IS NOT NULL
 GROUP BY id, seq
HAVING bool_or(same AND may_have_made) IS NOT TRUE
UNION ALL
SELECT id, seq, 'this attempt sent something else: ' || request
  FROM chaos_check.answered
 WHERE answer = 'applied' AND stored = 'applied' AND same IS NOT TRUE
UNION ALL
SELECT id, seq, 'a code that nobody sent: ' || code
  FROM giro.decisions
 WHERE ledger = 1 AND reason IS NULL AND code <> 1
UNION ALL
SELECT s.id, NULL, 'opened with flags ' || o.flags || ' and overdraft limit ' || o.overdraft_limit
                   || ', stored with ' || s.flags || ' and ' || s.overdraft_limit
  FROM giro.account_state s
  JOIN chaos_check.opened o ON s.ledger = 1 AND s.id = o.id
 WHERE (s.flags, s.overdraft_limit) <> (o.flags, o.overdraft_limit)
