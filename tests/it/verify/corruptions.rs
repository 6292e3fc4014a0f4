//! What no call of a function leaves behind, planted one by one.

use super::used_ledger::used_ledger;
use Named::{Account, Batch, Hold, Ledger, Nothing, Transfer};
use giro_ledger::Id;

/// What is planted, in SQL; the check that finds it; and the row that it names.
struct Corruption {
    name: &'static str,
    sql: &'static str,
    check: &'static str,
    names: Named,
}

enum Named {
    Account(u128),
    Transfer(u128),
    Hold(u128),
    Ledger(i32),
    Batch,
    Nothing,
}

macro_rules! corruptions {
    ($($name:literal finds $check:literal at $names:expr; $sql:literal)+) => {
        &[$(Corruption { name: $name, sql: $sql, check: $check, names: $names }),+]
    };
}

/// `id(n)` stands for the UUID of n.
const CORRUPTIONS: &[Corruption] = corruptions! {
    "money is created" finds "debits_equal_credits" at Ledger(1);
        "UPDATE giro.account_state SET credits_posted = credits_posted + 1000 WHERE id = id(4)"
    "a hold's money is created" finds "debits_equal_credits" at Ledger(1);
        "UPDATE giro.account_state SET debits_pending = debits_pending + 1 WHERE id = id(4) AND ledger = 1"
    "a transfer is missing" finds "balances_are_folds" at Account(8);
        "DELETE FROM giro.decisions WHERE id = id(155)"
    "a transfer is missing from its batch" finds "batches_agree" at Batch;
        "DELETE FROM giro.decisions WHERE id = id(155)"
    "the order of batches is swapped" finds "order_is_kept" at Transfer(107);
        "UPDATE giro.decisions d SET seq = o.seq FROM giro.decisions o
          WHERE (d.id, o.id) IN ((id(107), id(155)), (id(155), id(107)))"
    "the order within a batch is swapped" finds "history_agrees" at Account(12);
        "UPDATE giro.decisions d SET seq = o.seq FROM giro.decisions o
          WHERE (d.id, o.id) IN ((id(104), id(105)), (id(105), id(104)))"
    "two transfers have one seq" finds "order_is_kept" at Transfer(155);
        "UPDATE giro.decisions SET seq = (SELECT seq FROM giro.decisions WHERE id = id(154)) WHERE id = id(155)"
    "a balance drifts" finds "balances_are_folds" at Account(7);
        "UPDATE giro.account_state SET debits_posted = debits_posted + 5, credits_posted = credits_posted + 5
          WHERE id = id(7)"
    "a balance is below zero" finds "balances_are_folds" at Account(3);
        "UPDATE giro.account_state SET debits_pending = -1 WHERE id = id(3)"
    "a limit is breached" finds "limits_hold" at Transfer(103);
        "UPDATE giro.account_state SET overdraft_limit = 49 WHERE id = id(10)"
    "the mirrored limit is breached" finds "limits_hold" at Account(3);
        "UPDATE giro.account_state SET flags = 4 WHERE id = id(3)"
    "a hold is resolved twice" finds "holds_resolve_once" at Hold(122);
        "DROP INDEX giro.decisions_resolution;
         INSERT INTO giro.decisions SELECT seq + 1, created_at, ledger, code, 4, id(999), debit_account,
                credit_account, amount, pending_id FROM giro.decisions WHERE id = id(132)"
    "a hold is posted after it expired" finds "holds_resolve_once" at Hold(124);
        "UPDATE giro.decisions SET pending_id = id(124) WHERE id = id(131)"
    "what is posted is no hold" finds "holds_resolve_once" at Transfer(131);
        "UPDATE giro.decisions SET flags = 0 WHERE id = id(121)"
    "what is posted was refused" finds "rejections_are_not_applied" at Hold(121);
        "UPDATE giro.decisions SET reason = 'exceeds_credits' WHERE id = id(121)"
    "more is posted than was held" finds "resolutions_match_holds" at Transfer(130);
        "UPDATE giro.decisions SET amount = 21 WHERE id = id(130)"
    "another account is posted than was held" finds "resolutions_match_holds" at Transfer(131);
        "UPDATE giro.decisions SET credit_account = id(3) WHERE id = id(131)"
    "a hold is released before its time" finds "resolutions_match_holds" at Hold(124);
        "UPDATE giro.decisions SET timeout = 1000000 WHERE id = id(124)"
    "a hold is posted after its time" finds "resolutions_match_holds" at Transfer(131);
        "UPDATE giro.decisions h SET timeout = 1, created_at = created_at - interval '1 minute' WHERE id = id(121)"
    "an open hold will not be released" finds "open_holds_agree" at Transfer(126);
        "DELETE FROM giro.open_holds WHERE id = id(126)"
    "a resolved hold will be released again" finds "open_holds_agree" at Transfer(124);
        "INSERT INTO giro.open_holds VALUES (1, id(124), now())"
    "an amount is altered" finds "balances_are_folds" at Account(2);
        "UPDATE giro.decisions SET amount = amount + 1 WHERE id = id(106)"
    "an amount is no amount" finds "decisions_are_valid" at Transfer(155);
        "UPDATE giro.decisions SET amount = 'NaN' WHERE id = id(155)"
    "an amount is negative" finds "decisions_are_valid" at Transfer(155);
        "UPDATE giro.decisions SET amount = -12 WHERE id = id(155)"
    "a code is none" finds "decisions_are_valid" at Transfer(100);
        "UPDATE giro.decisions SET code = 0 WHERE id = id(100)"
    "a reason is none" finds "decisions_are_valid" at Transfer(110);
        "UPDATE giro.decisions SET reason = 'because' WHERE id = id(110)"
    "versions have a gap" finds "versions_are_gapless" at Account(7);
        "UPDATE giro.account_state SET version = version + 1 WHERE id = id(7)"
    "versions have a gap in the history" finds "versions_are_gapless" at Transfer(105);
        "UPDATE giro.account_balances b SET version = version + 1 FROM giro.decisions d
          WHERE d.id = id(105) AND b.seq = d.seq"
    "half a chain is there" finds "chains_are_whole" at Transfer(141);
        "DELETE FROM giro.decisions WHERE id = id(142)"
    "the middle of a chain is refused" finds "chains_are_whole" at Transfer(140);
        "UPDATE giro.decisions SET reason = 'exceeds_credits' WHERE id = id(141)"
    "a transfer is left out of a list" finds "lists_are_whole" at Transfer(154);
        "UPDATE giro.decisions d SET debit_previous = b.debit_previous FROM giro.decisions b
          WHERE d.id = id(154) AND b.id = d.debit_previous"
    "a list begins late" finds "lists_are_whole" at Account(8);
        "UPDATE giro.account_state SET last_transfer = NULL WHERE id = id(8)"
    "a list goes on with another account's" finds "lists_are_whole" at Transfer(155);
        "UPDATE giro.decisions SET credit_previous = id(154) WHERE id = id(155)"
    "a refused transfer is in the balances" finds "rejections_are_not_applied" at Transfer(110);
        "UPDATE giro.account_state SET debits_posted = debits_posted + 40 WHERE id = id(10);
         UPDATE giro.account_state SET credits_posted = credits_posted + 40 WHERE id = id(2) AND ledger = 1"
    "an applied transfer is recorded as refused" finds "rejections_are_not_applied" at Transfer(155);
        "UPDATE giro.decisions SET reason = 'exceeds_credits' WHERE id = id(155)"
    "history follows a refused transfer" finds "rejections_are_not_applied" at Transfer(112);
        "UPDATE giro.decisions SET debit_account = id(12) WHERE id = id(112);
         INSERT INTO giro.account_balances SELECT ledger, debit_account, seq, 1, 0, 0, 0, 0, created_at
           FROM giro.decisions WHERE id = id(112)"
    "a row of history is altered" finds "history_agrees" at Transfer(104);
        "UPDATE giro.account_balances b SET credits_posted = b.credits_posted + 1 FROM giro.decisions d
          WHERE d.id = id(104) AND b.seq = d.seq AND b.account = id(13)"
    "a row of history is missing" finds "history_agrees" at Transfer(104);
        "DELETE FROM giro.account_balances b USING giro.decisions d WHERE d.id = id(104) AND b.seq = d.seq"
    "a row of history is too many" finds "history_agrees" at Account(12);
        "INSERT INTO giro.account_balances VALUES (1, id(12), 1, 1, 0, 0, 0, 0, now())"
    "a batch's total is altered" finds "batches_agree" at Batch;
        "UPDATE giro.batches SET applied = applied + 1, items = items + 1 WHERE kind = 'transfers' AND applied > 1"
    "a batch is missing" finds "batches_agree" at Batch;
        "DELETE FROM giro.batches WHERE id = (SELECT seq >> 16 FROM giro.decisions WHERE id = id(155))"
    "a release's batch is altered" finds "batches_agree" at Batch;
        "UPDATE giro.batches SET applied = 7 WHERE kind = 'expirations'"
    "a used account is missing" finds "accounts_exist" at Account(8);
        "DELETE FROM giro.account_state WHERE id = id(8)"
    "an unused account is missing" finds "accounts_exist" at Nothing;
        "DELETE FROM giro.account_state WHERE id = id(20)"
    "an account's details are missing" finds "accounts_exist" at Account(20);
        "DELETE FROM giro.account_details WHERE id = id(20)"
    "a closed account is open" finds "closed_accounts_rest" at Account(6);
        "UPDATE giro.account_state SET flags = 0 WHERE id = id(6)"
    "an open account is closed" finds "closed_accounts_rest" at Account(5);
        "UPDATE giro.account_state SET flags = 32 WHERE id = id(5)"
    "a closed account was moved" finds "closed_accounts_rest" at Transfer(107);
        "UPDATE giro.decisions SET flags = 2 | 64, timeout = 0 WHERE id = id(300);
         UPDATE giro.decisions SET flags = 0 WHERE id = id(301)"
    "time runs back along an account" finds "order_is_kept" at Transfer(107);
        "UPDATE giro.decisions SET created_at = '2020-06-01', flags = 256 WHERE id = id(107)"
};

#[tokio::test]
async fn every_planted_corruption_is_found_and_named() {
    let sound = used_ledger().await;
    let mut missed = Vec::new();
    for Corruption { name, sql, check, names } in CORRUPTIONS {
        let database = sound.copy().await;
        let session = database.superuser().await;
        session
            .batch_execute(
                "CREATE FUNCTION id(n int) RETURNS uuid LANGUAGE sql
                     AS $$ SELECT lpad(to_hex(n), 32, '0')::uuid $$;
                 ALTER TABLE giro.decisions DISABLE TRIGGER ALL;
                 ALTER TABLE giro.batches DISABLE TRIGGER ALL;
                 ALTER TABLE giro.account_balances DISABLE TRIGGER ALL",
            )
            .await
            .expect("the triggers are disabled");
        session.batch_execute(sql).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let report = database.audit().await;
        let found =
            report.checks.iter().find(|found| found.name.name() == *check).expect("a check");
        let named = found.shown.iter().any(|finding| match names {
            Account(id) => finding.account == Some(Id::from(*id)),
            Transfer(id) => finding.transfer == Some(Id::from(*id)),
            Hold(id) => finding.hold == Some(Id::from(*id)),
            Ledger(ledger) => finding.ledger == Some(*ledger),
            Batch => finding.batch.is_some(),
            Nothing => true,
        });
        if !named || report.clean {
            missed.push(format!("{name}:\n{report}"));
        }
    }
    assert!(missed.is_empty(), "missed {}: {}", missed.len(), missed.join("\n"));
}
