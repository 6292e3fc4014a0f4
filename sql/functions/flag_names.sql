-- giro.flag_names: the names of the bits set in flags; names[1] is bit 0. An expression that PostgreSQL
-- puts in place of the call: a listing calls it for every row.
CREATE OR REPLACE FUNCTION giro.flag_names(flags int, names text[])
RETURNS text[]
LANGUAGE sql IMMUTABLE
AS $$
    SELECT array_remove(ARRAY[
        CASE WHEN flags & 1 <> 0 THEN names[1] END, CASE WHEN flags & 2 <> 0 THEN names[2] END,
        CASE WHEN flags & 4 <> 0 THEN names[3] END, CASE WHEN flags & 8 <> 0 THEN names[4] END,
        CASE WHEN flags & 16 <> 0 THEN names[5] END, CASE WHEN flags & 32 <> 0 THEN names[6] END,
        CASE WHEN flags & 64 <> 0 THEN names[7] END, CASE WHEN flags & 128 <> 0 THEN names[8] END,
        CASE WHEN flags & 256 <> 0 THEN names[9] END], NULL)
$$;
