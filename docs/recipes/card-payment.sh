#!/bin/sh
# A card payment: hold the money when the order is placed, capture what was delivered, release the rest.
set -eu
. "$(dirname "$0")/lib.sh"

# Ledger 101 is in cents. The card may only spend what it has: its debits must not exceed its credits.
# Account 1 is the world outside, from which money comes; it has no limit and will be as far in debit as
# all others together are in credit.
accounts 'the world (1), a card (2) and a shop (3)' '[
    {"ledger": 101, "id": 1},
    {"ledger": 101, "id": 2, "flags": ["debits_must_not_exceed_credits"]},
    {"ledger": 101, "id": 3}]'
transfer 'the card is loaded with 100.00' \
    '{"ledger": 101, "id": 1, "debit_account": 1, "credit_account": 2, "amount": 10000}'

# A hold takes the money out of reach without moving it: it counts in debits_pending. After the timeout
# (here a week, in seconds) it is released by itself, so a crashed shop does not block the card forever.
transfer 'an order of 80.00: the money is held' \
    '{"ledger": 101, "id": 2, "debit_account": 2, "credit_account": 3, "amount": 8000,
      "flags": ["pending"], "timeout": 604800, "reference": "order 17"}'

# What is held cannot be spent or held a second time. The refusal depends on the balance of this moment,
# so it is final for this id: asking again says the same. A new attempt takes a new id.
transfer 'another hold of 30.00 is refused: only 20.00 are left' \
    '{"ledger": 101, "id": 3, "debit_account": 2, "credit_account": 3, "amount": 3000,
      "flags": ["pending"]}'

# Posting is a transfer with an id of its own. It may take less than was held, never more: 65.00 go to
# the shop and the other 15.00 are released at the same moment. The accounts are those of the hold.
transfer 'only 65.00 worth was delivered: that much is captured' \
    '{"ledger": 101, "id": 4, "pending_id": 2, "flags": ["post_pending"], "amount": 6500}'

# A hold is resolved at most once. Nothing about this can change any more, so the answer needs no record.
transfer 'a second capture of the same hold is refused' \
    '{"ledger": 101, "id": 5, "pending_id": 2, "flags": ["post_pending"], "amount": 1000}'

transfer 'another order of 20.00 is held' \
    '{"ledger": 101, "id": 6, "debit_account": 2, "credit_account": 3, "amount": 2000,
      "flags": ["pending"], "reference": "order 18"}'
transfer 'it is cancelled: a void releases all of the hold' \
    '{"ledger": 101, "id": 7, "pending_id": 6, "flags": ["void_pending"]}'

# 100.00 came in and 65.00 went out; nothing is held. version counts the five transfers that changed the
# card, holds and voids among them.
account 'the card' '2?ledger=101'
account 'the shop' '3?ledger=101'
