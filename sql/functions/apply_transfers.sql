-- giro.apply_transfers: judges a batch of transfers in order and applies it in the caller's
-- transaction. Arrays in, one array element per column; arrays out, one element per transfer.
--
-- In   account_ledgers, account_ids: the distinct accounts of the batch, strictly ascending; this
--      is the lock order. debit_accounts and credit_accounts index into them, from 1.
--      The arrays from pending_ids on may be NULL as a whole: no transfer carries the column.
--      token comes back as echo; not_after: raise GR001 rather than apply past this moment.
-- Out  reasons: NULL = applied. replayed: decided by an earlier transfer with the same id.
--      seqs, created_ats: NULL where nothing was recorded.
-- Raises for a malformed call only, never for one bad transfer. SQLSTATE 23505 on decisions_pkey: an
-- id was decided by a concurrent batch meanwhile; the same call again sees it.
CREATE OR REPLACE FUNCTION giro.apply_transfers(
    shard                  int,
    token                  bigint,
    server                 text,
    not_after              timestamptz,
    account_ledgers        int[],
    account_ids            uuid[],
    ids                    uuid[],
    ledgers                int[],
    debit_accounts         int[],
    credit_accounts        int[],
    amounts                numeric[],
    codes                  int[],
    flags                  int[],
    pending_ids            uuid[],
    timeouts               bigint[],
    "references"           text[],
    metadatas              jsonb[],
    timestamps             timestamptz[],
    expect_debit_versions  bigint[],
    expect_credit_versions bigint[],
    chain_scopes           boolean[],
    requests               int[],
    OUT echo               bigint,
    OUT batch_id           bigint,
    OUT result_ids         uuid[],
    OUT reasons            text[],
    OUT replayed           boolean[],
    OUT seqs               bigint[],
    OUT result_amounts     numeric[],
    OUT created_ats        timestamptz[]
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, giro, pg_temp
-- One plan for every call, by index at any table size: a plan made while a table was small must not
-- scan it when it is large.
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
    LINKED CONSTANT int := 1;
    DEBITS_MUST_NOT_EXCEED_CREDITS CONSTANT int := 2;
    CREDITS_MUST_NOT_EXCEED_DEBITS CONSTANT int := 4;

    n               CONSTANT int := cardinality(ids);
    well_formed     boolean;
    repeats_ids     boolean;
    -- Accounts, by their index in the call.
    account_flags   int[];
    overdrafts      numeric[];
    row_tids        tid[];  -- where the locked row is
    debits_pending  numeric[];
    debits_posted   numeric[];
    credits_pending numeric[];
    credits_posted  numeric[];
    versions        bigint[];
    versions_before bigint[];
    now_at          timestamptz;
    -- Transfers, by position.
    recorded        boolean[] := array_fill(false, ARRAY[n]);  -- decided for good by this call
    previous        int[];  -- the last earlier position with the same id
    deciders        int[];  -- the position of this call that decided the same id
    known           record;
    amount          numeric;
    reason          text;
    n_updated       int;
    n_changed       int;
    d               int;
    c               int;
    p               int;
BEGIN
    -- Check the call itself.
    SELECT count(*) = n
           AND count(*) FILTER (WHERE
                   u.id IS NOT NULL
                   AND u.ledger >= 0
                   AND u.debit BETWEEN 1 AND cardinality(account_ids)
                   AND u.credit BETWEEN 1 AND cardinality(account_ids)
                   AND u.amount BETWEEN 0 AND AMOUNT_MAX
                   AND u.amount = trunc(u.amount)
                   AND u.code BETWEEN 0 AND 65535
                   AND u.flags >= 0) = n,
           count(DISTINCT u.id) < n
      INTO well_formed, repeats_ids
      FROM unnest(ids, ledgers, debit_accounts, credit_accounts, amounts, codes, flags)
           AS u (id, ledger, debit, credit, amount, code, flags);
    IF n > 65535 OR well_formed IS NOT TRUE OR account_ids IS NULL OR account_ledgers IS NULL
       OR NOT giro.is_column(account_ids, cardinality(account_ledgers))
       OR NOT giro.is_column(account_ledgers, cardinality(account_ids))
       OR NOT giro.is_column(ids, n)
       OR NOT giro.is_column(ledgers, n)
       OR NOT giro.is_column(debit_accounts, n)
       OR NOT giro.is_column(credit_accounts, n)
       OR NOT giro.is_column(amounts, n)
       OR NOT giro.is_column(codes, n)
       OR NOT giro.is_column(flags, n)
       OR NOT giro.is_column(pending_ids, n)
       OR NOT giro.is_column(timeouts, n)
       OR NOT giro.is_column("references", n)
       OR NOT giro.is_column(metadatas, n)
       OR NOT giro.is_column(timestamps, n)
       OR NOT giro.is_column(expect_debit_versions, n)
       OR NOT giro.is_column(expect_credit_versions, n)
       OR NOT giro.is_column(chain_scopes, n)
       OR NOT giro.is_column(requests, n) THEN
        RAISE EXCEPTION 'malformed call: arrays of unequal length, or a value out of its range'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF EXISTS (SELECT
                 FROM unnest(account_ledgers[:cardinality(account_ids) - 1], account_ledgers[2:],
                             account_ids[:cardinality(account_ids) - 1], account_ids[2:])
                      AS u (ledger, next_ledger, id, next_id)
                WHERE ((u.ledger, u.id) < (u.next_ledger, u.next_id)) IS NOT TRUE) THEN
        RAISE EXCEPTION 'malformed call: accounts are not in strictly ascending order'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- Lock the accounts in the order of the call, so that no two batches can deadlock.
    SELECT array_agg(a.row_tid), array_agg(a.flags), array_agg(a.overdraft_limit),
           array_agg(a.debits_pending), array_agg(a.debits_posted),
           array_agg(a.credits_pending), array_agg(a.credits_posted),
           array_agg(a.version), array_agg(a.version), max(a.changed_at)
      INTO row_tids, account_flags, overdrafts, debits_pending, debits_posted, credits_pending,
           credits_posted, versions, versions_before, now_at
      FROM unnest(account_ledgers, account_ids) AS u (ledger, id)
      LEFT JOIN LATERAL (SELECT s.*, s.ctid AS row_tid
                           FROM giro.account_state s
                          WHERE s.ledger = u.ledger AND s.id = u.id
                            FOR NO KEY UPDATE) AS a ON true;
    IF clock_timestamp() > not_after THEN
        RAISE EXCEPTION 'the batch reached its accounts only after %', not_after
            USING ERRCODE = 'GR001';
    END IF;

    -- Everything below is recorded under this number and moment.
    batch_id := nextval('giro.batch_id');
    now_at := greatest(clock_timestamp(), now_at);
    echo := token;
    result_ids := ids;
    result_amounts := amounts;
    reasons := array_fill(NULL::text, ARRAY[n]);
    replayed := array_fill(false, ARRAY[n]);
    seqs := array_fill(NULL::bigint, ARRAY[n]);
    created_ats := array_fill(NULL::timestamptz, ARRAY[n]);

    -- Ids decided earlier: in the table, or within this call.
    FOR known IN
        SELECT u.position, k.reason, k.seq, k.amount, k.created_at,
               giro.transfer_difference(
                   k.flags, u.flags, k.pending_id, u.pending_id, k.timeout, u.timeout,
                   k.debit_account, account_ids[u.debit], k.credit_account, account_ids[u.credit],
                   k.amount, u.amount, k.reference, u.reference, k.metadata, u.metadata,
                   k.code, u.code) AS difference
          FROM unnest(ids, ledgers, flags, pending_ids, timeouts, debit_accounts, credit_accounts,
                      amounts, "references", metadatas, codes) WITH ORDINALITY
               AS u (id, ledger, flags, pending_id, timeout, debit, credit,
                     amount, reference, metadata, code, position)
          JOIN giro.decisions k ON k.ledger = u.ledger AND k.id = u.id
    LOOP
        p := known.position;
        reasons[p] := coalesce(known.reason, known.difference);
        replayed[p] := known.reason IS NOT NULL OR known.difference IS NULL;
        result_amounts[p] := known.amount;
        seqs[p] := known.seq;
        created_ats[p] := known.created_at;
    END LOOP;
    IF repeats_ids THEN
        SELECT array_agg(w.previous ORDER BY w.position)
          INTO previous
          FROM (SELECT u.position,
                       lag(u.position) OVER (PARTITION BY u.ledger, u.id ORDER BY u.position) AS previous
                  FROM unnest(ledgers, ids) WITH ORDINALITY AS u (ledger, id, position)) AS w;
    END IF;

    -- Judge one after another: each transfer sees the effects of those before it.
    FOR i IN 1 .. n LOOP
        CONTINUE WHEN seqs[i] IS NOT NULL;

        IF previous[i] IS NOT NULL THEN
            p := CASE WHEN recorded[previous[i]] THEN previous[i] ELSE deciders[previous[i]] END;
            deciders[i] := p;
            IF p IS NOT NULL THEN
                reason := giro.transfer_difference(
                    flags[p], flags[i], pending_ids[p], pending_ids[i], timeouts[p], timeouts[i],
                    account_ids[debit_accounts[p]], account_ids[debit_accounts[i]],
                    account_ids[credit_accounts[p]], account_ids[credit_accounts[i]],
                    amounts[p], amounts[i], "references"[p], "references"[i],
                    metadatas[p], metadatas[i], codes[p], codes[i]);
                reasons[i] := coalesce(reasons[p], reason);
                replayed[i] := reasons[p] IS NOT NULL OR reason IS NULL;
                result_amounts[i] := result_amounts[p];
                seqs[i] := seqs[p];
                created_ats[i] := now_at;
                CONTINUE;
            END IF;
        END IF;

        d := debit_accounts[i];
        c := credit_accounts[i];
        amount := amounts[i];
        -- In order of precedence: the first that holds is the answer.
        reason := CASE
            WHEN ids[i] = ID_ZERO THEN 'id_must_not_be_zero'
            WHEN ids[i] = ID_MAX THEN 'id_must_not_be_max'
            -- Also the end of a chain, which has no flag of its own: a chain is never half applied.
            WHEN flags[i] <> 0 OR (flags[i - 1] & LINKED <> 0
                                   AND requests[i - 1] IS NOT DISTINCT FROM requests[i])
                 OR timestamps[i] IS NOT NULL OR chain_scopes[i]
                 OR expect_debit_versions[i] IS NOT NULL OR expect_credit_versions[i] IS NOT NULL
                THEN 'not_supported'
            WHEN account_ids[d] = ID_ZERO THEN 'debit_account_must_not_be_zero'
            WHEN account_ids[d] = ID_MAX THEN 'debit_account_must_not_be_max'
            WHEN account_ids[c] = ID_ZERO THEN 'credit_account_must_not_be_zero'
            WHEN account_ids[c] = ID_MAX THEN 'credit_account_must_not_be_max'
            WHEN d = c THEN 'accounts_must_be_different'
            WHEN pending_ids[i] IS NOT NULL THEN 'pending_id_must_be_absent'
            WHEN timeouts[i] <> 0 THEN 'timeout_reserved_for_pending_transfer'
            WHEN ledgers[i] = 0 THEN 'ledger_must_not_be_zero'
            WHEN codes[i] = 0 THEN 'code_must_not_be_zero'
            WHEN versions[d] IS NULL THEN 'debit_account_not_found'
            WHEN versions[c] IS NULL THEN 'credit_account_not_found'
            WHEN account_ledgers[d] <> account_ledgers[c] THEN 'accounts_must_have_the_same_ledger'
            WHEN account_ledgers[d] <> ledgers[i]
                THEN 'transfer_must_have_the_same_ledger_as_accounts'
            WHEN debits_posted[d] + amount > AMOUNT_MAX THEN 'overflows_debits_posted'
            WHEN credits_posted[c] + amount > AMOUNT_MAX THEN 'overflows_credits_posted'
            WHEN debits_pending[d] + debits_posted[d] + amount > AMOUNT_MAX THEN 'overflows_debits'
            WHEN credits_pending[c] + credits_posted[c] + amount > AMOUNT_MAX
                THEN 'overflows_credits'
            WHEN account_flags[d] & DEBITS_MUST_NOT_EXCEED_CREDITS <> 0
                 AND debits_pending[d] + debits_posted[d] + amount > credits_posted[d] + overdrafts[d]
                THEN 'exceeds_credits'
            WHEN account_flags[c] & CREDITS_MUST_NOT_EXCEED_DEBITS <> 0
                 AND credits_pending[c] + credits_posted[c] + amount > debits_posted[c] + overdrafts[c]
                THEN 'exceeds_debits'
        END;

        IF reason IS NULL THEN
            debits_posted[d] := debits_posted[d] + amount;
            credits_posted[c] := credits_posted[c] + amount;
            versions[d] := versions[d] + 1;
            versions[c] := versions[c] + 1;
        ELSE
            reasons[i] := reason;
            -- Only a refusal that depends on state burns the id.
            CONTINUE WHEN reason NOT IN ('debit_account_not_found', 'credit_account_not_found',
                                         'exceeds_credits', 'exceeds_debits');
        END IF;
        recorded[i] := true;
        seqs[i] := batch_id * 65536 + i;
        created_ats[i] := now_at;
    END LOOP;

    -- Write in sets, ids ascending after the accounts: one order for every writer.
    INSERT INTO giro.decisions (seq, created_at, ledger, code, flags, id, debit_account,
                                credit_account, amount, pending_id, timeout, reason, reference,
                                metadata)
    SELECT u.seq, now_at, u.ledger, u.code, u.flags, u.id, account_ids[u.debit],
           account_ids[u.credit], u.amount, u.pending_id, u.timeout, u.reason, u.reference,
           u.metadata
      FROM unnest(recorded, seqs, ledgers, codes, flags, ids, debit_accounts, credit_accounts,
                  amounts, pending_ids, timeouts, reasons, "references", metadatas)
           AS u (recorded, seq, ledger, code, flags, id, debit, credit,
                 amount, pending_id, timeout, reason, reference, metadata)
     WHERE u.recorded
     ORDER BY u.ledger, u.id;

    UPDATE giro.account_state AS s
       SET debits_posted = u.debits_posted, credits_posted = u.credits_posted,
           version = u.version, changed_at = now_at
      FROM unnest(row_tids, debits_posted, credits_posted, versions, versions_before)
           AS u (row_tid, debits_posted, credits_posted, version, version_before)
     WHERE u.version <> u.version_before AND s.ctid = u.row_tid;
    -- A locked row stays where it is; were it ever otherwise, nothing of this call may remain.
    GET DIAGNOSTICS n_updated = ROW_COUNT;
    SELECT count(*) INTO n_changed
      FROM unnest(versions, versions_before) AS u (version, version_before)
     WHERE u.version <> u.version_before;
    IF n_updated <> n_changed THEN
        RAISE EXCEPTION 'updated % of % accounts', n_updated, n_changed
            USING ERRCODE = 'data_corrupted';
    END IF;

    INSERT INTO giro.batches (shard, id, kind, items, applied, rejected, replayed, server,
                              created_at)
    SELECT shard, batch_id, 'transfers', n,
           count(*) FILTER (WHERE u.reason IS NULL AND NOT u.replayed),
           count(*) FILTER (WHERE u.reason IS NOT NULL AND NOT u.replayed),
           count(*) FILTER (WHERE u.replayed), server, now_at
      FROM unnest(reasons, replayed) AS u (reason, replayed);
END
$$;
