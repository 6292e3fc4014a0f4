-- What the predicates look at, beside the ledger itself. The history is loaded into `told`, the
-- accounts into `opened`; the rest is made
-- of it and of the ledger by prepare.sql, once, because several predicates need it.
CREATE SCHEMA chaos_check;

-- The accounts that the run has opened, as it asked for them.
CREATE UNLOGGED TABLE chaos_check.opened (
    id              uuid    PRIMARY KEY,
    flags           int     NOT NULL,
    overdraft_limit numeric NOT NULL
);

-- One row an item of a request.
CREATE UNLOGGED TABLE chaos_check.told (
    request    bigint  NOT NULL, -- the line of the history, from 1
    place      int     NOT NULL, -- in the request, from 0
    id         uuid    NOT NULL,
    debit      uuid,             -- NULL: not sent; the hold's
    credit     uuid,
    amount     numeric,          -- NULL: not sent; all of the hold
    flags      int     NOT NULL,
    pending_id uuid,
    timeout    bigint  NOT NULL,
    answer     text    NOT NULL, -- applied, rejected, not_applied, not_sent, unknown, none
    reason     text,
    replayed   bool    NOT NULL
);
