#!/bin/sh
# Closing an account: pay out what is on it, and let nothing through afterwards. It can be undone.
set -eu
. "$(dirname "$0")/lib.sh"

accounts 'the world (1) and a wallet (2)' '[
    {"ledger": 106, "id": 1},
    {"ledger": 106, "id": 2, "flags": ["debits_must_not_exceed_credits"]}]'
transfer 'the wallet has 37.50' \
    '{"ledger": 106, "id": 1, "debit_account": 1, "credit_account": 2, "amount": 3750}'

# balancing_debit with the largest amount there is (2^128-1) takes all of the balance, without having to
# read it first. The closing transfer is a hold of 0 with the flag closing_debit: it closes its debit
# account. As a chain, nothing can come in between the two.
transfers 'all of it is paid out, and the wallet is closed' '[
    {"ledger": 106, "id": 2, "debit_account": 2, "credit_account": 1,
     "amount": "340282366920938463463374607431768211455", "flags": ["linked", "balancing_debit"]},
    {"ledger": 106, "id": 3, "debit_account": 2, "credit_account": 1, "amount": 0,
     "flags": ["pending", "closing_debit"], "reference": "closed on request"}]'

transfer 'money that arrives later is refused' \
    '{"ledger": 106, "id": 4, "debit_account": 1, "credit_account": 2, "amount": 500}'

# Re-opening names the closing transfer, so that it cannot undo somebody else's. Only a void does it: a
# post of the closing hold would be refused like any other transfer.
transfer 'the customer is back: the closing transfer is voided' \
    '{"ledger": 106, "id": 5, "pending_id": 3, "flags": ["void_pending"]}'
transfer 'and the wallet takes money again, under a new id' \
    '{"ledger": 106, "id": 6, "debit_account": 1, "credit_account": 2, "amount": 500}'

account 'the wallet' '2?ledger=106'
