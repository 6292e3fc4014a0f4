-- What everything in the schema is, for \d+ in psql and for whoever looks at the catalog. Replaced as a
-- whole; a test finds what has none.

COMMENT ON SCHEMA giro IS
    'The ledger of Giro. Read the views; write by giro.apply_transfers and giro.create_accounts.';

COMMENT ON VIEW giro.accounts IS 'Accounts, with their balances now.';
COMMENT ON COLUMN giro.accounts.ledger IS 'The ledger: a currency or another unit. Part of the key.';
COMMENT ON COLUMN giro.accounts.id IS 'The account''s id, unique in its ledger.';
COMMENT ON COLUMN giro.accounts.code IS 'Your type of account.';
COMMENT ON COLUMN giro.accounts.flags IS 'Names of the flags that are set; closed comes and goes.';
COMMENT ON COLUMN giro.accounts.overdraft_limit IS 'By how much the account may go past its limit.';
COMMENT ON COLUMN giro.accounts.debits_pending IS 'Held on the debit side.';
COMMENT ON COLUMN giro.accounts.debits_posted IS 'Debited for good; only grows.';
COMMENT ON COLUMN giro.accounts.credits_pending IS 'Held on the credit side.';
COMMENT ON COLUMN giro.accounts.credits_posted IS 'Credited for good; only grows.';
COMMENT ON COLUMN giro.accounts.version IS
    'Counts the transfers and expiries that changed the account, without a gap.';
COMMENT ON COLUMN giro.accounts.reference IS 'Your own text.';
COMMENT ON COLUMN giro.accounts.metadata IS 'Your own JSON object.';
COMMENT ON COLUMN giro.accounts.created_at IS
    'When it was created: the database''s clock, or the timestamp of an import.';
COMMENT ON COLUMN giro.accounts.changed_at IS
    'When a transfer changed it last; created_at until there was one.';
COMMENT ON COLUMN giro.accounts.flag_bits IS 'The flags as bits, as the functions take them.';
COMMENT ON COLUMN giro.accounts.last_transfer IS 'The id of its last transfer. NULL until there is one.';

COMMENT ON VIEW giro.balances IS
    'Balances now, worked out from the credit side: what you owe the owner of the account.';
COMMENT ON COLUMN giro.balances.ledger IS 'The account''s ledger.';
COMMENT ON COLUMN giro.balances.account IS 'The account''s id.';
COMMENT ON COLUMN giro.balances.code IS 'Your type of account.';
COMMENT ON COLUMN giro.balances.version IS
    'Counts the transfers and expiries that changed the account, without a gap.';
COMMENT ON COLUMN giro.balances.posted IS 'credits_posted - debits_posted.';
COMMENT ON COLUMN giro.balances.available IS
    'posted - debits_pending: what can be debited down to zero; an overdraft limit comes on top.';
COMMENT ON COLUMN giro.balances.debits_pending IS 'Held on the debit side.';
COMMENT ON COLUMN giro.balances.debits_posted IS 'Debited for good; only grows.';
COMMENT ON COLUMN giro.balances.credits_pending IS 'Held on the credit side.';
COMMENT ON COLUMN giro.balances.credits_posted IS 'Credited for good; only grows.';
COMMENT ON COLUMN giro.balances.changed_at IS
    'When a transfer changed it last; when it was created until there was one.';

COMMENT ON VIEW giro.transfers IS 'Applied transfers: one row each, never changed but for state.';
COMMENT ON COLUMN giro.transfers.ledger IS 'The ledger of the transfer and its accounts. Part of the key.';
COMMENT ON COLUMN giro.transfers.id IS 'The transfer''s id, unique in its ledger.';
COMMENT ON COLUMN giro.transfers.seq IS
    'Its place in the order of the ledger: grows along every account''s history, not gapless.';
COMMENT ON COLUMN giro.transfers.batch_id IS 'The call that applied it: giro.batch_log.id.';
COMMENT ON COLUMN giro.transfers.debit_account IS 'The account debited.';
COMMENT ON COLUMN giro.transfers.credit_account IS 'The account credited.';
COMMENT ON COLUMN giro.transfers.amount IS
    'As applied: what a balancing transfer got, what was posted or voided of a hold.';
COMMENT ON COLUMN giro.transfers.pending_id IS 'Of a post or void: the hold that it resolved.';
COMMENT ON COLUMN giro.transfers.timeout IS 'Of a hold: seconds from created_at until it expires.';
COMMENT ON COLUMN giro.transfers.code IS 'Your type of transfer.';
COMMENT ON COLUMN giro.transfers.flags IS 'Names of the flags that are set.';
COMMENT ON COLUMN giro.transfers.reference IS 'Your own text.';
COMMENT ON COLUMN giro.transfers.metadata IS 'Your own JSON object.';
COMMENT ON COLUMN giro.transfers.created_at IS
    'When it was applied: the database''s clock, or the timestamp of an import.';
COMMENT ON COLUMN giro.transfers.state IS
    'Of a hold, as of now: pending, posted, voided or expired. NULL for what is no hold.';
COMMENT ON COLUMN giro.transfers.flag_bits IS 'The flags as bits, as the functions take them.';
COMMENT ON COLUMN giro.transfers.expires_at IS
    'Of an open hold with a timeout: when it is to be released. NULL once it is resolved.';
COMMENT ON COLUMN giro.transfers.debit_previous IS
    'The transfer before it on the debit account, on either side of that. NULL: its first.';
COMMENT ON COLUMN giro.transfers.credit_previous IS
    'The transfer before it on the credit account, on either side of that. NULL: its first.';

COMMENT ON VIEW giro.entries IS
    'What changed each account: two rows a transfer, its debit and its credit, and two a hold that expired.';
COMMENT ON COLUMN giro.entries.ledger IS 'The account''s ledger.';
COMMENT ON COLUMN giro.entries.account IS 'The account that was changed.';
COMMENT ON COLUMN giro.entries.seq IS 'The transfer''s place in the order of the ledger, or the expiry''s.';
COMMENT ON COLUMN giro.entries.transfer_id IS 'The transfer, or the hold that expired.';
COMMENT ON COLUMN giro.entries.side IS 'debit or credit.';
COMMENT ON COLUMN giro.entries.counterparty IS 'The account on the other side.';
COMMENT ON COLUMN giro.entries.pending IS
    'Change of the side''s pending balance: negative when a hold was resolved or expired.';
COMMENT ON COLUMN giro.entries.posted IS 'Change of the side''s posted balance.';
COMMENT ON COLUMN giro.entries.code IS 'The transfer''s code.';
COMMENT ON COLUMN giro.entries.reference IS 'The transfer''s reference.';
COMMENT ON COLUMN giro.entries.metadata IS 'The transfer''s metadata.';
COMMENT ON COLUMN giro.entries.created_at IS 'When the change was made.';
COMMENT ON COLUMN giro.entries.expired IS 'Whether it is the expiry of a hold.';

COMMENT ON VIEW giro.balance_history IS
    'Balances after each transfer and expiry, of accounts with the flag history.';
COMMENT ON COLUMN giro.balance_history.ledger IS 'The account''s ledger.';
COMMENT ON COLUMN giro.balance_history.account IS 'The account.';
COMMENT ON COLUMN giro.balance_history.seq IS 'The place of the change in the order of the ledger.';
COMMENT ON COLUMN giro.balance_history.version IS 'The account''s version after it.';
COMMENT ON COLUMN giro.balance_history.debits_pending IS 'Held on the debit side after it.';
COMMENT ON COLUMN giro.balance_history.debits_posted IS 'Debited for good after it.';
COMMENT ON COLUMN giro.balance_history.credits_pending IS 'Held on the credit side after it.';
COMMENT ON COLUMN giro.balance_history.credits_posted IS 'Credited for good after it.';
COMMENT ON COLUMN giro.balance_history.created_at IS 'When the change was made.';

COMMENT ON VIEW giro.rejections IS
    'Ids refused for a reason that depended on state: they get the same answer forever.';
COMMENT ON COLUMN giro.rejections.ledger IS 'The ledger of the transfer. Part of the key.';
COMMENT ON COLUMN giro.rejections.id IS 'The transfer''s id.';
COMMENT ON COLUMN giro.rejections.seq IS 'Its place in the order of the decisions.';
COMMENT ON COLUMN giro.rejections.batch_id IS 'The call that refused it: giro.batch_log.id.';
COMMENT ON COLUMN giro.rejections.reason IS 'Why it was refused: docs/semantics.md.';
COMMENT ON COLUMN giro.rejections.debit_account IS 'As asked for; NULL if left out.';
COMMENT ON COLUMN giro.rejections.credit_account IS 'As asked for; NULL if left out.';
COMMENT ON COLUMN giro.rejections.amount IS 'As asked for; NULL if left out.';
COMMENT ON COLUMN giro.rejections.code IS 'As asked for; 0 if a post or void left it out, and of a cancel.';
COMMENT ON COLUMN giro.rejections.reference IS 'Your own text.';
COMMENT ON COLUMN giro.rejections.metadata IS 'Your own JSON object.';
COMMENT ON COLUMN giro.rejections.created_at IS 'When it was refused.';
COMMENT ON COLUMN giro.rejections.pending_id IS 'Of a post or void: the hold that it named.';
COMMENT ON COLUMN giro.rejections.flags IS 'Names of the flags that were set.';
COMMENT ON COLUMN giro.rejections.flag_bits IS
    'The flags as bits, as the functions take them; 512: a cancel, which has no content.';

COMMENT ON VIEW giro.expired_holds IS 'Holds that were released because their time was over.';
COMMENT ON COLUMN giro.expired_holds.ledger IS 'The hold''s ledger.';
COMMENT ON COLUMN giro.expired_holds.id IS 'The hold: giro.transfers.id.';
COMMENT ON COLUMN giro.expired_holds.seq IS 'The place of the release in the order of the ledger.';
COMMENT ON COLUMN giro.expired_holds.created_at IS
    'When it was released: a moment after it had expired.';

COMMENT ON VIEW giro.batch_log IS 'Calls of the array functions: one row each.';
COMMENT ON COLUMN giro.batch_log.id IS 'The batch''s number: seq / 65536 of what it decided.';
COMMENT ON COLUMN giro.batch_log.kind IS 'accounts, transfers or expirations.';
COMMENT ON COLUMN giro.batch_log.items IS 'What was asked for.';
COMMENT ON COLUMN giro.batch_log.applied IS
    'Applied, created or released now; a post by chain scope counts once a hold.';
COMMENT ON COLUMN giro.batch_log.rejected IS 'Refused now.';
COMMENT ON COLUMN giro.batch_log.replayed IS 'Answered as decided before.';
COMMENT ON COLUMN giro.batch_log.server IS 'Who called, by its own word.';
COMMENT ON COLUMN giro.batch_log.created_at IS 'When it was judged.';

COMMENT ON VIEW giro.schema_info IS 'What a server compares with itself before it serves.';
COMMENT ON COLUMN giro.schema_info.version IS 'The version of the tables.';
COMMENT ON COLUMN giro.schema_info.functions_hash IS 'The hash of functions, views, comments and grants.';
COMMENT ON COLUMN giro.schema_info.installed_at IS 'When they were replaced last.';

COMMENT ON FUNCTION giro.apply_transfers IS
    'Judges a batch of transfers in order and applies it in the caller''s transaction: docs/sql.md.';
COMMENT ON FUNCTION giro.create_accounts IS
    'Creates a batch of accounts in the caller''s transaction: docs/sql.md.';
COMMENT ON FUNCTION giro.expire_holds IS
    'Releases up to max_items holds whose time is over; returns how many it released.';
COMMENT ON FUNCTION giro.settled_seq IS
    'Up to this seq, all that will ever be applied is visible to the next statement.';
COMMENT ON FUNCTION giro.seq_at IS
    'The smallest seq of a transfer made at a time or later, of an account or of the whole ledger.';
COMMENT ON FUNCTION giro.account_transfers IS
    'The transfers of an account in the order of seq or against it, without a scan: docs/sql.md.';
COMMENT ON FUNCTION giro.metadata_matches IS
    'The ids of what has this in its metadata, by an index that you may have made.';
COMMENT ON FUNCTION giro.flag_names IS 'The names of the bits set in flags; names[1] is bit 0.';
COMMENT ON FUNCTION giro.account_difference IS
    'Internal: the field in which an account differs from the one that has its id.';
COMMENT ON FUNCTION giro.are_columns IS
    'Internal: whether arrays, by their array_dims, are columns of n elements.';
COMMENT ON FUNCTION giro.batch_lock IS 'Internal: the advisory lock of a batch number.';
COMMENT ON FUNCTION giro.enter_batch IS 'Internal: draws a batch number in sight of giro.settled_seq.';
COMMENT ON FUNCTION giro.find_holds IS 'Internal: what the posts and voids of a batch refer to.';
COMMENT ON FUNCTION giro.import_faults IS
    'Internal: what is wrong with the imports of a batch before anything else is asked.';
COMMENT ON FUNCTION giro.member_id IS
    'Internal: the id of the transfer that resolves a further hold of a chain.';
COMMENT ON FUNCTION giro.refuse_change IS 'Internal: the trigger that keeps a table append-only.';
COMMENT ON FUNCTION giro.transfer_difference IS
    'Internal: the field in which a transfer differs from the one that has its id.';

-- A comment waits for VACUUM of its table: only what has changed is set.
DO $$
DECLARE
    relation record;
BEGIN
    FOR relation IN
        SELECT format('%s giro.%I', r.kind, r.name) AS object, r.comment
          FROM (VALUES
              ('TABLE', 'account_state', 'The row of an account that every batch rewrites.'),
              ('TABLE', 'account_details', 'What of an account is not needed to judge a transfer.'),
              ('TABLE', 'decisions', 'Ids decided for good: applied, or refused (reason). Append-only.'),
              ('TABLE', 'batches', 'Calls of the array functions, one row each. Append-only.'),
              ('TABLE', 'account_balances', 'Behind giro.balance_history. Append-only.'),
              ('TABLE', 'open_holds', 'Holds with a timeout that are neither resolved nor released.'),
              ('TABLE', 'expirations', 'Behind giro.expired_holds. Append-only.'),
              ('TABLE', 'hold_chains', 'Holds made in one linked chain, by its first. Append-only.'),
              ('TABLE', 'imports', 'The moment of the last import, by ledger and kind.'),
              ('TABLE', 'function_set', 'The hash of what giro migrate replaces; one row.'),
              ('TABLE', 'migrations', 'The steps of the tables that have been applied.'),
              ('SEQUENCE', 'batch_id', 'Numbers of batches.')
          ) AS r (kind, name, comment)
         WHERE obj_description(format('giro.%I', r.name)::regclass, 'pg_class')
               IS DISTINCT FROM r.comment
    LOOP
        EXECUTE format('COMMENT ON %s IS %L', relation.object, relation.comment);
    END LOOP;
END
$$;
