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
