-- giro.account_difference: the first field in which an account differs from the one that already has
-- its id, as a reason; NULL when there is none. Balances do not count, and neither does `closed`, which
-- transfers change.
CREATE OR REPLACE FUNCTION giro.account_difference(
    was_flags           int,     flags           int,
    was_reference       text,    reference       text,
    was_metadata        jsonb,   metadata        jsonb,
    was_overdraft_limit numeric, overdraft_limit numeric,
    was_code            int,     code            int
)
RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE
        WHEN (was_flags # flags) & ~32 <> 0 THEN 'exists_with_different_flags'
        WHEN was_reference IS DISTINCT FROM reference THEN 'exists_with_different_reference'
        WHEN was_metadata IS DISTINCT FROM metadata THEN 'exists_with_different_metadata'
        WHEN was_overdraft_limit <> overdraft_limit THEN 'exists_with_different_overdraft_limit'
        WHEN was_code <> code THEN 'exists_with_different_code'
    END
$$;
