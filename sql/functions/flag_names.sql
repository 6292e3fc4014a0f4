-- giro.flag_names: the names of the bits set in flags; names[1] is bit 0.
CREATE OR REPLACE FUNCTION giro.flag_names(flags int, names text[])
RETURNS text[]
LANGUAGE sql IMMUTABLE
AS $$
    SELECT coalesce(array_agg(n.name ORDER BY n.bit), '{}')
      FROM unnest(names) WITH ORDINALITY AS n (name, bit)
     WHERE flags & (1 << (n.bit::int - 1)) <> 0
$$;
