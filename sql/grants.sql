-- The role that the server logs in with is a member of giro_server: it may execute the functions and
-- select the views, nothing else. Nobody else may do anything in the schema.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'giro_server') THEN
        CREATE ROLE giro_server NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of this cluster, at once
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the role giro_server does not exist and this role may not create it'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Have a superuser run: CREATE ROLE giro_server NOLOGIN';
END
$$;

REVOKE ALL ON SCHEMA giro FROM PUBLIC, giro_server;
REVOKE ALL ON ALL TABLES IN SCHEMA giro FROM PUBLIC, giro_server;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA giro FROM PUBLIC, giro_server;
REVOKE ALL ON ALL ROUTINES IN SCHEMA giro FROM PUBLIC, giro_server;

GRANT USAGE ON SCHEMA giro TO giro_server;
GRANT SELECT ON giro.accounts, giro.balances, giro.transfers, giro.entries, giro.balance_history,
    giro.rejections, giro.expired_holds, giro.batch_log, giro.schema_info TO giro_server;
GRANT EXECUTE ON FUNCTION giro.apply_transfers, giro.create_accounts, giro.expire_holds,
    giro.settled_seq, giro.seq_at, giro.account_transfers, giro.metadata_matches, giro.flag_names
    TO giro_server;
