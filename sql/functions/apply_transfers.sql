-- giro.apply_transfers: judges a batch of transfers in order and applies it in the caller's
-- transaction. Arrays in, one array element per column; arrays out, one element per transfer. The
-- rules and their order of precedence are docs/semantics.md.
--
-- In   account_ledgers, account_ids: the distinct accounts of the batch, strictly ascending; this
--      is the lock order. debit_accounts and credit_accounts index into them, from 1. A post or void
--      inherits what it leaves out: a zero account, a zero code, a NULL amount.
--      Flag 512 settles an id for good: the answer is what was decided of it before, else the id is
--      burnt as cancelled. Such an item is a request of its own, with zero accounts and a NULL amount.
--      The arrays from pending_ids on may be NULL or empty as a whole: no transfer carries the column.
--      requests: chains (flag linked) end where it changes, and so does what the first import fixes.
--      chain_scopes: the post or void resolves every hold of the chain whose first its pending_id is.
--      token comes back as echo; not_after: raise GR001 rather than apply past this moment.
--      All arrays may be empty: that writes a row in giro.batches, and shows that a commit passes.
--      dry_run: judge by one look at the live balances; lock nothing, write nothing.
-- How  One UPDATE locks the accounts in order, writes what the batch moves if nothing is refused, and
--      tells whether a rule can refuse any of it. If none can, that was all; else the accounts are read,
--      every transfer is judged from what was before, and the accounts that came out otherwise are
--      corrected.
-- Out  reasons: NULL = applied. replayed: decided by an earlier transfer with the same id.
--      seqs, created_ats: NULL where nothing was recorded.
--      result_debits, result_credits, result_codes: as applied; NULL as a whole when the batch posts
--      and voids nothing.
-- Raises for a malformed call only, never for one bad transfer. SQLSTATE 23505 on decisions_pkey, or
-- 40001: an id was decided by a concurrent batch meanwhile; the same call again sees it. 54000: the
-- chains to resolve are too many for one batch; in smaller batches they may pass.
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
    dry_run                boolean DEFAULT false,
    OUT echo               bigint,
    OUT batch_id           bigint,
    OUT result_ids         uuid[],
    OUT reasons            text[],
    OUT replayed           boolean[],
    OUT seqs               bigint[],
    OUT result_amounts     numeric[],
    OUT created_ats        timestamptz[],
    OUT result_debits      uuid[],
    OUT result_credits     uuid[],
    OUT result_codes       int[]
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, giro, pg_temp
-- One plan for every call, by index at any table size: a plan made while a table was small must not
-- scan it when it is large. OFFSET 0 keeps a look-up by key from becoming a join with the whole table.
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
    ID_ZERO    CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    ID_MAX     CONSTANT uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    TIME_MAX   CONSTANT timestamptz := '294276-12-31 23:59:59 UTC';
    -- Readers of a ledger by time allow for a disorder of a second (docs/api.md).
    WAITED     CONSTANT interval := '500 ms';
    -- What an imported moment can be: what RFC 3339 can write.
    IMPORT_MIN CONSTANT timestamptz := '1970-01-01 00:00:00 UTC';
    IMPORT_MAX CONSTANT timestamptz := '9999-12-31 23:59:59.999999 UTC';
    -- Flags of transfers.
    LINKED          CONSTANT int := 1;
    PENDING         CONSTANT int := 2;
    POST_PENDING    CONSTANT int := 4;
    VOID_PENDING    CONSTANT int := 8;
    BALANCING_DEBIT CONSTANT int := 16;
    BALANCING_CREDIT CONSTANT int := 32;
    CLOSING_DEBIT   CONSTANT int := 64;
    CLOSING_CREDIT  CONSTANT int := 128;
    IMPORTED        CONSTANT int := 256;
    CANCEL          CONSTANT int := 512;
    RESOLVES        CONSTANT int := POST_PENDING | VOID_PENDING;
    BALANCING       CONSTANT int := BALANCING_DEBIT | BALANCING_CREDIT;
    CLOSING         CONSTANT int := CLOSING_DEBIT | CLOSING_CREDIT;
    -- Flags of accounts.
    DEBITS_MUST_NOT_EXCEED_CREDITS CONSTANT int := 2;
    CREDITS_MUST_NOT_EXCEED_DEBITS CONSTANT int := 4;
    HISTORY                        CONSTANT int := 8;
    CLOSED                         CONSTANT int := 32;

    n               CONSTANT int := coalesce(cardinality(ids), 0);
    well_formed     boolean;
    ascending       boolean;  -- the accounts; NULL for one or none
    malformed       boolean;
    repeats_ids     boolean;
    all_flags       int;      -- set in any transfer
    forms_differ    boolean;  -- from that of a direct transfer whose fields are all in range
    importing       boolean;
    all_new         boolean;  -- no id was decided before, and there is no chain
    irrefusable     boolean;  -- no rule can refuse any transfer of the call
    now_at          timestamptz;
    taken_at        timestamptz;  -- when the accounts were locked
    changed_first   timestamptz;  -- the earliest changed_at of them, once written
    timeout_max     bigint;   -- seconds until the end of time
    -- Accounts, by their index in the call: what they are, and what each transfer makes of them.
    account_flags   int[];
    overdrafts      numeric[];
    row_tids        tid[];  -- where the locked row is
    debits_pending  numeric[];
    debits_posted   numeric[];
    credits_pending numeric[];
    credits_posted  numeric[];
    versions        bigint[];
    versions_before bigint[];
    changed_ats     timestamptz[];
    last_transfers  uuid[];
    opened_ats      timestamptz[];  -- when the account was created; known while importing
    -- What they would move if nothing were refused; with it they are written when they are locked.
    foreseen_debits_pending  numeric[];
    foreseen_debits_posted   numeric[];
    foreseen_credits_pending numeric[];
    foreseen_credits_posted  numeric[];
    foreseen_versions        bigint[];
    foreseen_transfers       uuid[];
    written_flags            int[];
    written_debits_pending   numeric[];
    written_debits_posted    numeric[];
    written_credits_pending  numeric[];
    written_credits_posted   numeric[];
    written_versions         bigint[];
    written_changed_ats      timestamptz[];
    changed_ats_before       timestamptz[];
    last_transfers_before    uuid[];
    all_found       boolean;  -- accounts, in their order; NULL for none
    found           int[];  -- the indexes of those that exist
    restrained      boolean;  -- one of them might refuse a transfer
    places          int[];  -- where an account of the call is among those of the call and the holds
    -- Transfers, by position.
    known_as        text[];  -- 'applied' or a reason, for an id that was decided before
    debit_previous  uuid[];  -- the transfer before it on the account
    credit_previous uuid[];
    faults          text[];  -- of imports
    forms           text[];  -- of what a transfer alone can tell
    recorded        boolean[] := array_fill(false, ARRAY[n]);  -- decided for good by this call
    previous        int[];  -- the last earlier position with the same id
    deciders        int[];  -- the position of this call that decided the same id
    hold_slots      int[];  -- the hold that a post or void names
    own_slots       int[];  -- the hold that a pending transfer is
    -- Holds, by slot: those named, the rest of their chains, those of this call.
    hold_ledgers    int[];
    hold_ids        uuid[];
    hold_flags      int[];  -- NULL: there is no such transfer (yet)
    hold_debits     int[];
    hold_credits    int[];
    hold_amounts    numeric[];
    hold_codes      int[];
    hold_ends       timestamptz[];
    hold_fates      int[];  -- flags of what resolved it
    hold_places     int[];  -- in its chain, from 1
    hold_nexts      int[];  -- the slot of the next hold of its chain
    holds_appeared  boolean;
    -- Imports, by ledger.
    import_ledgers  int[];
    import_lasts    timestamptz[];
    import_slot     int;
    -- The chain that is being judged, and what it has changed.
    chain_first     int;
    chain_last      int;
    chain_broken    boolean := false;
    chain_burns     boolean := false;  -- broken for a reason that depends on state
    chain_repeats   boolean;  -- every member had been applied before
    chain_seqs      int;
    chain_history   int;
    chain_further   int;
    chain_imports   timestamptz[];
    chain_holds     int;
    n_undo          int := 0;
    undo_accounts   int[];
    undo_debits_pending  numeric[];
    undo_debits_posted   numeric[];
    undo_credits_pending numeric[];
    undo_credits_posted  numeric[];
    undo_versions   bigint[];
    undo_flags      int[];
    undo_changed_ats timestamptz[];
    undo_last_transfers uuid[];
    n_undo_holds    int := 0;
    undo_holds      int[];
    undo_hold_flags int[];
    undo_hold_fates int[];
    -- Rows to write beside one decision a transfer: what else a chain scope resolves; history.
    n_seqs          int := 0;
    n_further       int := 0;
    further_seqs    bigint[];
    further_items   int[];
    further_slots   int[];
    further_amounts numeric[];
    further_ids     uuid[];
    further_debit_previous  uuid[];
    further_credit_previous uuid[];
    n_history       int := 0;
    history_accounts int[];
    history_seqs    bigint[];
    history_versions bigint[];
    history_debits_pending  numeric[];
    history_debits_posted   numeric[];
    history_credits_pending numeric[];
    history_credits_posted  numeric[];
    history_times   timestamptz[];
    n_linked_holds  int := 0;
    linked_holds    int[];
    linked_firsts   int[];
    linked_places   int[];
    -- One transfer.
    known           record;
    amount          numeric;
    held            numeric;
    derived         uuid;
    reason          text;
    f               int;  -- its flags
    time_at         timestamptz;
    seq             bigint;
    n_moved         int;
    n_rejected      int;
    n_replayed      int;
    n_updated       int;
    n_changed       int;
    d               int;
    c               int;
    h               int;
    p               int;
    x               int;
BEGIN
    -- Check the call itself.
    SELECT count(*) = n
           AND count(*) FILTER (WHERE
                   u.id IS NOT NULL
                   AND u.ledger >= 0
                   AND u.debit BETWEEN 1 AND cardinality(account_ids)
                   AND u.credit BETWEEN 1 AND cardinality(account_ids)
                   AND (u.amount BETWEEN 0 AND AMOUNT_MAX AND u.amount = trunc(u.amount)
                        OR u.amount IS NULL AND u.flags & (RESOLVES | CANCEL) <> 0)
                   AND u.code BETWEEN 0 AND 65535
                   AND u.flags BETWEEN 0 AND CANCEL) = n,
           count(DISTINCT u.id) < n,
           coalesce(bit_or(u.flags), 0),
           count(*) FILTER (WHERE u.debit <> u.credit AND u.ledger > 0 AND u.code > 0
                              AND u.flags = 0 AND u.id > ID_ZERO AND u.id < ID_MAX
                              AND account_ledgers[u.debit] = u.ledger
                              AND account_ledgers[u.credit] = u.ledger) < n
           OR pending_ids IS NOT NULL OR timeouts IS NOT NULL
           OR ID_ZERO = ANY (account_ids) OR ID_MAX = ANY (account_ids),
           coalesce(bit_or(u.flags), 0) & IMPORTED <> 0 OR timestamps IS NOT NULL,
           (SELECT bool_and(((a.ledger, a.id) < (a.next_ledger, a.next_id)) IS TRUE)
              FROM (SELECT unnest(account_ledgers[:cardinality(account_ids) - 1]) AS ledger,
                           unnest(account_ids[:cardinality(account_ids) - 1]) AS id,
                           unnest(account_ledgers[2:]) AS next_ledger,
                           unnest(account_ids[2:]) AS next_id) AS a)
      INTO well_formed, repeats_ids, all_flags, forms_differ, importing, ascending
      FROM (SELECT unnest(ids) AS id, unnest(ledgers) AS ledger, unnest(debit_accounts) AS debit,
                   unnest(credit_accounts) AS credit, unnest(amounts) AS amount,
                   unnest(codes) AS code, unnest(flags) AS flags) AS u;
    malformed := n > 65535 OR well_formed IS NOT TRUE OR dry_run IS NULL
        OR shard IS NULL OR server IS NULL OR ids IS NULL OR cardinality(amounts) IS DISTINCT FROM n
        OR account_ids IS NULL OR account_ledgers IS NULL
        OR cardinality(account_ledgers) <> cardinality(account_ids)
        OR cardinality(account_ids) = 1 AND (account_ledgers[1] IS NULL OR account_ids[1] IS NULL)
        OR NOT giro.are_columns(cardinality(account_ids), array_dims(account_ids),
                                array_dims(account_ledgers))
        OR NOT giro.are_columns(
               n, array_dims(ids), array_dims(ledgers), array_dims(debit_accounts),
               array_dims(credit_accounts), array_dims(amounts), array_dims(codes),
               array_dims(flags), array_dims(pending_ids), array_dims(timeouts),
               array_dims("references"), array_dims(metadatas), array_dims(timestamps),
               array_dims(expect_debit_versions), array_dims(expect_credit_versions),
               array_dims(chain_scopes), array_dims(requests))
        OR coalesce(0 > ANY (timeouts), false);
    IF importing AND NOT malformed THEN
        malformed := EXISTS (
            SELECT FROM unnest(flags, timestamps) AS u (flags, moment)
             WHERE u.flags & IMPORTED <> 0 AND u.moment IS NULL
                OR u.moment NOT BETWEEN IMPORT_MIN AND IMPORT_MAX);
    END IF;
    IF chain_scopes IS NOT NULL AND NOT malformed THEN
        malformed := EXISTS (
            SELECT FROM unnest(flags, amounts, chain_scopes) AS u (flags, amount, scope)
             WHERE u.scope AND (u.amount IS NOT NULL OR u.flags & RESOLVES = 0));
    END IF;
    IF all_flags & CANCEL <> 0 AND NOT malformed THEN
        malformed := EXISTS (
            SELECT FROM unnest(flags, requests) AS u (flags, request)
             GROUP BY u.request HAVING max(u.flags) = CANCEL AND count(*) > 1);
    END IF;
    IF malformed THEN
        RAISE EXCEPTION 'malformed call: arrays of unequal length, or a value out of its range'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT ascending THEN
        RAISE EXCEPTION 'malformed call: accounts are not in strictly ascending order'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- Find the holds that posts and voids name: their accounts are locked as well.
    IF all_flags & RESOLVES <> 0 THEN
        SELECT * INTO hold_slots, own_slots, hold_ledgers, hold_ids, hold_flags, hold_amounts,
               hold_codes, hold_ends, hold_places, hold_nexts, hold_debits, hold_credits, places,
               account_ledgers, account_ids
          FROM giro.find_holds(account_ledgers, account_ids, ledgers, ids, flags, pending_ids,
                               chain_scopes);
        FOR i IN 1 .. n LOOP
            debit_accounts[i] := places[debit_accounts[i]];
            credit_accounts[i] := places[credit_accounts[i]];
        END LOOP;
    END IF;

    -- Ids decided earlier: in the table, or within this call. What another batch decides after this
    -- look shows as a conflict at the INSERT.
    result_ids := ids;
    result_amounts := amounts;
    reasons := array_fill(NULL::text, ARRAY[n]);
    replayed := array_fill(false, ARRAY[n]);
    seqs := array_fill(NULL::bigint, ARRAY[n]);
    created_ats := array_fill(NULL::timestamptz, ARRAY[n]);
    IF EXISTS (SELECT FROM (SELECT unnest(ledgers) AS ledger, unnest(ids) AS id) AS u
                JOIN LATERAL (SELECT FROM giro.decisions k
                               WHERE k.ledger = u.ledger AND k.id = u.id OFFSET 0) AS k ON true) THEN
        FOR known IN
            SELECT u.position, k.reason, k.seq, k.amount, k.created_at, k.code,
                   giro.transfer_difference(
                       k.flags, u.flags, k.pending_id, u.pending_id, k.timeout, u.timeout,
                       k.debit_account, account_ids[u.debit], k.credit_account, account_ids[u.credit],
                       k.amount, u.amount, hold_amounts[hold_slots[u.position]],
                       k.reference, u.reference, k.metadata, u.metadata, k.code, u.code) AS difference
              FROM (SELECT unnest(ids) AS id, unnest(ledgers) AS ledger, unnest(flags) AS flags,
                           unnest(pending_ids) AS pending_id, unnest(timeouts) AS timeout,
                           unnest(debit_accounts) AS debit, unnest(credit_accounts) AS credit,
                           unnest(amounts) AS amount, unnest("references") AS reference,
                           unnest(metadatas) AS metadata, unnest(codes) AS code,
                           generate_series(1, n) AS position) AS u
              JOIN LATERAL (SELECT k.* FROM giro.decisions k
                             WHERE k.ledger = u.ledger AND k.id = u.id OFFSET 0) AS k ON true
        LOOP
            p := known.position;
            known_as[p] := coalesce(known.reason, known.difference, 'applied');
            replayed[p] := known.reason IS NOT NULL OR known.difference IS NULL;
            result_amounts[p] := known.amount;
            seqs[p] := known.seq;
            created_ats[p] := known.created_at;
            IF known_as[p] = 'applied' AND flags[p] & RESOLVES <> 0 THEN
                debit_accounts[p] := hold_debits[hold_slots[p]];
                credit_accounts[p] := hold_credits[hold_slots[p]];
                codes[p] := known.code;
            END IF;
        END LOOP;
    END IF;
    IF repeats_ids THEN
        SELECT array_agg(w.previous ORDER BY w.position)
          INTO previous
          FROM (SELECT u.position,
                       lag(u.position) OVER (PARTITION BY u.ledger, u.id ORDER BY u.position) AS previous
                  FROM unnest(ledgers, ids) WITH ORDINALITY AS u (ledger, id, position)) AS w;
    END IF;

    -- What a transfer alone can tell, in order of precedence.
    IF forms_differ THEN
        SELECT array_agg(CASE
                   WHEN u.id = ID_ZERO THEN 'id_must_not_be_zero'
                   WHEN u.id = ID_MAX THEN 'id_must_not_be_max'
                   WHEN u.flags = CANCEL AND u.ledger > 0 THEN 'cancelled'
                   WHEN u.flags = CANCEL THEN 'ledger_must_not_be_zero'
                   WHEN u.flags & RESOLVES = RESOLVES
                        OR u.flags & RESOLVES <> 0
                           AND u.flags & (PENDING | BALANCING | CLOSING) <> 0
                       THEN 'flags_are_mutually_exclusive'
                   WHEN u.flags & RESOLVES = 0 AND account_ids[u.debit] = ID_ZERO
                       THEN 'debit_account_must_not_be_zero'
                   WHEN u.flags & RESOLVES = 0 AND account_ids[u.debit] = ID_MAX
                       THEN 'debit_account_must_not_be_max'
                   WHEN u.flags & RESOLVES = 0 AND account_ids[u.credit] = ID_ZERO
                       THEN 'credit_account_must_not_be_zero'
                   WHEN u.flags & RESOLVES = 0 AND account_ids[u.credit] = ID_MAX
                       THEN 'credit_account_must_not_be_max'
                   WHEN u.flags & RESOLVES = 0 AND u.debit = u.credit
                       THEN 'accounts_must_be_different'
                   WHEN u.flags & RESOLVES = 0 AND u.pending_id IS NOT NULL
                       THEN 'pending_id_must_be_absent'
                   WHEN u.flags & RESOLVES <> 0 AND coalesce(u.pending_id, ID_ZERO) = ID_ZERO
                       THEN 'pending_id_must_not_be_zero'
                   WHEN u.pending_id = ID_MAX THEN 'pending_id_must_not_be_max'
                   WHEN u.pending_id = u.id THEN 'pending_id_must_be_different'
                   WHEN u.timeout <> 0 AND u.flags & PENDING = 0
                       THEN 'timeout_reserved_for_pending_transfer'
                   WHEN u.flags & CLOSING <> 0 AND u.flags & PENDING = 0
                       THEN 'closing_transfer_must_be_pending'
                   WHEN u.ledger = 0 THEN 'ledger_must_not_be_zero'
                   WHEN u.flags & RESOLVES = 0 AND u.code = 0 THEN 'code_must_not_be_zero'
               END ORDER BY u.position)
          INTO forms
          FROM unnest(ids, flags, debit_accounts, credit_accounts, pending_ids, timeouts, ledgers,
                      codes) WITH ORDINALITY
               AS u (id, flags, debit, credit, pending_id, timeout, ledger, code, position);
    END IF;

    -- Foresee what each account moves if nothing is refused.
    all_new := all_flags & LINKED = 0 AND NOT repeats_ids AND known_as IS NULL;
    irrefusable := all_new AND all_flags = 0 AND NOT forms_differ AND NOT importing AND NOT dry_run
                   AND expect_debit_versions IS NULL AND expect_credit_versions IS NULL;
    foreseen_debits_posted := array_fill(0::numeric, ARRAY[cardinality(account_ids)]);
    foreseen_credits_posted := foreseen_debits_posted;
    foreseen_versions := array_fill(0::bigint, ARRAY[cardinality(account_ids)]);
    last_transfers := array_fill(NULL::uuid, ARRAY[cardinality(account_ids)]);
    debit_previous := array_fill(NULL::uuid, ARRAY[n]);
    credit_previous := debit_previous;
    IF all_flags & (PENDING | RESOLVES) <> 0 THEN
        foreseen_debits_pending := foreseen_debits_posted;
        foreseen_credits_pending := foreseen_debits_posted;
    END IF;
    FOR i IN 1 .. n LOOP
        d := debit_accounts[i];
        c := credit_accounts[i];
        amount := amounts[i];
        IF NOT irrefusable THEN
            CONTINUE WHEN known_as[i] IS NOT NULL OR forms[i] IS NOT NULL OR previous[i] IS NOT NULL
                          OR flags[i] & (BALANCING | IMPORTED) <> 0 OR chain_scopes[i];
            IF flags[i] & RESOLVES <> 0 THEN
                h := hold_slots[i];
                held := hold_amounts[h];
                CONTINUE WHEN held IS NULL;
                d := hold_debits[h];
                c := hold_credits[h];
                amount := CASE WHEN flags[i] & POST_PENDING <> 0
                               THEN least(coalesce(amount, AMOUNT_MAX), held) ELSE 0 END;
                foreseen_debits_pending[d] := foreseen_debits_pending[d] - held;
                foreseen_credits_pending[c] := foreseen_credits_pending[c] - held;
            ELSIF flags[i] & PENDING <> 0 THEN
                foreseen_debits_pending[d] := foreseen_debits_pending[d] + amount;
                foreseen_credits_pending[c] := foreseen_credits_pending[c] + amount;
                amount := 0;
            END IF;
        END IF;
        foreseen_debits_posted[d] := foreseen_debits_posted[d] + amount;
        foreseen_credits_posted[c] := foreseen_credits_posted[c] + amount;
        foreseen_versions[d] := foreseen_versions[d] + 1;
        foreseen_versions[c] := foreseen_versions[c] + 1;
        debit_previous[i] := last_transfers[d];
        credit_previous[i] := last_transfers[c];
        last_transfers[d] := ids[i];
        last_transfers[c] := ids[i];
    END LOOP;
    IF AMOUNT_MAX < ANY (foreseen_debits_posted) OR AMOUNT_MAX < ANY (foreseen_credits_posted)
       OR AMOUNT_MAX < ANY (foreseen_debits_pending)
       OR AMOUNT_MAX < ANY (foreseen_credits_pending)
       OR -AMOUNT_MAX > ANY (foreseen_debits_pending)
       OR -AMOUNT_MAX > ANY (foreseen_credits_pending) THEN
        -- More than a column holds, or less where many resolve one hold; nothing is foreseen then.
        irrefusable := false;
        foreseen_debits_posted := array_fill(0::numeric, ARRAY[cardinality(account_ids)]);
        foreseen_credits_posted := foreseen_debits_posted;
        foreseen_debits_pending := foreseen_debits_posted;
        foreseen_credits_pending := foreseen_debits_posted;
        foreseen_versions := array_fill(0::bigint, ARRAY[cardinality(account_ids)]);
        last_transfers := array_fill(NULL::uuid, ARRAY[cardinality(account_ids)]);
    END IF;

    -- Lock the accounts in ascending order, so that no two batches can deadlock; and write what is
    -- foreseen in the same pass. = ANY keeps the planner from turning the join around.
    now_at := clock_timestamp();
    IF dry_run THEN
        SELECT array_agg(a.flags), array_agg(a.overdraft_limit),
               array_agg(a.debits_pending), array_agg(a.debits_posted),
               array_agg(a.credits_pending), array_agg(a.credits_posted),
               array_agg(a.version), array_agg(a.changed_at), greatest(now_at, max(a.changed_at))
          INTO account_flags, overdrafts, debits_pending, debits_posted, credits_pending,
               credits_posted, versions, changed_ats, now_at
          FROM unnest(account_ledgers, account_ids) AS u (ledger, id)
          LEFT JOIN LATERAL (SELECT s.* FROM giro.account_state s
                              WHERE s.ledger = u.ledger AND s.id = u.id OFFSET 0) AS a ON true;
        last_transfers := array_fill(NULL::uuid, ARRAY[cardinality(account_ids)]);
    ELSE
        WITH taken AS (
            UPDATE giro.account_state AS s
               SET debits_pending = CASE WHEN u.debits_pending IS NULL THEN s.debits_pending
                                         ELSE s.debits_pending + u.debits_pending END,
                   debits_posted = s.debits_posted + u.debits_posted,
                   credits_pending = CASE WHEN u.credits_pending IS NULL THEN s.credits_pending
                                          ELSE s.credits_pending + u.credits_pending END,
                   credits_posted = s.credits_posted + u.credits_posted,
                   version = s.version + u.versions,
                   changed_at = CASE WHEN u.versions > 0 THEN greatest(s.changed_at, now_at)
                                     ELSE s.changed_at END,
                   changed_at_before = s.changed_at,
                   last_transfer = coalesce(u.transfer, s.last_transfer),
                   last_transfer_before = s.last_transfer
              FROM (SELECT unnest(account_ledgers) AS ledger, unnest(account_ids) AS id,
                           unnest(foreseen_debits_pending) AS debits_pending,
                           unnest(foreseen_debits_posted) AS debits_posted,
                           unnest(foreseen_credits_pending) AS credits_pending,
                           unnest(foreseen_credits_posted) AS credits_posted,
                           unnest(foreseen_versions) AS versions,
                           unnest(last_transfers) AS transfer,
                           generate_series(1, cardinality(account_ids)) AS place) AS u
             WHERE s.ledger = ANY (ARRAY[u.ledger]) AND s.id = u.id
            RETURNING u.place, s.ctid AS row_tid, s.changed_at, s.last_transfer_before,
                      s.flags & (CLOSED | HISTORY) <> 0
                      OR s.debits_pending + s.debits_posted > AMOUNT_MAX
                      OR s.credits_pending + s.credits_posted > AMOUNT_MAX
                      OR s.flags & DEBITS_MUST_NOT_EXCEED_CREDITS <> 0
                         AND s.debits_pending + s.debits_posted
                             > s.credits_posted - u.credits_posted + s.overdraft_limit
                      OR s.flags & CREDITS_MUST_NOT_EXCEED_DEBITS <> 0
                         AND s.credits_pending + s.credits_posted
                             > s.debits_posted - u.debits_posted + s.overdraft_limit AS restrains)
        SELECT array_agg(t.place), array_agg(t.row_tid), array_agg(t.last_transfer_before),
               min(t.changed_at), greatest(now_at, max(t.changed_at)), bool_or(t.restrains),
               array_agg(t.place) = ARRAY(SELECT generate_series(1, cardinality(account_ids)))
          INTO found, row_tids, last_transfers_before, changed_first, now_at, restrained, all_found
          FROM taken t;
        IF all_found IS NOT TRUE THEN
            irrefusable := false;
            -- Whatever made the plan another one, nothing may go to another account than its own.
            IF EXISTS (SELECT FROM (SELECT unnest(found[:cardinality(found) - 1]) AS place,
                                           unnest(found[2:]) AS next) AS u
                        WHERE u.place > u.next) THEN
                RAISE EXCEPTION 'the accounts were not locked in their order'
                    USING ERRCODE = 'data_corrupted', HINT = 'See giro doctor: the function or the '
                        'indexes of giro.account_state are not as giro migrate leaves them.';
            END IF;
            -- Every account that exists back to its place.
            SELECT array_agg(CASE WHEN found[b.bucket] = b.place THEN row_tids[b.bucket] END)
              INTO row_tids
              FROM (SELECT u.place, width_bucket(u.place, found) AS bucket
                      FROM generate_series(1, cardinality(account_ids)) AS u (place)) AS b;
        END IF;

        -- The moment of the batch was read before the locks. Who had to wait for them reads it anew;
        -- so does who would post a hold that has ended meanwhile.
        taken_at := clock_timestamp();
        IF taken_at > not_after THEN
            RAISE EXCEPTION 'the batch reached its accounts only after %', not_after
                USING ERRCODE = 'GR001';
        END IF;
        IF taken_at - now_at > WAITED
           OR EXISTS (SELECT FROM unnest(hold_ends) AS u (ends)
                       WHERE u.ends > now_at AND u.ends <= taken_at) THEN
            now_at := taken_at;
        END IF;
        irrefusable := irrefusable AND NOT restrained AND changed_first = now_at;
        IF NOT irrefusable THEN
            foreseen_transfers := last_transfers;
            debit_previous := array_fill(NULL::uuid, ARRAY[n]);
            credit_previous := debit_previous;
            SELECT array_agg(s.flags), array_agg(s.overdraft_limit), array_agg(s.debits_pending),
                   array_agg(s.debits_posted), array_agg(s.credits_pending),
                   array_agg(s.credits_posted), array_agg(s.version), array_agg(s.changed_at),
                   array_agg(s.debits_pending - coalesce(u.debits_pending, 0)),
                   array_agg(s.debits_posted - u.debits_posted),
                   array_agg(s.credits_pending - coalesce(u.credits_pending, 0)),
                   array_agg(s.credits_posted - u.credits_posted),
                   array_agg(s.version - u.versions),
                   array_agg(s.changed_at_before), array_agg(s.last_transfer_before),
                   count(u.row_tid) - count(s.id)
              INTO written_flags, overdrafts, written_debits_pending, written_debits_posted,
                   written_credits_pending, written_credits_posted, written_versions,
                   written_changed_ats, debits_pending, debits_posted, credits_pending,
                   credits_posted, versions_before, changed_ats_before, last_transfers_before,
                   n_moved
              FROM (SELECT unnest(row_tids) AS row_tid,
                           unnest(foreseen_debits_pending) AS debits_pending,
                           unnest(foreseen_debits_posted) AS debits_posted,
                           unnest(foreseen_credits_pending) AS credits_pending,
                           unnest(foreseen_credits_posted) AS credits_posted,
                           unnest(foreseen_versions) AS versions) AS u
              LEFT JOIN LATERAL (SELECT s.* FROM giro.account_state s
                                  WHERE s.ctid = u.row_tid OFFSET 0) AS s ON true;
            -- A locked row stays where it is; were it ever otherwise, nothing of this call may remain.
            IF n_moved > 0 THEN
                RAISE EXCEPTION '% accounts are no longer where they were', n_moved
                    USING ERRCODE = 'data_corrupted';
            END IF;
            account_flags := written_flags;
            versions := versions_before;
            changed_ats := changed_ats_before;
            last_transfers := last_transfers_before;
        END IF;
    END IF;

    -- Everything below is recorded under this number and moment.
    batch_id := CASE WHEN dry_run THEN 0 ELSE giro.enter_batch() END;
    timeout_max := extract(epoch FROM TIME_MAX) - extract(epoch FROM now_at);
    echo := token;
    -- What became of the holds until now.
    IF all_flags & RESOLVES <> 0 THEN
        SELECT array_agg(r.flags ORDER BY u.slot), bool_or(k.id IS NOT NULL)
          INTO hold_fates, holds_appeared
          FROM unnest(hold_ledgers, hold_ids, hold_flags) WITH ORDINALITY
               AS u (ledger, id, flags, slot)
          LEFT JOIN LATERAL (SELECT r.flags FROM giro.decisions r
                              WHERE r.ledger = u.ledger AND r.pending_id = u.id
                                AND r.reason IS NULL OFFSET 0) AS r ON true
          LEFT JOIN LATERAL (SELECT k.id FROM giro.decisions k
                              WHERE u.flags IS NULL AND k.ledger = u.ledger AND k.id = u.id
                                AND k.reason IS NULL OFFSET 0) AS k ON true;
        IF holds_appeared THEN
            RAISE EXCEPTION 'a hold was made by a concurrent batch'
                USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;

    IF importing THEN
        faults := giro.import_faults(flags, IMPORTED, timestamps, requests, now_at);
        SELECT array_agg(a.created_at) INTO opened_ats
          FROM unnest(account_ledgers, account_ids) AS u (ledger, id)
          LEFT JOIN LATERAL (SELECT s.* FROM giro.account_state s
                              WHERE s.ledger = u.ledger AND s.id = u.id OFFSET 0) AS a ON true;
        -- Imports into a ledger are in one order: its row is locked after the accounts.
        IF NOT dry_run THEN
            INSERT INTO giro.imports AS i (ledger, kind, last_at)
            SELECT DISTINCT u.ledger, 'transfers', timestamptz '-infinity'
              FROM unnest(ledgers, flags) AS u (ledger, flags)
             WHERE u.flags & IMPORTED <> 0 AND u.ledger > 0
             ORDER BY u.ledger
                ON CONFLICT (ledger, kind) DO UPDATE SET last_at = i.last_at;
        END IF;
        SELECT array_agg(u.ledger), array_agg(i.last_at)
          INTO import_ledgers, import_lasts
          FROM (SELECT DISTINCT ledger FROM unnest(ledgers) AS t (ledger)) AS u
          LEFT JOIN giro.imports i ON i.ledger = u.ledger AND i.kind = 'transfers';
    END IF;

    IF irrefusable THEN
        created_ats := array_fill(now_at, ARRAY[n]);
        n_seqs := n;
        SELECT array_agg(batch_id * 65536 + u.position)
          INTO seqs
          FROM generate_series(1, n) AS u (position);
    END IF;
    -- Judge one after another: each transfer sees the effects of those before it.
    time_at := now_at;
    FOR i IN 1 .. CASE WHEN irrefusable THEN 0 ELSE n END LOOP
        f := flags[i];
        d := debit_accounts[i];
        c := credit_accounts[i];
        amount := amounts[i];
        reason := forms[i];
        IF importing THEN
            time_at := CASE WHEN f & IMPORTED <> 0 THEN timestamps[i] ELSE now_at END;
            import_slot := array_position(import_ledgers, ledgers[i]);
            reason := coalesce(faults[i], reason);
        END IF;

        -- A chain opens.
        IF f & LINKED <> 0 AND chain_first IS NULL THEN
            chain_first := i;
            chain_last := i;
            WHILE flags[chain_last] & LINKED <> 0 AND chain_last < n
                  AND requests[chain_last + 1] IS NOT DISTINCT FROM requests[i] LOOP
                chain_last := chain_last + 1;
            END LOOP;
            chain_seqs := n_seqs;
            chain_history := n_history;
            chain_further := n_further;
            chain_imports := import_lasts;
            n_undo := 0;
            n_undo_holds := 0;
        END IF;

        -- Ids decided by an earlier transfer of this call.
        IF repeats_ids THEN
            FOR j IN i .. CASE WHEN chain_first = i THEN chain_last ELSE i END LOOP
                CONTINUE WHEN known_as[j] IS NOT NULL OR previous[j] IS NULL;
                p := CASE WHEN recorded[previous[j]] THEN previous[j] ELSE deciders[previous[j]] END;
                CONTINUE WHEN p IS NULL OR NOT recorded[p];  -- or undone since
                deciders[j] := p;
                known_as[j] := coalesce(reasons[p], giro.transfer_difference(
                    flags[p], flags[j], pending_ids[p], pending_ids[j], timeouts[p], timeouts[j],
                    account_ids[debit_accounts[p]], account_ids[debit_accounts[j]],
                    account_ids[credit_accounts[p]], account_ids[credit_accounts[j]],
                    result_amounts[p], amounts[j], hold_amounts[hold_slots[p]],
                    "references"[p], "references"[j], metadatas[p], metadatas[j],
                    codes[p], codes[j]), 'applied');
                replayed[j] := reasons[p] IS NOT NULL OR known_as[j] = 'applied';
                result_amounts[j] := result_amounts[p];
                seqs[j] := seqs[p];
                created_ats[j] := created_ats[p];
                IF known_as[j] = 'applied' THEN
                    debit_accounts[j] := debit_accounts[p];
                    credit_accounts[j] := credit_accounts[p];
                    codes[j] := codes[p];
                END IF;
            END LOOP;
        END IF;
        IF chain_first = i THEN
            chain_repeats := flags[chain_last] & LINKED = 0;
            FOR j IN chain_first .. chain_last LOOP
                chain_repeats := chain_repeats AND known_as[j] IS NOT DISTINCT FROM 'applied';
            END LOOP;
        END IF;

        -- In order of precedence: the first that holds is the answer. A burnt id keeps its own.
        IF NOT all_new THEN
            reason := CASE
                WHEN chain_broken AND replayed[i] AND known_as[i] <> 'applied' THEN known_as[i]
                WHEN chain_broken THEN 'linked_event_failed'
                WHEN i = chain_last AND f & LINKED <> 0 THEN 'linked_event_chain_open'
                WHEN faults[i] IS NOT NULL THEN faults[i]
                WHEN known_as[i] <> 'applied' THEN known_as[i]
                WHEN known_as[i] = 'applied' AND NOT chain_repeats THEN 'exists'
                WHEN known_as[i] = 'applied' THEN NULL
                ELSE reason
            END;
        END IF;
        IF reason IS NOT NULL OR known_as[i] IS NOT NULL THEN
            NULL;  -- decided

        -- Direct transfers and holds.
        ELSIF f & RESOLVES = 0 THEN
            IF f & BALANCING <> 0 THEN
                amount := least(
                    amount,
                    CASE WHEN f & BALANCING_DEBIT <> 0
                         THEN greatest(0, credits_posted[d] + overdrafts[d]
                                          - debits_posted[d] - debits_pending[d]) END,
                    CASE WHEN f & BALANCING_CREDIT <> 0
                         THEN greatest(0, debits_posted[c] + overdrafts[c]
                                          - credits_posted[c] - credits_pending[c]) END);
            END IF;
            reason := CASE
                WHEN versions[d] IS NULL THEN 'debit_account_not_found'
                WHEN versions[c] IS NULL THEN 'credit_account_not_found'
                WHEN account_ledgers[d] <> account_ledgers[c]
                    THEN 'accounts_must_have_the_same_ledger'
                WHEN account_ledgers[d] <> ledgers[i]
                    THEN 'transfer_must_have_the_same_ledger_as_accounts'
                WHEN f & IMPORTED <> 0 AND (
                         time_at <= import_lasts[import_slot]
                         OR time_at <= changed_ats[d] AND versions[d] > 0
                         OR time_at <= changed_ats[c] AND versions[c] > 0)
                    THEN 'imported_event_timestamp_must_not_regress'
                WHEN f & IMPORTED <> 0 AND time_at <= opened_ats[d]
                    THEN 'imported_event_timestamp_must_postdate_debit_account'
                WHEN f & IMPORTED <> 0 AND time_at <= opened_ats[c]
                    THEN 'imported_event_timestamp_must_postdate_credit_account'
                WHEN f & IMPORTED <> 0 AND timeouts[i] <> 0
                    THEN 'imported_event_timeout_must_be_zero'
                WHEN account_flags[d] & CLOSED <> 0 THEN 'debit_account_already_closed'
                WHEN account_flags[c] & CLOSED <> 0 THEN 'credit_account_already_closed'
                WHEN f & PENDING <> 0 AND debits_pending[d] + amount > AMOUNT_MAX
                    THEN 'overflows_debits_pending'
                WHEN f & PENDING <> 0 AND credits_pending[c] + amount > AMOUNT_MAX
                    THEN 'overflows_credits_pending'
                WHEN debits_posted[d] + amount > AMOUNT_MAX THEN 'overflows_debits_posted'
                WHEN credits_posted[c] + amount > AMOUNT_MAX THEN 'overflows_credits_posted'
                WHEN debits_pending[d] + debits_posted[d] + amount > AMOUNT_MAX
                    THEN 'overflows_debits'
                WHEN credits_pending[c] + credits_posted[c] + amount > AMOUNT_MAX
                    THEN 'overflows_credits'
                WHEN timeouts[i] > timeout_max THEN 'overflows_timeout'
                WHEN expect_debit_versions[i] <> versions[d]
                     OR expect_credit_versions[i] <> versions[c] THEN 'version_mismatch'
                WHEN account_flags[d] & DEBITS_MUST_NOT_EXCEED_CREDITS <> 0
                     AND debits_pending[d] + debits_posted[d] + amount
                         > credits_posted[d] + overdrafts[d] THEN 'exceeds_credits'
                WHEN account_flags[c] & CREDITS_MUST_NOT_EXCEED_DEBITS <> 0
                     AND credits_pending[c] + credits_posted[c] + amount
                         > debits_posted[c] + overdrafts[c] THEN 'exceeds_debits'
            END;

        -- Posts and voids: one hold, or by chain scope all of its chain or none.
        ELSE
            h := hold_slots[i];
            reason := CASE
                WHEN hold_flags[h] IS NULL OR chain_scopes[i] AND hold_places[h] > 1
                    THEN 'pending_transfer_not_found'
                WHEN hold_flags[h] & PENDING = 0 THEN 'pending_transfer_not_pending'
                WHEN account_ids[d] NOT IN (ID_ZERO, account_ids[hold_debits[h]])
                    THEN 'pending_transfer_has_different_debit_account'
                WHEN account_ids[c] NOT IN (ID_ZERO, account_ids[hold_credits[h]])
                    THEN 'pending_transfer_has_different_credit_account'
                WHEN account_ledgers[d] <> ledgers[i] OR account_ledgers[c] <> ledgers[i]
                    THEN 'pending_transfer_has_different_ledger'
                WHEN codes[i] NOT IN (0, hold_codes[h]) THEN 'pending_transfer_has_different_code'
                WHEN f & POST_PENDING <> 0 AND amount > hold_amounts[h]
                     AND amount < AMOUNT_MAX THEN 'exceeds_pending_transfer_amount'
                WHEN f & VOID_PENDING <> 0 AND amount <> hold_amounts[h]
                    THEN 'pending_transfer_has_different_amount'
            END;
            WHILE reason IS NULL AND h IS NOT NULL LOOP
                d := hold_debits[h];
                c := hold_credits[h];
                reason := CASE
                    WHEN hold_fates[h] & POST_PENDING <> 0 THEN 'pending_transfer_already_posted'
                    WHEN hold_fates[h] & VOID_PENDING <> 0 THEN 'pending_transfer_already_voided'
                    WHEN hold_ends[h] <= now_at THEN 'pending_transfer_expired'
                    WHEN f & IMPORTED <> 0 AND (
                             time_at <= import_lasts[import_slot]
                             OR time_at <= changed_ats[d] OR time_at <= changed_ats[c])
                        THEN 'imported_event_timestamp_must_not_regress'
                    WHEN f & VOID_PENDING = 0 AND account_flags[d] & CLOSED <> 0
                        THEN 'debit_account_already_closed'
                    WHEN f & VOID_PENDING = 0 AND account_flags[c] & CLOSED <> 0
                        THEN 'credit_account_already_closed'
                    WHEN h = hold_slots[i] AND (expect_debit_versions[i] <> versions[d]
                                                OR expect_credit_versions[i] <> versions[c])
                        THEN 'version_mismatch'
                END;
                -- The id that a further hold's transfer will have may be taken.
                IF h <> hold_slots[i] THEN
                    derived := giro.member_id(ids[i], hold_ids[h]);
                    IF derived = ANY (ids) OR EXISTS (
                           SELECT FROM giro.decisions k
                            WHERE k.ledger = hold_ledgers[h] AND k.id = derived) THEN
                        reason := coalesce(reason, 'exists');
                    END IF;
                END IF;
                h := CASE WHEN chain_scopes[i] THEN hold_nexts[h] END;
            END LOOP;
        END IF;

        -- Refused: only a refusal that depends on state burns the id, and those of its chain.
        IF reason IS NOT NULL THEN
            reasons[i] := reason;
            replayed[i] := replayed[i] AND reason = known_as[i];
            recorded[i] := known_as[i] IS NULL AND (
                reason IN (
                    'cancelled', 'debit_account_not_found', 'credit_account_not_found',
                    'pending_transfer_not_found', 'debit_account_already_closed',
                    'credit_account_already_closed', 'version_mismatch', 'exceeds_credits',
                    'exceeds_debits')
                OR reason = 'linked_event_failed' AND chain_burns
                   AND ids[i] NOT IN (ID_ZERO, ID_MAX));
            IF chain_first IS NOT NULL AND NOT chain_broken THEN
                chain_broken := true;
                chain_burns := recorded[i] OR replayed[i];
                -- Undo what the chain has changed, the last first.
                FOR u IN REVERSE n_undo .. 1 LOOP
                    x := undo_accounts[u];
                    debits_pending[x] := undo_debits_pending[u];
                    debits_posted[x] := undo_debits_posted[u];
                    credits_pending[x] := undo_credits_pending[u];
                    credits_posted[x] := undo_credits_posted[u];
                    versions[x] := undo_versions[u];
                    account_flags[x] := undo_flags[u];
                    changed_ats[x] := undo_changed_ats[u];
                    last_transfers[x] := undo_last_transfers[u];
                END LOOP;
                FOR u IN REVERSE n_undo_holds .. 1 LOOP
                    hold_flags[undo_holds[u]] := undo_hold_flags[u];
                    hold_fates[undo_holds[u]] := undo_hold_fates[u];
                END LOOP;
                n_seqs := chain_seqs;
                n_history := chain_history;
                n_further := chain_further;
                import_lasts := chain_imports;
                FOR j IN chain_first .. i - 1 LOOP
                    reasons[j] := 'linked_event_failed';
                    replayed[j] := false;
                    CONTINUE WHEN known_as[j] IS NOT NULL;
                    result_amounts[j] := amounts[j];
                    recorded[j] := chain_burns;
                    n_seqs := n_seqs + recorded[j]::int;
                    seqs[j] := CASE WHEN recorded[j] THEN batch_id * 65536 + n_seqs END;
                    created_ats[j] := CASE WHEN recorded[j] THEN now_at END;
                END LOOP;
            END IF;
            IF recorded[i] THEN
                n_seqs := n_seqs + 1;
                seqs[i] := batch_id * 65536 + n_seqs;
                created_ats[i] := now_at;
            END IF;

        -- Applied: one movement, or one for each hold that is resolved.
        ELSIF known_as[i] IS NULL THEN
            recorded[i] := true;
            h := NULL;
            IF f & RESOLVES <> 0 THEN
                h := hold_slots[i];
            END IF;
            LOOP
                IF h IS NOT NULL THEN
                    d := hold_debits[h];
                    c := hold_credits[h];
                END IF;
                IF chain_first IS NOT NULL THEN
                    FOREACH x IN ARRAY ARRAY[d, c] LOOP
                        n_undo := n_undo + 1;
                        undo_accounts[n_undo] := x;
                        undo_debits_pending[n_undo] := debits_pending[x];
                        undo_debits_posted[n_undo] := debits_posted[x];
                        undo_credits_pending[n_undo] := credits_pending[x];
                        undo_credits_posted[n_undo] := credits_posted[x];
                        undo_versions[n_undo] := versions[x];
                        undo_flags[n_undo] := account_flags[x];
                        undo_changed_ats[n_undo] := changed_ats[x];
                        undo_last_transfers[n_undo] := last_transfers[x];
                    END LOOP;
                    FOREACH x IN ARRAY ARRAY[h, own_slots[i]] LOOP
                        CONTINUE WHEN x IS NULL;
                        n_undo_holds := n_undo_holds + 1;
                        undo_holds[n_undo_holds] := x;
                        undo_hold_flags[n_undo_holds] := hold_flags[x];
                        undo_hold_fates[n_undo_holds] := hold_fates[x];
                    END LOOP;
                END IF;

                IF h IS NOT NULL THEN
                    held := hold_amounts[h];
                    debits_pending[d] := debits_pending[d] - held;
                    credits_pending[c] := credits_pending[c] - held;
                    amount := least(coalesce(amounts[i], AMOUNT_MAX), held);
                    IF f & POST_PENDING <> 0 THEN
                        debits_posted[d] := debits_posted[d] + amount;
                        credits_posted[c] := credits_posted[c] + amount;
                    ELSIF hold_flags[h] & CLOSING <> 0 THEN
                        IF hold_flags[h] & CLOSING_DEBIT <> 0 THEN
                            account_flags[d] := account_flags[d] & ~CLOSED;
                        END IF;
                        IF hold_flags[h] & CLOSING_CREDIT <> 0 THEN
                            account_flags[c] := account_flags[c] & ~CLOSED;
                        END IF;
                    END IF;
                    hold_fates[h] := flags[i];
                ELSIF f & PENDING = 0 THEN
                    debits_posted[d] := debits_posted[d] + amount;
                    credits_posted[c] := credits_posted[c] + amount;
                ELSE
                    debits_pending[d] := debits_pending[d] + amount;
                    credits_pending[c] := credits_pending[c] + amount;
                    IF f & CLOSING_DEBIT <> 0 THEN
                        account_flags[d] := account_flags[d] | CLOSED;
                    END IF;
                    IF f & CLOSING_CREDIT <> 0 THEN
                        account_flags[c] := account_flags[c] | CLOSED;
                    END IF;
                    x := own_slots[i];
                    IF x IS NOT NULL THEN
                        hold_debits[x] := d;
                        hold_credits[x] := c;
                        hold_amounts[x] := amount;
                        hold_codes[x] := codes[i];
                        hold_ends[x] := now_at + make_interval(secs => nullif(timeouts[i], 0));
                    END IF;
                END IF;
                IF own_slots[i] IS NOT NULL THEN
                    hold_flags[own_slots[i]] := f;
                END IF;
                versions[d] := versions[d] + 1;
                versions[c] := versions[c] + 1;

                n_seqs := n_seqs + 1;
                seq := batch_id * 65536 + n_seqs;
                IF (account_flags[d] | account_flags[c]) & HISTORY <> 0 THEN
                    FOREACH x IN ARRAY ARRAY[d, c] LOOP
                        CONTINUE WHEN account_flags[x] & HISTORY = 0;
                        n_history := n_history + 1;
                        history_accounts[n_history] := x;
                        history_seqs[n_history] := seq;
                        history_versions[n_history] := versions[x];
                        history_debits_pending[n_history] := debits_pending[x];
                        history_debits_posted[n_history] := debits_posted[x];
                        history_credits_pending[n_history] := credits_pending[x];
                        history_credits_posted[n_history] := credits_posted[x];
                        history_times[n_history] := time_at;
                    END LOOP;
                END IF;
                IF importing THEN
                    changed_ats[d] := time_at;
                    changed_ats[c] := time_at;
                END IF;
                IF seqs[i] IS NULL THEN
                    seqs[i] := seq;
                    created_ats[i] := time_at;
                    debit_previous[i] := last_transfers[d];
                    credit_previous[i] := last_transfers[c];
                    last_transfers[d] := ids[i];
                    last_transfers[c] := ids[i];
                    IF f <> 0 THEN
                        result_amounts[i] := amount;
                        IF h IS NOT NULL THEN
                            debit_accounts[i] := d;
                            credit_accounts[i] := c;
                            codes[i] := hold_codes[h];
                        END IF;
                    END IF;
                ELSE
                    n_further := n_further + 1;
                    further_seqs[n_further] := seq;
                    further_items[n_further] := i;
                    further_slots[n_further] := h;
                    further_amounts[n_further] := amount;
                    further_ids[n_further] := giro.member_id(ids[i], hold_ids[h]);
                    further_debit_previous[n_further] := last_transfers[d];
                    further_credit_previous[n_further] := last_transfers[c];
                    last_transfers[d] := further_ids[n_further];
                    last_transfers[c] := further_ids[n_further];
                END IF;
                EXIT WHEN chain_scopes[i] IS NOT TRUE OR hold_nexts[h] IS NULL;
                h := hold_nexts[h];
            END LOOP;
            IF f & IMPORTED <> 0 THEN
                import_lasts[import_slot] := time_at;
            END IF;
        END IF;

        -- A chain ends. Several holds of one that stands are remembered as its holds.
        IF i = chain_last THEN
            IF all_flags & PENDING <> 0 AND NOT chain_broken AND NOT chain_repeats THEN
                chain_holds := 0;
                p := NULL;
                FOR j IN chain_first .. chain_last LOOP
                    CONTINUE WHEN flags[j] & PENDING = 0;
                    chain_holds := chain_holds + 1;
                    linked_holds[n_linked_holds + chain_holds] := j;
                    linked_firsts[n_linked_holds + chain_holds] :=
                        linked_holds[n_linked_holds + 1];
                    linked_places[n_linked_holds + chain_holds] := chain_holds;
                    IF own_slots[j] IS NOT NULL THEN
                        hold_places[own_slots[j]] := chain_holds;
                        IF p IS NOT NULL THEN
                            hold_nexts[p] := own_slots[j];
                        END IF;
                        p := own_slots[j];
                    END IF;
                END LOOP;
                n_linked_holds := n_linked_holds + CASE WHEN chain_holds > 1 THEN chain_holds ELSE 0 END;
            END IF;
            chain_first := NULL;
            chain_last := NULL;
            chain_broken := false;
            chain_burns := false;
            chain_repeats := NULL;
        END IF;
    END LOOP;

    IF all_flags & RESOLVES <> 0 THEN
        SELECT array_agg(account_ids[u.debit] ORDER BY u.position),
               array_agg(account_ids[u.credit] ORDER BY u.position)
          INTO result_debits, result_credits
          FROM unnest(debit_accounts, credit_accounts) WITH ORDINALITY AS u (debit, credit, position);
        result_codes := codes;
    END IF;
    IF dry_run THEN
        RETURN;
    END IF;
    IF n_seqs > 65535 THEN
        RAISE EXCEPTION 'the batch makes % transfers: at most 65535 fit', n_seqs
            USING ERRCODE = 'program_limit_exceeded';
    END IF;

    -- Write in sets, ids ascending after the accounts: one order for every writer.
    IF irrefusable THEN
        INSERT INTO giro.decisions (seq, created_at, ledger, code, flags, id, debit_account,
                                    credit_account, amount, reference, metadata, debit_previous,
                                    credit_previous)
        SELECT u.seq, now_at, u.ledger, u.code, 0, u.id, account_ids[u.debit],
               account_ids[u.credit], u.amount, u.reference, u.metadata,
               coalesce(u.debit_previous, last_transfers_before[u.debit]),
               coalesce(u.credit_previous, last_transfers_before[u.credit])
          FROM (SELECT unnest(seqs) AS seq, unnest(ledgers) AS ledger, unnest(codes) AS code,
                       unnest(ids) AS id, unnest(debit_accounts) AS debit,
                       unnest(credit_accounts) AS credit, unnest(amounts) AS amount,
                       unnest("references") AS reference, unnest(metadatas) AS metadata,
                       unnest(debit_previous) AS debit_previous,
                       unnest(credit_previous) AS credit_previous) AS u
         ORDER BY u.ledger, u.id;
    ELSE
        INSERT INTO giro.decisions (seq, created_at, ledger, code, flags, id, debit_account,
                                    credit_account, amount, pending_id, timeout, reason, reference,
                                    metadata, debit_previous, credit_previous)
        SELECT u.seq, u.created_at, u.ledger, u.code, u.flags, u.id,
               nullif(account_ids[u.debit], ID_ZERO), nullif(account_ids[u.credit], ID_ZERO), u.amount,
               u.pending_id, u.timeout, u.reason, u.reference, u.metadata,
               u.debit_previous, u.credit_previous
          FROM (SELECT unnest(recorded) AS recorded, unnest(seqs) AS seq,
                       unnest(created_ats) AS created_at, unnest(ledgers) AS ledger,
                       unnest(codes) AS code, unnest(flags) AS flags, unnest(ids) AS id,
                       unnest(debit_accounts) AS debit, unnest(credit_accounts) AS credit,
                       unnest(result_amounts) AS amount, unnest(pending_ids) AS pending_id,
                       unnest(timeouts) AS timeout, unnest(reasons) AS reason,
                       unnest("references") AS reference, unnest(metadatas) AS metadata,
                       unnest(debit_previous) AS debit_previous,
                       unnest(credit_previous) AS credit_previous) AS u
         WHERE u.recorded
         ORDER BY u.ledger, u.id;
    END IF;
    IF n_further > 0 THEN
        INSERT INTO giro.decisions (seq, created_at, ledger, code, flags, id, debit_account,
                                    credit_account, amount, pending_id, reference, metadata,
                                    debit_previous, credit_previous)
        SELECT u.seq, created_ats[u.item], hold_ledgers[u.slot], hold_codes[u.slot],
               flags[u.item] & ~LINKED, u.id,
               account_ids[hold_debits[u.slot]], account_ids[hold_credits[u.slot]], u.amount,
               hold_ids[u.slot], "references"[u.item], metadatas[u.item], u.debit_previous,
               u.credit_previous
          FROM unnest(further_seqs[:n_further], further_items[:n_further],
                      further_slots[:n_further], further_amounts[:n_further],
                      further_ids[:n_further], further_debit_previous[:n_further],
                      further_credit_previous[:n_further])
               AS u (seq, item, slot, amount, id, debit_previous, credit_previous)
         ORDER BY 3, 6;
    END IF;

    -- Accounts of which not all came true that was foreseen.
    IF NOT irrefusable THEN
        WITH corrected AS MATERIALIZED (
            SELECT *
              FROM unnest(row_tids, debits_pending, written_debits_pending,
                          debits_posted, written_debits_posted,
                          credits_pending, written_credits_pending,
                          credits_posted, written_credits_posted, account_flags, written_flags,
                          versions, written_versions, versions_before,
                          changed_ats, written_changed_ats, changed_ats_before, last_transfers,
                          foreseen_transfers, last_transfers_before)
                   AS u (row_tid, debits_pending, written_debits_pending,
                         debits_posted, written_debits_posted,
                         credits_pending, written_credits_pending,
                         credits_posted, written_credits_posted, flags, written_flags,
                         version, written_version, version_before,
                         changed_at, written_changed_at, changed_at_before, last_transfer,
                         foreseen_transfer, last_transfer_before)
             WHERE u.row_tid IS NOT NULL
               AND (u.version <> u.written_version OR u.flags <> u.written_flags
                    OR u.debits_pending <> u.written_debits_pending
                    OR u.debits_posted <> u.written_debits_posted
                    OR u.credits_pending <> u.written_credits_pending
                    OR u.credits_posted <> u.written_credits_posted
                    OR u.last_transfer IS DISTINCT FROM
                       coalesce(u.foreseen_transfer, u.last_transfer_before)
                    OR u.version <> u.version_before
                       AND (importing OR u.written_changed_at <> now_at))),
        updated AS (
            UPDATE giro.account_state AS s
               SET debits_pending = u.debits_pending, debits_posted = u.debits_posted,
                   credits_pending = u.credits_pending, credits_posted = u.credits_posted,
                   version = u.version, flags = u.flags, last_transfer = u.last_transfer,
                   changed_at = CASE WHEN u.version = u.version_before THEN u.changed_at_before
                                     WHEN importing THEN u.changed_at
                                     ELSE now_at END
              FROM corrected u
             WHERE s.ctid = u.row_tid
            RETURNING 1)
        SELECT (SELECT count(*) FROM corrected), (SELECT count(*) FROM updated)
          INTO n_changed, n_updated;
        IF n_updated <> n_changed THEN
            RAISE EXCEPTION 'updated % of % accounts', n_updated, n_changed
                USING ERRCODE = 'data_corrupted';
        END IF;
    END IF;

    IF n_history > 0 THEN
        INSERT INTO giro.account_balances (ledger, account, seq, version, debits_pending,
                                           debits_posted, credits_pending, credits_posted,
                                           created_at)
        SELECT account_ledgers[u.account], account_ids[u.account], u.seq, u.version,
               u.debits_pending, u.debits_posted, u.credits_pending, u.credits_posted, u.created_at
          FROM unnest(history_accounts[:n_history], history_seqs[:n_history],
                      history_versions[:n_history], history_debits_pending[:n_history],
                      history_debits_posted[:n_history], history_credits_pending[:n_history],
                      history_credits_posted[:n_history], history_times[:n_history])
               AS u (account, seq, version, debits_pending, debits_posted, credits_pending,
                     credits_posted, created_at)
         ORDER BY u.account, u.seq;
    END IF;
    IF all_flags & PENDING <> 0 AND timeouts IS NOT NULL THEN
        INSERT INTO giro.open_holds (ledger, id, expires_at)
        SELECT u.ledger, u.id, u.created_at + make_interval(secs => u.timeout)
          FROM unnest(recorded, reasons, flags, timeouts, ledgers, ids, created_ats)
               AS u (recorded, reason, flags, timeout, ledger, id, created_at)
         WHERE u.recorded AND u.reason IS NULL AND u.flags & PENDING <> 0 AND u.timeout > 0;
    END IF;
    IF all_flags & RESOLVES <> 0 THEN
        DELETE FROM giro.open_holds o
         USING unnest(hold_ledgers, hold_ids, hold_fates) AS u (ledger, id, fate)
         CROSS JOIN LATERAL (SELECT w.ctid AS row_tid FROM giro.open_holds w
                              WHERE w.ledger = u.ledger AND w.id = u.id OFFSET 0) AS w
         WHERE u.fate IS NOT NULL AND o.ctid = w.row_tid;
    END IF;
    IF n_linked_holds > 0 THEN
        INSERT INTO giro.hold_chains (ledger, id, chain_ledger, chain_id, place)
        SELECT ledgers[u.hold], ids[u.hold], ledgers[u.first], ids[u.first], u.place
          FROM unnest(linked_holds[:n_linked_holds], linked_firsts[:n_linked_holds],
                      linked_places[:n_linked_holds]) AS u (hold, first, place);
    END IF;
    IF importing THEN
        UPDATE giro.imports AS i
           SET last_at = u.last_at
          FROM unnest(import_ledgers, import_lasts) AS u (ledger, last_at)
         WHERE i.ledger = u.ledger AND i.kind = 'transfers' AND i.last_at < u.last_at;
    END IF;

    -- An id that another batch was deciding, and imports, have been waited for as well.
    IF clock_timestamp() > not_after THEN
        RAISE EXCEPTION 'the batch was written only after %', not_after
            USING ERRCODE = 'GR001';
    END IF;
    n_rejected := 0;
    n_replayed := 0;
    IF NOT irrefusable THEN
        SELECT count(*) FILTER (WHERE u.reason IS NOT NULL AND NOT u.replayed),
               count(*) FILTER (WHERE u.replayed)
          INTO n_rejected, n_replayed
          FROM unnest(reasons, replayed) AS u (reason, replayed);
    END IF;
    INSERT INTO giro.batches (shard, id, kind, items, applied, rejected, replayed, server,
                              created_at)
    VALUES (shard, batch_id, 'transfers', n, n - n_rejected - n_replayed + n_further, n_rejected,
            n_replayed, server, now_at);
END
$$;
