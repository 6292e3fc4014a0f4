-- giro.are_columns: whether arrays, of which this is told their array_dims, are columns of n elements counted
-- from 1. NULL is one in which no element has a value, or which is empty. Arrays of other bounds would be read
-- differently by subscript and by unnest.
DROP FUNCTION IF EXISTS giro.is_column(anyarray, int);  -- what it is called in older databases

CREATE OR REPLACE FUNCTION giro.are_columns(n int, VARIADIC dims text[])
RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
    SELECT ('[1:' || n::text || ']' = ALL (dims)) IS NOT FALSE
$$;
