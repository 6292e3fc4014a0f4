-- giro.import_faults: what is wrong with the imports of a batch before anything else is asked, as a
-- reason; NULL where nothing is. The first item of a request fixes whether all of it is imported.
-- `imported` is the bit in flags, now_at the moment of the batch.
CREATE OR REPLACE FUNCTION giro.import_faults(
    flags      int[],
    imported   int,
    timestamps timestamptz[],
    requests   int[],
    now_at     timestamptz
)
RETURNS text[]
LANGUAGE sql IMMUTABLE
AS $$
    SELECT array_agg(CASE
               WHEN w.first_flags & imported <> 0 AND w.item_flags & imported = 0
                   THEN 'imported_event_expected'
               WHEN w.first_flags & imported = 0 AND w.item_flags & imported <> 0
                   THEN 'imported_event_not_expected'
               WHEN w.item_flags & imported = 0 AND w.moment IS NOT NULL
                   THEN 'timestamp_must_be_absent'
               WHEN w.moment >= now_at THEN 'imported_event_timestamp_must_not_advance'
           END ORDER BY w.position)
      FROM (SELECT u.*, first_value(u.item_flags)
                           OVER (PARTITION BY u.request ORDER BY u.position) AS first_flags
              FROM unnest(flags, timestamps, requests) WITH ORDINALITY
                   AS u (item_flags, moment, request, position)) AS w
$$;
