-- giro.metadata_matches: the ids of what has `metadata` in its own, found by an index that the
-- operator of the database may have made; giro makes none, it would cost every transfer.
--
-- In   kind: 'accounts' or 'transfers'. at_most: more are not looked for.
-- Out  indexed: there is such an index. ids: NULL when there is none, or when more than at_most match.
CREATE OR REPLACE FUNCTION giro.metadata_matches(
    kind        text,
    ledger      int,
    metadata    jsonb,
    at_most     int,
    OUT indexed boolean,
    OUT ids     uuid[]
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, giro, pg_temp
-- By the GIN index, however common the planner believes the match to be.
SET enable_seqscan = off
SET enable_indexscan = off
SET enable_indexonlyscan = off
SET enable_bitmapscan = on
SET jit = off
AS $$
DECLARE
    source regclass := 'giro.decisions';
    filter text := 'reason IS NULL';
BEGIN
    IF kind = 'accounts' THEN
        source := 'giro.account_details';
        filter := 'true';
    END IF;
    SELECT EXISTS (
        SELECT FROM pg_index i
          JOIN pg_class c ON c.oid = i.indexrelid
          JOIN pg_am m ON m.oid = c.relam AND m.amname = 'gin'
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                             AND a.attname = 'metadata'
         WHERE i.indrelid = source AND i.indisvalid AND i.indnatts = 1
           AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid)
                IN ('(reason IS NULL)', '(metadata IS NOT NULL)'))
    ) INTO indexed;
    IF NOT indexed THEN
        RETURN;
    END IF;
    -- An expression on the ledger, so that no index on it is taken instead.
    EXECUTE format(
        'SELECT array_agg(found.id) FROM (SELECT id FROM %s
          WHERE metadata @> $1 AND ledger + 0 = $2 AND %s LIMIT $3) AS found', source, filter)
       INTO ids USING metadata, ledger, at_most + 1;
    ids := coalesce(ids, '{}');
    IF cardinality(ids) > at_most THEN
        ids := NULL;
    END IF;
END
$$;
