-- giro.create_accounts: creates a batch of accounts in the caller's transaction. Arrays in, one
-- element per account and column; arrays out, one element per account.
--
-- In   requests: chains (flag linked) end where it changes, and so does what the first import fixes.
--      timestamps: when an imported account was created. token comes back as echo; not_after: raise
--      GR001 rather than create past this moment. All arrays may be empty: that writes a row in
--      giro.batches, and shows that a commit passes.
-- Out  reasons: NULL = created, or there before with the same content (replayed). The account as it
--      is now follows; NULL where the id has none.
-- Raises for a malformed call only. SQLSTATE 23505 on account_state_pkey: an account was created by a
-- concurrent batch meanwhile; the same call again sees it.
CREATE OR REPLACE FUNCTION giro.create_accounts(
    shard               int,
    token               bigint,
    server              text,
    not_after           timestamptz,
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
    OUT created_ats     timestamptz[],
    OUT result_flags    int[]
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, giro, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_indexscan = on
SET enable_nestloop = on
SET enable_tidscan = on
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    AMOUNT_MAX CONSTANT numeric := 340282366920938463463374607431768211455;  -- 2^128 - 1
    -- What an imported moment can be: what RFC 3339 can write.
    IMPORT_MIN CONSTANT timestamptz := '1970-01-01 00:00:00 UTC';
    IMPORT_MAX CONSTANT timestamptz := '9999-12-31 23:59:59.999999 UTC';
    ID_ZERO    CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    ID_MAX     CONSTANT uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    LINKED      CONSTANT int := 1;
    BOTH_LIMITS CONSTANT int := 2 | 4;  -- debits_must_not_exceed_credits, and its mirror
    IMPORTED    CONSTANT int := 16;

    n           CONSTANT int := coalesce(cardinality(ids), 0);
    well_formed boolean;
    created     boolean[] := array_fill(false, ARRAY[n]);
    previous    int[];  -- the last earlier position with the same id
    deciders    int[];  -- the position of this call that created the same id
    known_as    text[];  -- 'applied' or a reason, for an id that exists
    faults      text[];  -- of imports
    importing   boolean;
    import_ledgers int[];
    import_lasts   timestamptz[];
    import_slot    int;
    -- The chain that is being judged.
    chain_first   int;
    chain_last    int;
    chain_broken  boolean := false;
    chain_repeats boolean;  -- every member was there before
    chain_imports timestamptz[];
    known       record;
    reason      text;
    time_at     timestamptz;
    now_at      timestamptz := clock_timestamp();
    p           int;
BEGIN
    -- Check the call itself.
    SELECT count(*) = n
           AND count(*) FILTER (WHERE
                   u.id IS NOT NULL
                   AND u.ledger >= 0
                   AND u.code BETWEEN 0 AND 65535
                   AND u.flags BETWEEN 0 AND 63
                   AND u.overdraft_limit BETWEEN 0 AND AMOUNT_MAX
                   AND u.overdraft_limit = trunc(u.overdraft_limit)) = n,
           coalesce(bit_or(u.flags), 0) & IMPORTED <> 0 OR timestamps IS NOT NULL
      INTO well_formed, importing
      FROM unnest(ids, ledgers, codes, flags, overdraft_limits)
           AS u (id, ledger, code, flags, overdraft_limit);
    IF n > 65535 OR well_formed IS NOT TRUE OR shard IS NULL OR server IS NULL OR ids IS NULL
       OR NOT giro.are_columns(
              n, array_dims(ids), array_dims(ledgers), array_dims(codes), array_dims(flags),
              array_dims(overdraft_limits), array_dims("references"), array_dims(metadatas),
              array_dims(timestamps), array_dims(requests))
       OR EXISTS (SELECT FROM unnest(flags, timestamps) AS u (flags, moment)
                   WHERE importing
                     AND (u.flags & IMPORTED <> 0 AND u.moment IS NULL
                          OR u.moment NOT BETWEEN IMPORT_MIN AND IMPORT_MAX)) THEN
        RAISE EXCEPTION 'malformed call: arrays of unequal length, or a value out of its range'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    batch_id := giro.enter_batch();
    echo := token;
    result_ids := ids;
    reasons := array_fill(NULL::text, ARRAY[n]);
    replayed := array_fill(false, ARRAY[n]);
    debits_pending := array_fill(NULL::numeric, ARRAY[n]);
    debits_posted := debits_pending;
    credits_pending := debits_pending;
    credits_posted := debits_pending;
    versions := array_fill(NULL::bigint, ARRAY[n]);
    result_flags := flags;
    created_ats := array_fill(NULL::timestamptz, ARRAY[n]);

    -- Accounts that exist, and ids that this call repeats.
    FOR known IN
        SELECT u.position, s.flags, s.debits_pending, s.debits_posted, s.credits_pending, s.credits_posted,
               s.version, s.created_at,
               giro.account_difference(s.flags, u.flags, t.reference, u.reference, t.metadata,
                                       u.metadata, s.overdraft_limit, u.overdraft_limit, s.code,
                                       u.code) AS difference
          FROM unnest(ids, ledgers, codes, flags, overdraft_limits, "references", metadatas)
               WITH ORDINALITY
               AS u (id, ledger, code, flags, overdraft_limit, reference, metadata, position)
          JOIN LATERAL (SELECT s.* FROM giro.account_state s
                         WHERE s.ledger = u.ledger AND s.id = u.id OFFSET 0) AS s ON true
          JOIN LATERAL (SELECT t.* FROM giro.account_details t
                         WHERE t.ledger = u.ledger AND t.id = u.id OFFSET 0) AS t ON true
    LOOP
        p := known.position;
        known_as[p] := coalesce(known.difference, 'applied');
        debits_pending[p] := known.debits_pending;
        debits_posted[p] := known.debits_posted;
        credits_pending[p] := known.credits_pending;
        credits_posted[p] := known.credits_posted;
        versions[p] := known.version;
        created_ats[p] := known.created_at;
        result_flags[p] := known.flags;
    END LOOP;
    SELECT array_agg(w.previous ORDER BY w.position)
      INTO previous
      FROM (SELECT u.position,
                   lag(u.position) OVER (PARTITION BY u.ledger, u.id ORDER BY u.position) AS previous
              FROM unnest(ledgers, ids) WITH ORDINALITY AS u (ledger, id, position)) AS w;

    IF importing THEN
        faults := giro.import_faults(flags, IMPORTED, timestamps, requests, now_at);
        INSERT INTO giro.imports AS i (ledger, kind, last_at)
        SELECT DISTINCT u.ledger, 'accounts', timestamptz '-infinity'
          FROM unnest(ledgers, flags) AS u (ledger, flags)
         WHERE u.flags & IMPORTED <> 0 AND u.ledger > 0
         ORDER BY u.ledger
            ON CONFLICT (ledger, kind) DO UPDATE SET last_at = i.last_at;
        SELECT array_agg(u.ledger), array_agg(i.last_at)
          INTO import_ledgers, import_lasts
          FROM (SELECT DISTINCT ledger FROM unnest(ledgers) AS t (ledger)) AS u
          LEFT JOIN giro.imports i ON i.ledger = u.ledger AND i.kind = 'accounts';
    END IF;

    FOR i IN 1 .. n LOOP
        time_at := now_at;
        IF importing AND flags[i] & IMPORTED <> 0 THEN
            time_at := timestamps[i];
            import_slot := array_position(import_ledgers, ledgers[i]);
        END IF;

        -- A chain opens.
        IF flags[i] & LINKED <> 0 AND chain_first IS NULL THEN
            chain_first := i;
            chain_last := i;
            WHILE flags[chain_last] & LINKED <> 0 AND chain_last < n
                  AND requests[chain_last + 1] IS NOT DISTINCT FROM requests[i] LOOP
                chain_last := chain_last + 1;
            END LOOP;
            chain_imports := import_lasts;
        END IF;

        -- Ids that an earlier account of this call has taken.
        FOR j IN i .. CASE WHEN chain_first = i THEN chain_last ELSE i END LOOP
            CONTINUE WHEN known_as[j] IS NOT NULL OR previous[j] IS NULL;
            p := CASE WHEN created[previous[j]] THEN previous[j] ELSE deciders[previous[j]] END;
            CONTINUE WHEN p IS NULL OR NOT created[p];  -- or undone since
            deciders[j] := p;
            known_as[j] := coalesce(
                giro.account_difference(flags[p], flags[j], "references"[p], "references"[j],
                                        metadatas[p], metadatas[j], overdraft_limits[p],
                                        overdraft_limits[j], codes[p], codes[j]), 'applied');
            created_ats[j] := created_ats[p];
            result_flags[j] := flags[p];
        END LOOP;
        IF chain_first = i THEN
            chain_repeats := flags[chain_last] & LINKED = 0;
            FOR j IN chain_first .. chain_last LOOP
                chain_repeats := chain_repeats AND known_as[j] IS NOT DISTINCT FROM 'applied';
            END LOOP;
        END IF;

        -- In order of precedence: the first that holds is the answer.
        reason := CASE
            WHEN chain_broken THEN 'linked_event_failed'
            WHEN i = chain_last AND flags[i] & LINKED <> 0 THEN 'linked_event_chain_open'
            WHEN faults[i] IS NOT NULL THEN faults[i]
            WHEN ids[i] = ID_ZERO THEN 'id_must_not_be_zero'
            WHEN ids[i] = ID_MAX THEN 'id_must_not_be_max'
            WHEN known_as[i] <> 'applied' THEN known_as[i]
            WHEN known_as[i] = 'applied' AND NOT chain_repeats THEN 'exists'
            WHEN known_as[i] = 'applied' THEN NULL
            WHEN flags[i] & BOTH_LIMITS = BOTH_LIMITS THEN 'flags_are_mutually_exclusive'
            WHEN ledgers[i] = 0 THEN 'ledger_must_not_be_zero'
            WHEN codes[i] = 0 THEN 'code_must_not_be_zero'
            WHEN flags[i] & IMPORTED <> 0 AND time_at <= import_lasts[import_slot]
                THEN 'imported_event_timestamp_must_not_regress'
        END;
        IF reason IS NOT NULL THEN
            reasons[i] := reason;
            IF chain_first IS NOT NULL AND NOT chain_broken THEN
                chain_broken := true;
                import_lasts := chain_imports;
                FOR j IN chain_first .. i - 1 LOOP
                    reasons[j] := 'linked_event_failed';
                    replayed[j] := false;
                    created[j] := false;
                END LOOP;
            END IF;
        ELSIF known_as[i] IS NOT NULL THEN
            replayed[i] := true;
        ELSE
            created[i] := true;
            created_ats[i] := time_at;
            IF flags[i] & IMPORTED <> 0 THEN
                import_lasts[import_slot] := time_at;
            END IF;
        END IF;
        IF reason IS NULL AND versions[i] IS NULL THEN
            debits_pending[i] := 0;
            debits_posted[i] := 0;
            credits_pending[i] := 0;
            credits_posted[i] := 0;
            versions[i] := 0;
        END IF;

        IF i = chain_last THEN
            chain_first := NULL;
            chain_last := NULL;
            chain_broken := false;
            chain_repeats := NULL;
        END IF;
    END LOOP;

    -- Write in sets, ids ascending: one order for every writer.
    INSERT INTO giro.account_state (ledger, id, code, flags, overdraft_limit, created_at, changed_at)
    SELECT u.ledger, u.id, u.code, u.flags, u.overdraft_limit, u.created_at, u.created_at
      FROM unnest(created, ledgers, ids, codes, flags, overdraft_limits, created_ats)
           AS u (created, ledger, id, code, flags, overdraft_limit, created_at)
     WHERE u.created
     ORDER BY u.ledger, u.id;

    INSERT INTO giro.account_details (ledger, id, reference, metadata)
    SELECT u.ledger, u.id, u.reference, u.metadata
      FROM unnest(created, ledgers, ids, "references", metadatas)
           AS u (created, ledger, id, reference, metadata)
     WHERE u.created
     ORDER BY u.ledger, u.id;

    IF importing THEN
        UPDATE giro.imports AS i
           SET last_at = u.last_at
          FROM unnest(import_ledgers, import_lasts) AS u (ledger, last_at)
         WHERE i.ledger = u.ledger AND i.kind = 'accounts' AND i.last_at < u.last_at;
    END IF;

    -- Imports, and an id that another batch was creating, have been waited for.
    IF clock_timestamp() > not_after THEN
        RAISE EXCEPTION 'the batch was written only after %', not_after
            USING ERRCODE = 'GR001';
    END IF;
    INSERT INTO giro.batches (shard, id, kind, items, applied, rejected, replayed, server,
                              created_at)
    SELECT shard, batch_id, 'accounts', n,
           count(*) FILTER (WHERE u.reason IS NULL AND NOT u.replayed),
           count(*) FILTER (WHERE u.reason IS NOT NULL),
           count(*) FILTER (WHERE u.replayed), server, now_at
      FROM unnest(reasons, replayed) AS u (reason, replayed);
END
$$;
