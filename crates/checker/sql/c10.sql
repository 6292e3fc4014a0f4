-- C10: The totals of every batch are those of what it has decided.
SELECT coalesce(b.id, d.id) AS batch, b.kind, b.items, b.applied, d.applied AS stored_applied,
       b.rejected, d.rejected AS stored_rejected, b.replayed, d.released
  FROM giro.batches b
  FULL JOIN (SELECT id, count(*) FILTER (WHERE what = 'applied') AS applied,
                    count(*) FILTER (WHERE what = 'rejected') AS rejected,
                    count(*) FILTER (WHERE what = 'released') AS released
               FROM (SELECT seq >> 16 AS id, CASE WHEN reason IS NULL THEN 'applied' ELSE 'rejected' END AS what
                       FROM giro.decisions
                     UNION ALL
                     SELECT seq >> 16, 'released' FROM giro.expirations) AS every
              GROUP BY id) AS d ON d.id = b.id
 WHERE CASE b.kind
       -- What is refused for no state's sake is counted, and not stored.
       WHEN 'transfers' THEN b.applied = coalesce(d.applied, 0) AND b.rejected >= coalesce(d.rejected, 0)
                             AND coalesce(d.released, 0) = 0
                             AND b.items = b.applied + b.rejected + b.replayed
       WHEN 'expirations' THEN b.applied = coalesce(d.released, 0) AND b.items >= b.applied
                               AND coalesce(d.applied, 0) + coalesce(d.rejected, 0) = 0
       WHEN 'accounts' THEN d.id IS NULL
       END IS NOT TRUE
