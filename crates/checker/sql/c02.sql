-- C2: Every movement has changed exactly two accounts, once each, and nothing else has changed any.
SELECT m.id, coalesce(m.seq, p.seq) AS seq, p.changes
  FROM chaos_check.movement m
  FULL JOIN (SELECT seq, count(*) AS changes FROM chaos_check.posting GROUP BY seq) AS p USING (seq)
 WHERE m.seq IS NULL OR p.changes IS DISTINCT FROM 2
