-- The tables of the ledger. Users read the views (views.sql); only the functions write.
--
-- Every primary key begins with `ledger` (or `shard`), no foreign key crosses tables, and ids come
-- from clients, so that the same schema can be distributed by one scalar. Foreign keys onto hot
-- accounts would also take a share lock on them for every transfer.

-- The row that every batch rewrites: narrow, half-full pages so that updates stay on the page (HOT),
-- and no index on anything a transfer changes.
CREATE TABLE giro.account_state (
    debits_pending  numeric(39, 0) NOT NULL DEFAULT 0,
    debits_posted   numeric(39, 0) NOT NULL DEFAULT 0,
    credits_pending numeric(39, 0) NOT NULL DEFAULT 0,
    credits_posted  numeric(39, 0) NOT NULL DEFAULT 0,
    overdraft_limit numeric(39, 0) NOT NULL DEFAULT 0,
    ledger          int            NOT NULL CHECK (ledger > 0),
    code            int            NOT NULL CHECK (code BETWEEN 1 AND 65535),
    version         bigint         NOT NULL DEFAULT 0,
    created_at      timestamptz    NOT NULL,
    changed_at      timestamptz    NOT NULL,
    flags           int            NOT NULL,
    id              uuid           NOT NULL,
    PRIMARY KEY (ledger, id)
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);

-- What is not needed to judge a transfer.
CREATE TABLE giro.account_details (
    ledger    int   NOT NULL,
    id        uuid  NOT NULL,
    reference text,
    metadata  jsonb,
    PRIMARY KEY (ledger, id)
);

-- Every id that has been decided for good: applied (reason IS NULL) or refused for a reason that
-- depends on state. One table, because one unique index is what gives an id one answer, also when
-- two servers judge it at the same moment.
-- seq = batch * 65536 + position: unique without an index of its own, and it grows along the
-- history of every account, because batch numbers are drawn while the accounts are locked.
CREATE TABLE giro.decisions (
    seq            bigint         NOT NULL,
    created_at     timestamptz    NOT NULL,
    ledger         int            NOT NULL,
    code           int            NOT NULL,
    flags          int            NOT NULL,
    id             uuid           NOT NULL,
    debit_account  uuid           NOT NULL,
    credit_account uuid           NOT NULL,
    amount         numeric(39, 0) NOT NULL,
    pending_id     uuid,
    timeout        bigint,
    reason         text,
    reference      text,
    metadata       jsonb,
    PRIMARY KEY (ledger, id)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02);

-- One row a call. It also makes a call that changes nothing else write WAL, so that its commit
-- waits for a synchronous standby and covers the older rows it acknowledges.
CREATE TABLE giro.batches (
    shard      int         NOT NULL,
    id         bigint      NOT NULL,
    kind       text        NOT NULL CHECK (kind IN ('accounts', 'transfers')),
    items      int         NOT NULL,
    applied    int         NOT NULL,
    rejected   int         NOT NULL,
    replayed   int         NOT NULL,
    server     text        NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (shard, id)
);

CREATE SEQUENCE giro.batch_id AS bigint MAXVALUE 140737488355327; -- so that seq fits a bigint

-- Balances after each transfer, for accounts with the flag `history`.
CREATE TABLE giro.account_balances (
    ledger          int            NOT NULL,
    account         uuid           NOT NULL,
    seq             bigint         NOT NULL,
    version         bigint         NOT NULL,
    debits_pending  numeric(39, 0) NOT NULL,
    debits_posted   numeric(39, 0) NOT NULL,
    credits_pending numeric(39, 0) NOT NULL,
    credits_posted  numeric(39, 0) NOT NULL,
    created_at      timestamptz    NOT NULL,
    PRIMARY KEY (ledger, account, seq)
);

-- Append-only for everybody, the owner included, until somebody who may disables the triggers: the
-- owner or a superuser, by a statement of its own.
CREATE FUNCTION giro.refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, giro, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Correct a transfer by a second one in the other direction.';
END
$$;

DO $$
DECLARE
    append_only text;
BEGIN
    FOREACH append_only IN ARRAY ARRAY['decisions', 'batches', 'account_balances'] LOOP
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

-- What the functions of this database were made from; giro serve compares it with its own.
CREATE TABLE giro.function_set (
    only_row     bool        PRIMARY KEY DEFAULT true CHECK (only_row),
    hash         text        NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT now()
);
