-- The floor under any ledger on this machine: the bare INSERT of the rows that transfers leave behind, in
-- batches of 1,000, a commit each, time-ordered ids, no rules and no index but the primary key.
--   psql "$(cat .giro/database_url)" -f scripts/floor.sql
\set QUIET on
CREATE TABLE giro_floor (LIKE giro.decisions INCLUDING ALL EXCLUDING INDEXES, PRIMARY KEY (ledger, id));
DO $$
DECLARE
    spent   numeric := 0;
    started timestamptz;
BEGIN
    FOR batch IN 1 .. 300 LOOP
        started := clock_timestamp();
        INSERT INTO giro_floor (seq, created_at, ledger, code, flags, id, debit_account,
                                credit_account, amount)
        SELECT batch * 65536 + n, started, 1, 1, 0,
               (lpad(to_hex((extract(epoch FROM started) * 1000)::bigint), 12, '0')
                || lpad(to_hex(batch * 1000 + n), 20, '0'))::uuid,
               '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002', n
          FROM generate_series(1, 1000) AS n;
        spent := spent + extract(epoch FROM clock_timestamp() - started);
        COMMIT;
    END LOOP;
    RAISE NOTICE 'floor: % us per row', round(spent * 1e6 / 300000, 2);
END
$$;
DROP TABLE giro_floor;
