-- Fills a ledger by the array functions themselves, in calls of 1,000: of ten transfers two are linked, one
-- is a hold, one posts or voids it; one in a hundred is refused, one hold in ten stays open. Ten accounts
-- are debited, a million others credited at random; one in a hundred keeps its history.
--   psql -v transfers=10000000 -f scripts/fill-ledger.sql "$(cat .giro/database_url)"
-- What it makes is real: use a database for trials. Run again, it makes more; -v accounts=0 makes no accounts.
\set QUIET on
\set ON_ERROR_STOP on
\if :{?transfers}
\else
  \set transfers 1000000
\endif
\if :{?accounts}
\else
  \set accounts 1000000
\endif
SET synchronous_commit = off;

CREATE PROCEDURE pg_temp.create_accounts(n_calls int) LANGUAGE plpgsql AS $$
BEGIN
    FOR n_call IN 1 .. n_calls LOOP
        PERFORM giro.create_accounts(
            0, n_call, 'fill-ledger', NULL, array_agg(gen_random_uuid()), array_agg(1),
            array_agg(1), array_agg(CASE WHEN n % 100 = 0 THEN 8 ELSE 0 END), array_agg(0::numeric),
            NULL, NULL, NULL, NULL)
           FROM generate_series(1, 1000) AS n;
        COMMIT;
    END LOOP;
    -- An account without money of its own, for what is refused.
    PERFORM giro.create_accounts(0, 0, 'fill-ledger', NULL,
                                 ARRAY['00000000-0000-0000-0000-00000000f111'::uuid], '{1}', '{1}', '{2}', '{0}', NULL, NULL, NULL, NULL);
END
$$;
CALL pg_temp.create_accounts(:accounts / 1000);
VACUUM ANALYZE giro.account_state, giro.account_details;

CREATE PROCEDURE pg_temp.apply_transfers(n_calls int) LANGUAGE plpgsql AS $$
DECLARE
    empty   CONSTANT uuid := '00000000-0000-0000-0000-00000000f111';
    every   CONSTANT uuid[] := (SELECT array_agg(id) FROM giro.accounts
                                 WHERE ledger = 1 AND id <> empty);
    began   CONSTANT bigint := (SELECT max(id) FROM giro.batch_log);
    a       record;
BEGIN
    FOR n_call IN began + 1 .. began + n_calls LOOP
        WITH item AS MATERIALIZED (
            SELECT n, CASE WHEN n % 100 = 55 THEN empty ELSE every[1 + pair % 10] END AS debit,
                   every[11 + (hashint8(n_call * 1000 + pair)::bigint + 2147483648)
                              % (cardinality(every) - 10)] AS credit,
                   lpad(to_hex(n_call), 12, '0') AS prefix,
                   CASE n % 10 WHEN 1 THEN 1
                               WHEN 8 THEN 2
                               WHEN 9 THEN CASE WHEN n % 100 = 99 THEN 0 WHEN n % 50 = 9 THEN 8
                                                ELSE 4 END
                               ELSE 0 END AS flags
              FROM (SELECT n, n - (n % 10 = 9)::int AS pair FROM generate_series(1, 1000) AS n) AS p),
        known AS MATERIALIZED (
            SELECT id, row_number() OVER (ORDER BY id)::int AS place
              FROM (SELECT debit AS id FROM item UNION SELECT credit FROM item) AS both_sides)
        SELECT (SELECT array_agg(1 ORDER BY place) FROM known) AS account_ledgers,
               (SELECT array_agg(id ORDER BY place) FROM known) AS account_ids,
               array_agg((i.prefix || lpad(to_hex(i.n), 20, '0'))::uuid ORDER BY i.n) AS ids,
               array_agg(1) AS ones,
               array_agg(d.place ORDER BY i.n) AS debits, array_agg(c.place ORDER BY i.n) AS credits,
               array_agg(CASE WHEN i.flags & 12 = 0 THEN (1 + i.n % 100)::numeric END ORDER BY i.n) AS amounts,
               array_agg(i.flags ORDER BY i.n) AS flags,
               array_agg(CASE WHEN i.flags & 12 <> 0
                              THEN (i.prefix || lpad(to_hex(i.n - 1), 20, '0'))::uuid END ORDER BY i.n) AS holds,
               array_agg(CASE WHEN i.n % 100 = 98 THEN 100000000::bigint ELSE 0 END ORDER BY i.n) AS timeouts
          INTO a
          FROM item i JOIN known d ON d.id = i.debit JOIN known c ON c.id = i.credit;
        PERFORM giro.apply_transfers(0, n_call, 'fill-ledger', NULL, a.account_ledgers, a.account_ids, a.ids,
            a.ones, a.debits, a.credits, a.amounts, a.ones, a.flags, a.holds, a.timeouts,
            NULL, NULL, NULL, NULL, NULL, NULL, NULL);
        COMMIT;
        IF (n_call - began) % 1000 = 0 THEN
            RAISE NOTICE '% of % calls', n_call - began, n_calls;
        END IF;
    END LOOP;
END
$$;
CALL pg_temp.apply_transfers(:transfers / 1000);
VACUUM ANALYZE giro.decisions, giro.account_state, giro.batches, giro.account_balances;
