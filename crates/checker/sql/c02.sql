-- C2: No id was decided twice. Every movement has changed exactly two accounts, once each, and nothing else has changed any.
SELECT id, max(seq) AS seq, count(*) AS decisions, NULL AS changes
  FROM giro.decisions
 WHERE ledger = 1
 GROUP BY id
HAVING count(*) > 1
UNION ALL
SELECT m.id, coalesce(m.seq, p.seq), NULL, p.changes
  FROM chaos_check.movement m
  FULL JOIN (SELECT seq, count(*) AS changes FROM chaos_check.posting GROUP BY seq) AS p USING (seq)
 WHERE m.seq IS NULL OR p.changes IS DISTINCT FROM 2
