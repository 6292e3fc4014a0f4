-- giro.batch_lock: the advisory lock of batches numbered at least `id`: 0x4769 in the high bits, "Gi".
CREATE OR REPLACE FUNCTION giro.batch_lock(id bigint)
RETURNS bigint
LANGUAGE sql IMMUTABLE
AS $$ SELECT (18281::bigint << 47) + id $$;
