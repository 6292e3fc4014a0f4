#!/bin/sh
# Currency exchange: a ledger is one currency, and a transfer stays in its ledger. An exchange is a chain
# of two transfers, one a ledger, through accounts of the house that hold its liquidity in each.
set -eu
. "$(dirname "$0")/lib.sh"

# Ledger 103 is in euro cents, 104 in yen. An account is known by its ledger and its id, so the same
# customer may have the same id in both. The house's accounts (10) must not run dry.
accounts 'the world (1), a customer (2) and the house (10), in euro and in yen' '[
    {"ledger": 103, "id": 1},
    {"ledger": 103, "id": 2, "flags": ["debits_must_not_exceed_credits"]},
    {"ledger": 103, "id": 10, "flags": ["debits_must_not_exceed_credits"]},
    {"ledger": 104, "id": 1},
    {"ledger": 104, "id": 2, "flags": ["debits_must_not_exceed_credits"]},
    {"ledger": 104, "id": 10, "flags": ["debits_must_not_exceed_credits"]}]'
transfers 'the customer has 200.00 euro, the house 20000 yen' '[
    {"ledger": 103, "id": 1, "debit_account": 1, "credit_account": 2, "amount": 20000},
    {"ledger": 104, "id": 1, "debit_account": 1, "credit_account": 10, "amount": 20000}]'

# The rate is yours, and so is the rounding: both amounts are whole numbers that you send. The metadata
# on both halves says afterwards what was agreed.
transfers '100.00 euro for 17250 yen' '[
    {"ledger": 103, "id": 2, "debit_account": 2, "credit_account": 10, "amount": 10000,
     "flags": ["linked"], "reference": "exchange 1", "metadata": {"rate": "172.50"}},
    {"ledger": 104, "id": 2, "debit_account": 10, "credit_account": 2, "amount": 17250,
     "reference": "exchange 1", "metadata": {"rate": "172.50"}}]'

# The customer has the euro, but the house has only 2750 yen left: the euro stay where they are.
transfers 'another 50.00 euro: the house is out of yen' '[
    {"ledger": 103, "id": 3, "debit_account": 2, "credit_account": 10, "amount": 5000,
     "flags": ["linked"], "reference": "exchange 2", "metadata": {"rate": "172.50"}},
    {"ledger": 104, "id": 3, "debit_account": 10, "credit_account": 2, "amount": 8625,
     "reference": "exchange 2", "metadata": {"rate": "172.50"}}]'

account 'the customer in euro' '2?ledger=103'
account 'the customer in yen' '2?ledger=104'
