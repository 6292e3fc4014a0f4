-- giro.transfer_difference: the first field in which a transfer differs from the one that already has
-- its id, as a reason; NULL when there is none. `was` is the recorded transfer.
CREATE OR REPLACE FUNCTION giro.transfer_difference(
    was_flags          int,   flags          int,
    was_pending_id     uuid,  pending_id     uuid,
    was_timeout        bigint, timeout       bigint,
    was_debit_account  uuid,  debit_account  uuid,
    was_credit_account uuid,  credit_account uuid,
    was_amount         numeric, amount       numeric,
    was_reference      text,  reference      text,
    was_metadata       jsonb, metadata       jsonb,
    was_code           int,   code           int
)
RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE
        WHEN was_flags <> flags THEN 'exists_with_different_flags'
        WHEN was_pending_id IS DISTINCT FROM pending_id THEN 'exists_with_different_pending_id'
        WHEN was_timeout IS DISTINCT FROM timeout THEN 'exists_with_different_timeout'
        WHEN was_debit_account <> debit_account THEN 'exists_with_different_debit_account'
        WHEN was_credit_account <> credit_account THEN 'exists_with_different_credit_account'
        WHEN was_amount <> amount THEN 'exists_with_different_amount'
        WHEN was_reference IS DISTINCT FROM reference THEN 'exists_with_different_reference'
        WHEN was_metadata IS DISTINCT FROM metadata THEN 'exists_with_different_metadata'
        WHEN was_code <> code THEN 'exists_with_different_code'
    END
$$;
