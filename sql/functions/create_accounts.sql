-- giro.create_accounts: creates a batch of accounts in the caller's transaction. Arrays in, one
-- element per account and column; arrays out, one element per account.
--
-- In   requests: the request each account came with. token comes back as echo.
-- Out  reasons: NULL = created, or there before with the same content (replayed). The account as it
--      is now follows; NULL where the id has none.
-- Raises for a malformed call only. SQLSTATE 23505 on account_state_pkey: an account was created by a
-- concurrent batch meanwhile; the same call again sees it.
CREATE OR REPLACE FUNCTION giro.create_accounts(
    shard               int,
    token               bigint,
    server              text,
    ids                 uuid[],
    ledgers             int[],
    codes               int[],
    flags               int[],
    overdraft_limits    numeric[],
    "references"        text[],
    metadatas           jsonb[],
    timestamps          timestamptz[],
    requests            int[],
    OUT echo            bigint,
    OUT batch_id        bigint,
    OUT result_ids      uuid[],
    OUT reasons         text[],
    OUT replayed        boolean[],
    OUT debits_pending  numeric[],
    OUT debits_posted   numeric[],
    OUT credits_pending numeric[],
    OUT credits_posted  numeric[],
    OUT versions        bigint[],
    OUT created_ats     timestamptz[]
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, giro, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    AMOUNT_MAX CONSTANT numeric := 340282366920938463463374607431768211455;  -- 2^128 - 1
    ID_ZERO    CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    ID_MAX     CONSTANT uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    LINKED      CONSTANT int := 1;
    BOTH_LIMITS CONSTANT int := 2 | 4;  -- debits_must_not_exceed_credits, and its mirror

    n           CONSTANT int := cardinality(ids);
    well_formed boolean;
    created     boolean[] := array_fill(false, ARRAY[n]);
    previous    int[];  -- the last earlier position with the same id
    deciders    int[];  -- the position of this call that created the same id
    known       record;
    reason      text;
    now_at      timestamptz := clock_timestamp();
    p           int;
BEGIN
    -- Check the call itself.
    SELECT count(*) = n
           AND count(*) FILTER (WHERE
                   u.id IS NOT NULL
                   AND u.ledger >= 0
                   AND u.code BETWEEN 0 AND 65535
                   AND u.flags >= 0
                   AND u.overdraft_limit BETWEEN 0 AND AMOUNT_MAX
                   AND u.overdraft_limit = trunc(u.overdraft_limit)) = n
      INTO well_formed
      FROM unnest(ids, ledgers, codes, flags, overdraft_limits)
           AS u (id, ledger, code, flags, overdraft_limit);
    IF n > 65535 OR well_formed IS NOT TRUE
       OR NOT giro.is_column(ids, n)
       OR NOT giro.is_column(ledgers, n)
       OR NOT giro.is_column(codes, n)
       OR NOT giro.is_column(flags, n)
       OR NOT giro.is_column(overdraft_limits, n)
       OR NOT giro.is_column("references", n)
       OR NOT giro.is_column(metadatas, n)
       OR NOT giro.is_column(timestamps, n)
       OR NOT giro.is_column(requests, n) THEN
        RAISE EXCEPTION 'malformed call: arrays of unequal length, or a value out of its range'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    batch_id := nextval('giro.batch_id');
    echo := token;
    result_ids := ids;
    reasons := array_fill(NULL::text, ARRAY[n]);
    replayed := array_fill(false, ARRAY[n]);
    debits_pending := array_fill(NULL::numeric, ARRAY[n]);
    debits_posted := debits_pending;
    credits_pending := debits_pending;
    credits_posted := debits_pending;
    versions := array_fill(NULL::bigint, ARRAY[n]);
    created_ats := array_fill(NULL::timestamptz, ARRAY[n]);

    -- Accounts that exist, and ids that this call repeats.
    FOR known IN
        SELECT u.position, s.debits_pending, s.debits_posted, s.credits_pending, s.credits_posted,
               s.version, s.created_at,
               giro.account_difference(s.flags, u.flags, t.reference, u.reference, t.metadata,
                                       u.metadata, s.overdraft_limit, u.overdraft_limit, s.code,
                                       u.code) AS difference
          FROM unnest(ids, ledgers, codes, flags, overdraft_limits, "references", metadatas)
               WITH ORDINALITY
               AS u (id, ledger, code, flags, overdraft_limit, reference, metadata, position)
          JOIN giro.account_state s ON s.ledger = u.ledger AND s.id = u.id
          JOIN giro.account_details t ON t.ledger = u.ledger AND t.id = u.id
    LOOP
        p := known.position;
        reasons[p] := known.difference;
        replayed[p] := known.difference IS NULL;
        debits_pending[p] := known.debits_pending;
        debits_posted[p] := known.debits_posted;
        credits_pending[p] := known.credits_pending;
        credits_posted[p] := known.credits_posted;
        versions[p] := known.version;
        created_ats[p] := known.created_at;
    END LOOP;
    SELECT array_agg(w.previous ORDER BY w.position)
      INTO previous
      FROM (SELECT u.position,
                   lag(u.position) OVER (PARTITION BY u.ledger, u.id ORDER BY u.position) AS previous
              FROM unnest(ledgers, ids) WITH ORDINALITY AS u (ledger, id, position)) AS w;

    FOR i IN 1 .. n LOOP
        CONTINUE WHEN created_ats[i] IS NOT NULL;

        p := CASE WHEN created[previous[i]] THEN previous[i] ELSE deciders[previous[i]] END;
        deciders[i] := p;
        -- In order of precedence: the first that holds is the answer.
        reason := CASE
            WHEN p IS NOT NULL THEN
                giro.account_difference(flags[p], flags[i], "references"[p], "references"[i],
                                        metadatas[p], metadatas[i], overdraft_limits[p],
                                        overdraft_limits[i], codes[p], codes[i])
            WHEN ids[i] = ID_ZERO THEN 'id_must_not_be_zero'
            WHEN ids[i] = ID_MAX THEN 'id_must_not_be_max'
            -- Also the end of a chain, which has no flag of its own: a chain is never half created.
            WHEN flags[i] & ~BOTH_LIMITS <> 0 OR timestamps[i] IS NOT NULL
                 OR (flags[i - 1] & LINKED <> 0
                     AND requests[i - 1] IS NOT DISTINCT FROM requests[i]) THEN 'not_supported'
            WHEN flags[i] & BOTH_LIMITS = BOTH_LIMITS THEN 'flags_are_mutually_exclusive'
            WHEN ledgers[i] = 0 THEN 'ledger_must_not_be_zero'
            WHEN codes[i] = 0 THEN 'code_must_not_be_zero'
        END;
        reasons[i] := reason;
        CONTINUE WHEN reason IS NOT NULL;
        created[i] := p IS NULL;
        replayed[i] := p IS NOT NULL;
        debits_pending[i] := 0;
        debits_posted[i] := 0;
        credits_pending[i] := 0;
        credits_posted[i] := 0;
        versions[i] := 0;
        created_ats[i] := now_at;
    END LOOP;

    -- Write in sets, ids ascending: one order for every writer.
    INSERT INTO giro.account_state (ledger, id, code, flags, overdraft_limit, created_at, changed_at)
    SELECT u.ledger, u.id, u.code, u.flags, u.overdraft_limit, now_at, now_at
      FROM unnest(created, ledgers, ids, codes, flags, overdraft_limits)
           AS u (created, ledger, id, code, flags, overdraft_limit)
     WHERE u.created
     ORDER BY u.ledger, u.id;

    INSERT INTO giro.account_details (ledger, id, reference, metadata)
    SELECT u.ledger, u.id, u.reference, u.metadata
      FROM unnest(created, ledgers, ids, "references", metadatas)
           AS u (created, ledger, id, reference, metadata)
     WHERE u.created
     ORDER BY u.ledger, u.id;

    INSERT INTO giro.batches (shard, id, kind, items, applied, rejected, replayed, server,
                              created_at)
    SELECT shard, batch_id, 'accounts', n,
           count(*) FILTER (WHERE u.reason IS NULL AND NOT u.replayed),
           count(*) FILTER (WHERE u.reason IS NOT NULL),
           count(*) FILTER (WHERE u.replayed), server, now_at
      FROM unnest(reasons, replayed) AS u (reason, replayed);
END
$$;
