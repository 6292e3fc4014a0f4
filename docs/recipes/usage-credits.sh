#!/bin/sh
# Usage credits: bought in advance, used by the piece, with an overdraft so that a job which is running
# is not cut off at once.
set -eu
. "$(dirname "$0")/lib.sh"

# The limit of a customer (2) is what was bought plus 50. It is part of the account and checked with
# every transfer, by whichever server applies it: there is no read before the write that could be stale.
accounts 'credits sold (1), a customer (2) and credits used (3)' '[
    {"ledger": 105, "id": 1},
    {"ledger": 105, "id": 2, "flags": ["debits_must_not_exceed_credits"], "overdraft_limit": 50},
    {"ledger": 105, "id": 3}]'
transfer 'the customer buys 100 credits' \
    '{"ledger": 105, "id": 1, "debit_account": 1, "credit_account": 2, "amount": 100}'

transfer 'a job takes 120: 20 of them on the overdraft' \
    '{"ledger": 105, "id": 2, "debit_account": 2, "credit_account": 3, "amount": 120,
      "reference": "job 1"}'
transfer 'a job of 40 is refused: only 30 are left of the overdraft' \
    '{"ledger": 105, "id": 3, "debit_account": 2, "credit_account": 3, "amount": 40,
      "reference": "job 2"}'

# balancing_debit takes what there is, up to the amount. The reply has the actual amount, which may be 0.
transfer 'the same job may run as far as it gets' \
    '{"ledger": 105, "id": 4, "debit_account": 2, "credit_account": 3, "amount": 40,
      "flags": ["balancing_debit"], "reference": "job 2"}'

transfer 'the customer buys 200 more' \
    '{"ledger": 105, "id": 5, "debit_account": 1, "credit_account": 2, "amount": 200}'

# The job that was refused is not repeated under its old id: that has its answer forever. A new attempt
# is a new transfer.
transfer 'the id of the refused job still answers as it did' \
    '{"ledger": 105, "id": 3, "debit_account": 2, "credit_account": 3, "amount": 40,
      "reference": "job 2"}'
transfer 'what was missing of the job, with a new id' \
    '{"ledger": 105, "id": 6, "debit_account": 2, "credit_account": 3, "amount": 10,
      "reference": "job 2"}'

# 300 bought, 160 used: credits_posted - debits_posted = 140.
account 'the customer' '2?ledger=105'
