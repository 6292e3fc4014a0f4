-- giro.create_accounts has one more parameter; the file in sql/functions makes it anew.
DROP FUNCTION IF EXISTS giro.create_accounts;
