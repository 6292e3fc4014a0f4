-- C1: Of what callers were told was applied, nothing is lost.
SELECT request, id, stored, stored_reason
  FROM chaos_check.answered
 WHERE answer = 'applied' AND stored IS DISTINCT FROM 'applied'
