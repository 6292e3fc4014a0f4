"""Makes most of what is generated go through: the accounts and the holds are those that there are."""

import random

import schemathesis

CHANCE = random.Random(1)
ACCOUNTS = ["1", "2", "3"]
HOLD = "0192f0c1-2345-7000-8000-000000000002"


def complete(transfer):
    """A transfer that could be applied, with as much as possible of what was generated."""
    if not isinstance(transfer, dict):
        return
    flags = transfer.get("flags") or []
    transfer["debit_account"], transfer["credit_account"] = CHANCE.sample(ACCOUNTS, 2)
    transfer["amount"] = CHANCE.randrange(5)
    for field in ["ledger", "expect", "scope", "timestamp", "pending_id", "timeout"]:
        transfer.pop(field, None)
    if "post_pending" in flags or "void_pending" in flags:
        transfer["pending_id"] = HOLD
    transfer["flags"] = [flag for flag in flags if flag not in ("imported", "linked")][:1]


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if CHANCE.random() < 0.1:
        return
    if case.headers:
        # Few are as patient as one millisecond.
        case.headers.pop("Request-Timeout-Ms", None)
        case.headers.pop("Idempotency-Key", None)
    if "id" in (case.path_parameters or {}) and CHANCE.random() < 0.5:
        of_transfer = case.operation.path.startswith("/transfers/")
        case.path_parameters["id"] = HOLD if of_transfer else CHANCE.choice(ACCOUNTS)
    if "at" in (case.query or {}):
        case.query = {"at": case.query["at"]}
    if case.operation.path in ("/transfer", "/transfers") and case.operation.method == "post":
        for transfer in case.body if isinstance(case.body, list) else [case.body]:
            complete(transfer)
