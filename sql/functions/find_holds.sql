-- giro.find_holds: what the posts and voids of a batch refer to. One slot a hold, ascending: those named
-- by pending_ids, the rest of their chains where chain_scopes asks for it, and the batch's own.
--
-- In   columns of giro.apply_transfers, and its dictionary of accounts.
-- Out  named_slots, own_slots: by transfer, the slot that it names, the slot that it has itself.
--      hold_*: by slot; NULL where there is no such transfer (yet). hold_places: its place among the
--      holds of its chain, from 1; hold_nexts: the slot of the next.
--      all_account_*: the dictionary with the holds' accounts, ascending; places: where each account
--      of the batch is in it. hold_debits and hold_credits index into it.
CREATE OR REPLACE FUNCTION giro.find_holds(
    account_ledgers     int[],
    account_ids         uuid[],
    ledgers             int[],
    ids                 uuid[],
    flags               int[],
    pending_ids         uuid[],
    chain_scopes        boolean[],
    OUT named_slots     int[],
    OUT own_slots       int[],
    OUT hold_ledgers    int[],
    OUT hold_ids        uuid[],
    OUT hold_flags      int[],
    OUT hold_amounts    numeric[],
    OUT hold_codes      int[],
    OUT hold_ends       timestamptz[],
    OUT hold_places     int[],
    OUT hold_nexts      int[],
    OUT hold_debits     int[],
    OUT hold_credits    int[],
    OUT places          int[],
    OUT all_account_ledgers int[],
    OUT all_account_ids uuid[]
)
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
BEGIN
    WITH item AS (
        SELECT u.*
          FROM unnest(ledgers, ids, flags, pending_ids, chain_scopes) WITH ORDINALITY
               AS u (ledger, id, flags, pending_id, scope, position)),
    mention AS (
        SELECT 'names' AS kind, position, ledger,
               CASE WHEN flags & (4 | 8) <> 0 THEN pending_id END AS id
          FROM item
        UNION ALL
        SELECT 'is', position, ledger, id FROM item
        UNION ALL
        SELECT 'follows', NULL, m.ledger, m.id
          FROM item i
          JOIN LATERAL (SELECT m.ledger, m.id FROM giro.hold_chains m
                         WHERE m.chain_ledger = i.ledger AND m.chain_id = i.pending_id
                        OFFSET 0) AS m ON true
         WHERE i.scope),
    -- A transfer of the batch matters if another refers to it, by its id or as one of a chain.
    relevant AS (
        SELECT kind, position, ledger,
               CASE WHEN chain_scopes IS NOT NULL
                         OR bool_or(kind <> 'is') OVER (PARTITION BY ledger, id) THEN id END AS id
          FROM mention),
    slotted AS (
        SELECT *, CASE WHEN id IS NOT NULL
                       THEN dense_rank() OVER (ORDER BY id IS NULL, ledger, id)::int END AS slot
          FROM relevant),
    hold AS (
        SELECT s.slot, s.ledger, s.id, k.flags, k.debit_account, k.credit_account, k.amount, k.code,
               k.created_at + make_interval(secs => nullif(k.timeout, 0)) AS ends, l.place,
               CASE WHEN l.id IS NOT NULL
                    THEN lead(s.slot) OVER (PARTITION BY l.chain_ledger, l.chain_id ORDER BY l.place)
               END AS next
          FROM (SELECT DISTINCT slot, ledger, id FROM slotted WHERE slot IS NOT NULL) AS s
          LEFT JOIN LATERAL (SELECT k.* FROM giro.decisions k
                              WHERE k.ledger = s.ledger AND k.id = s.id AND k.reason IS NULL
                             OFFSET 0) AS k ON true
          LEFT JOIN LATERAL (SELECT l.* FROM giro.hold_chains l
                              WHERE chain_scopes IS NOT NULL AND l.ledger = s.ledger
                                AND l.id = s.id OFFSET 0) AS l ON true),
    side AS (
        SELECT *, CASE WHEN id IS NOT NULL
                       THEN dense_rank() OVER (ORDER BY id IS NULL, ledger, id)::int END AS place
          FROM (SELECT 'account' AS kind, position, ledger, id
                  FROM unnest(account_ledgers, account_ids) WITH ORDINALITY AS u (ledger, id, position)
                UNION ALL
                SELECT 'debit', slot, ledger, debit_account FROM hold
                UNION ALL
                SELECT 'credit', slot, ledger, credit_account FROM hold) AS every)
    SELECT h.*, i.*, a.*, t.*
      INTO hold_ledgers, hold_ids, hold_flags, hold_amounts, hold_codes, hold_ends, hold_places,
           hold_nexts, named_slots, own_slots, places, hold_debits, hold_credits,
           all_account_ledgers, all_account_ids
      FROM (SELECT array_agg(ledger), array_agg(id), array_agg(flags), array_agg(amount),
                   array_agg(code), array_agg(ends), array_agg(place), array_agg(next)
              FROM (SELECT * FROM hold ORDER BY slot) AS k) AS h,
           (SELECT array_agg(slot) FILTER (WHERE kind = 'names'),
                   array_agg(slot) FILTER (WHERE kind = 'is')
              FROM (SELECT * FROM slotted ORDER BY position) AS k) AS i,
           (SELECT array_agg(place) FILTER (WHERE kind = 'account'),
                   array_agg(place) FILTER (WHERE kind = 'debit'),
                   array_agg(place) FILTER (WHERE kind = 'credit')
              FROM (SELECT * FROM side ORDER BY position) AS k) AS a,
           (SELECT array_agg(ledger), array_agg(id)
              FROM (SELECT DISTINCT place, ledger, id FROM side
                     WHERE place IS NOT NULL ORDER BY place) AS k) AS t;
END
$$;
