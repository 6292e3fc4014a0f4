-- Holds, chains, imports, history and listing.

-- Their parameters and results have changed; the files in sql/functions make them anew.
DROP FUNCTION IF EXISTS giro.apply_transfers;
DROP FUNCTION IF EXISTS giro.create_accounts;
DROP FUNCTION IF EXISTS giro.transfer_difference;
DROP FUNCTION IF EXISTS giro.account_difference;

-- A post or void that is refused may have left out what it would have inherited from its hold.
ALTER TABLE giro.decisions
    ALTER COLUMN debit_account DROP NOT NULL,
    ALTER COLUMN credit_account DROP NOT NULL,
    ALTER COLUMN amount DROP NOT NULL;

-- A hold is resolved at most once: the index says so, and finds what resolved it.
CREATE UNIQUE INDEX decisions_resolution ON giro.decisions (ledger, pending_id)
    WHERE pending_id IS NOT NULL AND reason IS NULL;

-- The transfers of an account and of a ledger, in order. Each index can be used by a statement of its
-- own kind only, because that alone implies the rest of its condition: before the first ANALYZE the
-- planner takes them for almost empty, and would look up an id in one of them rather than by its key.
CREATE INDEX decisions_debits ON giro.decisions (ledger, debit_account, seq)
    WHERE reason IS NULL AND debit_account IS NOT NULL;
CREATE INDEX decisions_credits ON giro.decisions (ledger, credit_account, seq)
    WHERE reason IS NULL AND credit_account IS NOT NULL;
CREATE INDEX decisions_order ON giro.decisions (ledger, seq)
    WHERE reason IS NULL AND seq > 0;

-- Holds with a timeout that are neither resolved nor released: what giro.expire_holds works off. Rows
-- come and go under the locks of the hold's accounts.
CREATE TABLE giro.open_holds (
    ledger     int         NOT NULL,
    id         uuid        NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (ledger, id)
) WITH (
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX open_holds_expires_at ON giro.open_holds (expires_at);

-- Holds that were released because their time was over. It is no transfer, but a change of both
-- accounts, with a place in their order.
CREATE TABLE giro.expirations (
    ledger     int         NOT NULL,
    id         uuid        NOT NULL,
    seq        bigint      NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (ledger, id)
);

-- Holds that were made in one linked chain, by the chain's first transfer.
CREATE TABLE giro.hold_chains (
    ledger       int  NOT NULL,
    id           uuid NOT NULL,
    chain_ledger int  NOT NULL,
    chain_id     uuid NOT NULL,
    place        int  NOT NULL,
    PRIMARY KEY (ledger, id)
);
CREATE INDEX hold_chains_members ON giro.hold_chains (chain_ledger, chain_id, place);

-- The moment of the last import: the next one is later. Its row lock puts imports in an order.
CREATE TABLE giro.imports (
    ledger  int         NOT NULL,
    kind    text        NOT NULL CHECK (kind IN ('accounts', 'transfers')),
    last_at timestamptz NOT NULL,
    PRIMARY KEY (ledger, kind)
);

CREATE INDEX account_balances_created_at
    ON giro.account_balances (ledger, account, created_at, seq);

ALTER TABLE giro.batches
    DROP CONSTRAINT batches_kind_check,
    ADD CONSTRAINT batches_kind_check CHECK (kind IN ('accounts', 'transfers', 'expirations'));

DO $$
DECLARE
    append_only text;
BEGIN
    FOREACH append_only IN ARRAY ARRAY['expirations', 'hold_chains'] LOOP
        EXECUTE format(
            'CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON giro.%I
                 FOR EACH ROW EXECUTE FUNCTION giro.refuse_change()', append_only);
        EXECUTE format(
            'CREATE TRIGGER append_only_table BEFORE TRUNCATE ON giro.%I
                 FOR EACH STATEMENT EXECUTE FUNCTION giro.refuse_change()', append_only);
        EXECUTE format('ALTER TABLE giro.%I ENABLE ALWAYS TRIGGER append_only_rows', append_only);
        EXECUTE format('ALTER TABLE giro.%I ENABLE ALWAYS TRIGGER append_only_table', append_only);
    END LOOP;
END
$$;
