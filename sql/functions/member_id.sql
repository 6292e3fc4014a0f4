-- giro.member_id: the id of the transfer that resolves a further hold of a chain: the first 16 bytes of
-- the SHA-256 of the post's (or void's) id and the hold's. The same for whoever resolves it again.
CREATE OR REPLACE FUNCTION giro.member_id(id uuid, hold_id uuid)
RETURNS uuid
LANGUAGE sql IMMUTABLE
AS $$
    SELECT encode(substr(sha256(uuid_send(id) || uuid_send(hold_id)), 1, 16), 'hex')::uuid
$$;
