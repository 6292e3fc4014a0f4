-- giro.is_column: whether an array is a column of n elements, counted from 1; NULL is one in which no
-- element has a value. Arrays of other bounds would be read differently by subscript and by unnest.
CREATE OR REPLACE FUNCTION giro.is_column("values" anyarray, n int)
RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
    SELECT "values" IS NULL
           OR (cardinality("values") = n
               AND coalesce(array_ndims("values"), 1) = 1
               AND coalesce(array_lower("values", 1), 1) = 1)
$$;
