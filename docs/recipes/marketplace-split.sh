#!/bin/sh
# A marketplace: what a buyer pays goes to the seller, less a fee. Both parts happen or neither does.
set -eu
. "$(dirname "$0")/lib.sh"

# Account 4 is the row that everybody wants: each sale on the platform credits it. Giro writes it once a
# batch, however many sales are in the batch.
accounts 'the world (1), a buyer (2), a seller (3) and our fees (4)' '[
    {"ledger": 102, "id": 1},
    {"ledger": 102, "id": 2, "flags": ["debits_must_not_exceed_credits"]},
    {"ledger": 102, "id": 3},
    {"ledger": 102, "id": 4, "code": 4000}]'
transfer 'the buyer pays in 120.00' \
    '{"ledger": 102, "id": 1, "debit_account": 1, "credit_account": 2, "amount": 12000}'

# A chain begins at an item with the flag linked and ends at the first item without it. It lives inside
# one request: Giro never cuts one in two.
transfers 'a sale of 100.00: 92.00 for the seller and 8.00 for us, as one' '[
    {"ledger": 102, "id": 2, "debit_account": 2, "credit_account": 3, "amount": 9200,
     "flags": ["linked"], "reference": "sale 1"},
    {"ledger": 102, "id": 3, "debit_account": 2, "credit_account": 4, "amount": 800,
     "reference": "sale 1"}]'

# 20.00 are left. The first part alone would fit, the second does not any more, and so the first is
# undone: it never was visible to anybody. The part that failed says why, the other that it was undone.
transfers 'a sale of 22.00 is refused as a whole' '[
    {"ledger": 102, "id": 4, "debit_account": 2, "credit_account": 3, "amount": 2000,
     "flags": ["linked"], "reference": "sale 2"},
    {"ledger": 102, "id": 5, "debit_account": 2, "credit_account": 4, "amount": 200,
     "reference": "sale 2"}]'

# A caller that did not get its answer sends the whole chain again: it is answered as replayed, and
# nothing moves twice.
transfers 'the first sale once more, after a time-out of ours' '[
    {"ledger": 102, "id": 2, "debit_account": 2, "credit_account": 3, "amount": 9200,
     "flags": ["linked"], "reference": "sale 1"},
    {"ledger": 102, "id": 3, "debit_account": 2, "credit_account": 4, "amount": 800,
     "reference": "sale 1"}]'

account 'the buyer' '2?ledger=102'
account 'the seller' '3?ledger=102'
account 'our fees' '4?ledger=102'
