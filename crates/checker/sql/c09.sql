-- C9: Every account went from version to version in the order of seq, each change by what its movement says.
SELECT p.account, p.seq, p.version, p.step, m.id
  FROM chaos_check.posting p
  LEFT JOIN chaos_check.movement m USING (seq)
 WHERE p.step <> 1
    OR ((p.account = m.debit AND (p.debits_pending, p.debits_posted) = (m.pending, m.posted)
         AND (p.credits_pending, p.credits_posted) = (0, 0))
        OR (p.account = m.credit AND (p.credits_pending, p.credits_posted) = (m.pending, m.posted)
            AND (p.debits_pending, p.debits_posted) = (0, 0))) IS NOT TRUE
