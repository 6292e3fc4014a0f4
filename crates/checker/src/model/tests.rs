//! The model by examples that a reader can check by hand.

use super::transfer::*;
use super::*;

const SECOND: i64 = 1_000_000;

/// Ledger 1 with the accounts 1 to 4, at 1 s; account 1 has no overdraft.
fn model() -> Model {
    let mut model = Model::default();
    let account = |id| NewAccount {
        id,
        ledger: 1,
        code: 1,
        flags: account::HISTORY | if id == 1 { account::DEBITS_MUST_NOT_EXCEED_CREDITS } else { 0 },
        ..NewAccount::default()
    };
    let accounts: Vec<_> = (1..=4).map(account).collect();
    assert!(model.create_request(SECOND, &accounts).iter().all(|j| j.outcome.is_ok()));
    model
}

fn transfer(id: u128, debit: u128, credit: u128, amount: u128, flags: u32) -> Transfer {
    let amount = Some(amount);
    Transfer { id, ledger: 1, debit, credit, amount, code: 1, flags, ..Transfer::default() }
}

fn resolving(id: u128, flags: u32, hold: u128) -> Transfer {
    Transfer { id, ledger: 1, flags, pending_id: Some(hold), ..Transfer::default() }
}

/// What a reader sees of a judgement: `=` is a replay.
fn told<A>(judged: &[Judgement<A>]) -> Vec<String> {
    let one = |j: &Judgement<A>| {
        let text = j.outcome.as_ref().err().map_or("applied", |reason| reason);
        format!("{}{text}", if j.replayed { "=" } else { "" })
    };
    judged.iter().map(one).collect()
}

fn balances(model: &Model, id: u128) -> [u128; 4] {
    let b = model.accounts[&(1, id)].balances;
    [b.debits_pending, b.debits_posted, b.credits_pending, b.credits_posted]
}

#[test]
fn a_hold_is_posted_in_part_once() {
    let mut model = model();
    let post = Transfer { amount: Some(3), ..resolving(11, POST_PENDING, 10) };
    let again = Transfer { id: 12, ..post.clone() };
    let judged = model.apply_request(
        2 * SECOND,
        &[
            transfer(10, 2, 3, 5, PENDING),
            post.clone(),
            again,
            resolving(13, VOID_PENDING, 10),
            post,
        ],
    );
    assert_eq!(
        told(&judged),
        [
            "applied",
            "applied",
            "pending_transfer_already_posted",
            "pending_transfer_already_posted",
            "=applied"
        ]
    );
    assert_eq!(judged[1].outcome.as_ref().unwrap().debit, 2, "inherited");
    assert_eq!(balances(&model, 2), [0, 3, 0, 0]);
    assert_eq!(balances(&model, 3), [0, 0, 0, 3]);
    let history = &model.accounts[&(1, 2)].history;
    assert_eq!(history.iter().map(|change| change.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(history[0].balances.debits_pending, 5);
}

#[test]
fn a_hold_is_over_at_its_time_to_the_microsecond() {
    let hold = Transfer { timeout: 3, ..transfer(10, 2, 3, 5, PENDING | CLOSING_DEBIT) };
    let void = resolving(11, VOID_PENDING, 10);
    for (now, expected) in [(5 * SECOND - 1, "applied"), (5 * SECOND, "pending_transfer_expired")] {
        let mut model = model();
        model.apply_request(2 * SECOND, std::slice::from_ref(&hold));
        assert!(model.accounts[&(1, 2)].closed);
        assert_eq!(told(&model.apply_request(now, std::slice::from_ref(&void))), [expected]);
        assert_eq!(balances(&model, 2)[0], if expected == "applied" { 0 } else { 5 });
        model.expire(now);
        assert_eq!(balances(&model, 2)[0], 0);
        assert!(!model.accounts[&(1, 2)].closed, "open again");
        assert_eq!(model.accounts[&(1, 2)].version, 2);
    }
}

#[test]
fn balancing_moves_what_there_is() {
    let mut model = model();
    model.apply_request(2 * SECOND, &[transfer(10, 2, 1, 7, 0), transfer(11, 1, 3, 2, PENDING)]);
    let all = transfer(12, 1, 3, MAX, BALANCING_DEBIT);
    let judged = model.apply_request(3 * SECOND, std::slice::from_ref(&all));
    assert_eq!(judged[0].outcome.as_ref().unwrap().amount, 5);
    let less = Transfer { amount: Some(4), ..all.clone() };
    let judged = model.apply_request(3 * SECOND, &[all, less]);
    assert_eq!(told(&judged), ["=applied", "exists_with_different_amount"]);
    let none = model.apply_request(3 * SECOND, &[transfer(13, 1, 3, 9, BALANCING_DEBIT)]);
    assert_eq!(none[0].outcome.as_ref().unwrap().amount, 0, "zero is a success");
}

#[test]
fn a_chain_broken_by_state_burns_its_members() {
    let mut model = model();
    let chain = [
        transfer(10, 2, 3, 1, LINKED),
        transfer(11, 1, 3, 1, LINKED), // Account 1 has nothing.
        transfer(12, 2, 3, 1, 0),
    ];
    let judged = model.apply_request(2 * SECOND, &chain);
    assert_eq!(told(&judged), ["linked_event_failed", "exceeds_credits", "linked_event_failed"]);
    assert_eq!(balances(&model, 2), [0; 4]);
    model.apply_request(3 * SECOND, &[transfer(13, 2, 1, 9, 0)]);
    let judged = model.apply_request(4 * SECOND, &chain);
    assert_eq!(told(&judged), ["=linked_event_failed", "=exceeds_credits", "=linked_event_failed"]);
}

#[test]
fn a_chain_broken_by_its_form_leaves_its_ids_free() {
    let mut model = model();
    let bad = [transfer(10, 2, 3, 1, LINKED), transfer(11, 2, 2, 1, 0)];
    let judged = model.apply_request(2 * SECOND, &bad);
    assert_eq!(told(&judged), ["linked_event_failed", "accounts_must_be_different"]);
    let open = model.apply_request(2 * SECOND, &bad[..1]);
    assert_eq!(told(&open), ["linked_event_chain_open"]);
    let good = [bad[0].clone(), transfer(11, 2, 3, 1, 0)];
    assert_eq!(told(&model.apply_request(2 * SECOND, &good)), ["applied", "applied"]);
    assert_eq!(told(&model.apply_request(2 * SECOND, &good)), ["=applied", "=applied"]);
    let longer = [good[0].clone(), transfer(12, 2, 3, 1, 0)];
    let judged = model.apply_request(2 * SECOND, &longer);
    assert_eq!(told(&judged), ["exists", "linked_event_failed"]);
}

#[test]
fn a_chain_of_holds_is_resolved_as_a_whole_by_its_first() {
    let mut model = model();
    let holds = [
        transfer(10, 2, 3, 5, PENDING | LINKED),
        transfer(11, 2, 4, 1, LINKED),
        transfer(12, 3, 4, 6, PENDING),
    ];
    model.apply_request(2 * SECOND, &holds);
    let post = |id, hold| Transfer { scope_chain: true, ..resolving(id, POST_PENDING, hold) };
    let judged = model.apply_request(3 * SECOND, &[post(20, 12), post(21, 10), post(22, 10)]);
    let already = "pending_transfer_already_posted";
    assert_eq!(told(&judged), ["pending_transfer_not_found", "applied", already]);
    assert_eq!(balances(&model, 3), [0, 6, 0, 5]);
    assert_eq!(model.further.len(), 1);
}

#[test]
fn imports_grow_and_follow_their_accounts() {
    let mut model = model();
    let import = |id, at| Transfer { timestamp: Some(at), ..transfer(id, 2, 3, 1, IMPORTED) };
    let judged = model.apply_request(
        9 * SECOND,
        &[
            import(10, SECOND),
            import(11, 4 * SECOND),
            import(12, 4 * SECOND),
            import(13, 9 * SECOND),
            transfer(14, 2, 3, 1, 0),
            Transfer { timeout: 1, flags: IMPORTED | PENDING, ..import(15, 5 * SECOND) },
        ],
    );
    assert_eq!(
        told(&judged),
        [
            "imported_event_timestamp_must_postdate_debit_account",
            "applied",
            "imported_event_timestamp_must_not_regress",
            "imported_event_timestamp_must_not_advance",
            "imported_event_expected",
            "imported_event_timeout_must_be_zero",
        ]
    );
    assert_eq!(model.accounts[&(1, 2)].changed_at, 4 * SECOND);
}

#[test]
fn a_version_that_has_moved_on_is_a_mismatch() {
    let mut model = model();
    let expects = |id, version| Transfer {
        expect_debit: Some(version),
        expect_credit: Some(version),
        ..transfer(id, 2, 3, 1, 0)
    };
    let judged = model.apply_request(2 * SECOND, &[expects(10, 0), expects(11, 0), expects(12, 1)]);
    assert_eq!(told(&judged), ["applied", "version_mismatch", "applied"]);
    assert_eq!(told(&model.apply_request(3 * SECOND, &[expects(11, 2)])), ["=version_mismatch"]);
}
