-- C4: Nothing is stored that nobody asked for.
SELECT d.ledger, d.id, d.seq, d.reason
  FROM giro.decisions d
 WHERE NOT EXISTS (SELECT FROM chaos_check.told t WHERE d.ledger = 1 AND t.id = d.id)
UNION ALL
SELECT e.ledger, e.id, e.seq, 'expired'
  FROM giro.expirations e
 WHERE NOT EXISTS (SELECT FROM giro.decisions h
                    WHERE e.ledger = 1 AND h.ledger = 1 AND h.id = e.id AND h.reason IS NULL
                      AND h.flags & 2 <> 0 AND h.timeout > 0)
UNION ALL
SELECT s.ledger, s.id, NULL, 'an account that nobody opened'
  FROM giro.account_state s
 WHERE NOT EXISTS (SELECT FROM chaos_check.opened o WHERE s.ledger = 1 AND o.id = s.id)
