#!/bin/sh
# Correcting a mistake: a transfer is never changed or deleted. What was wrong is undone by a transfer in
# the other direction, and the books show both.
set -eu
. "$(dirname "$0")/lib.sh"

accounts 'salaries (1), Ada (2) and Bob (3)' '[
    {"ledger": 107, "id": 1},
    {"ledger": 107, "id": 2, "flags": ["debits_must_not_exceed_credits"]},
    {"ledger": 107, "id": 3, "flags": ["debits_must_not_exceed_credits"]}]'

transfer 'Ada is paid 5000.00, which should have been 500.00' \
    '{"ledger": 107, "id": 1, "debit_account": 1, "credit_account": 2, "amount": 500000}'

# An id has one answer. Sending it with other content changes nothing, and says which field differs first.
transfer 'the same id with the right amount is refused' \
    '{"ledger": 107, "id": 1, "debit_account": 1, "credit_account": 2, "amount": 50000}'

# The reversal and the right transfer are one chain, so that no reader ever sees Ada without her salary.
# The metadata is yours: here it names what is reversed. expect makes the correction conditional: it goes
# through only while Ada's account is at the version that was looked at (1: the wrong transfer alone).
transfers 'it is reversed and made again' '[
    {"ledger": 107, "id": 2, "debit_account": 2, "credit_account": 1, "amount": 500000,
     "flags": ["linked"], "expect": {"debit_version": 1}, "metadata": {"reverses": 1}},
    {"ledger": 107, "id": 3, "debit_account": 1, "credit_account": 2, "amount": 50000}]'

transfer 'Ada gives Bob 200.00' \
    '{"ledger": 107, "id": 4, "debit_account": 2, "credit_account": 3, "amount": 20000}'

# Somebody else reverses the wrong transfer as well, having looked earlier: the version has moved on.
transfer 'a second reversal is refused: something has happened in between' \
    '{"ledger": 107, "id": 5, "debit_account": 2, "credit_account": 1, "amount": 500000,
      "expect": {"debit_version": 1}, "metadata": {"reverses": 1}}'

# The limit protects as well: what has been spent cannot be taken back.
transfer 'and so is one of all that Ada was paid: part of it is spent' \
    '{"ledger": 107, "id": 6, "debit_account": 2, "credit_account": 1, "amount": 50000}'

account 'Ada' '2?ledger=107'
