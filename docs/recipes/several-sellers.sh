#!/bin/sh
# A cart with goods of several sellers: one hold each, made together, captured or released together.
set -eu
. "$(dirname "$0")/lib.sh"

accounts 'the world (1), a card (2) and two sellers (3, 4)' '[
    {"ledger": 108, "id": 1},
    {"ledger": 108, "id": 2, "flags": ["debits_must_not_exceed_credits"]},
    {"ledger": 108, "id": 3},
    {"ledger": 108, "id": 4}]'
transfer 'the card is loaded with 100.00' \
    '{"ledger": 108, "id": 1, "debit_account": 1, "credit_account": 2, "amount": 10000}'

# linked: both holds are made, or neither is.
transfers 'a cart of 60.00 and 30.00 is held' '[
    {"ledger": 108, "id": 2, "debit_account": 2, "credit_account": 3, "amount": 6000,
     "flags": ["linked", "pending"], "reference": "cart 5"},
    {"ledger": 108, "id": 3, "debit_account": 2, "credit_account": 4, "amount": 3000,
     "flags": ["pending"], "reference": "cart 5"}]'

# With the scope chain a post or void that names the first hold resolves all of them, or none. The answer
# shows the first; each other hold gets a transfer of its own, with an id made from both ids, so that a
# repetition finds it again.
transfer 'it is captured as a whole' \
    '{"ledger": 108, "id": 4, "pending_id": 2, "flags": ["post_pending"], "scope": "chain"}'

# The chain is resolved. Another void would not know what to release, and says why.
transfer 'cancelling it comes too late' \
    '{"ledger": 108, "id": 5, "pending_id": 2, "flags": ["void_pending"], "scope": "chain"}'

account 'the card' '2?ledger=108'
account 'the first seller' '3?ledger=108'
account 'the second seller' '4?ledger=108'
