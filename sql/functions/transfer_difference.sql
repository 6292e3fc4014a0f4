-- giro.transfer_difference: the first field in which a transfer differs from the one that already has
-- its id, as a reason; NULL when there is none. `was` is the recorded transfer, as applied. What a
-- post or void leaves out (a zero account or code, no amount) is what it inherited; hold_amount is
-- that of the hold it resolved. A balancing transfer asked for at least what it got. A cancel (512) has
-- no content that could differ.
CREATE OR REPLACE FUNCTION giro.transfer_difference(
    was_flags          int,   flags          int,
    was_pending_id     uuid,  pending_id     uuid,
    was_timeout        bigint, timeout       bigint,
    was_debit_account  uuid,  debit_account  uuid,
    was_credit_account uuid,  credit_account uuid,
    was_amount         numeric, amount       numeric, hold_amount numeric,
    was_reference      text,  reference      text,
    was_metadata       jsonb, metadata       jsonb,
    was_code           int,   code           int
)
RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE
        WHEN flags = 512 THEN NULL
        WHEN was_flags <> flags THEN 'exists_with_different_flags'
        WHEN was_pending_id IS DISTINCT FROM pending_id THEN 'exists_with_different_pending_id'
        WHEN coalesce(was_timeout, 0) <> coalesce(timeout, 0) THEN 'exists_with_different_timeout'
        WHEN was_debit_account <> debit_account
             AND (flags & 12 = 0 OR debit_account <> '00000000-0000-0000-0000-000000000000')
            THEN 'exists_with_different_debit_account'
        WHEN was_credit_account <> credit_account
             AND (flags & 12 = 0 OR credit_account <> '00000000-0000-0000-0000-000000000000')
            THEN 'exists_with_different_credit_account'
        WHEN CASE
                 WHEN flags & 4 <> 0 AND coalesce(amount, 340282366920938463463374607431768211455)
                                         = 340282366920938463463374607431768211455
                     THEN was_amount <> hold_amount
                 WHEN flags & 48 <> 0 THEN amount < was_amount
                 ELSE amount <> was_amount
             END THEN 'exists_with_different_amount'
        WHEN was_reference IS DISTINCT FROM reference THEN 'exists_with_different_reference'
        WHEN was_metadata IS DISTINCT FROM metadata THEN 'exists_with_different_metadata'
        WHEN was_code <> code AND (flags & 12 = 0 OR code <> 0) THEN 'exists_with_different_code'
    END
$$;
