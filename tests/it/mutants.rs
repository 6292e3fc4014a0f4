//! Tests of the tests: each fault that is put in on purpose is found by what callers were told and what is
//! stored, and the same situation without it finds nothing.

mod findings;
mod situations;
mod standbys;
mod storms;
mod subject;

use giro_tests::mutants::Mutant;
use giro_tests::needs::{self, Need};
use subject::Subject;

/// What there is to find in a situation: nothing, but for the mutant; and of that, these sentences and no
/// others. Anything else would be a mishap of the second run.
async fn is_found(name: &str, situation: impl AsyncFn(Subject) -> Vec<String>, sentences: &[&str]) {
    let sound = situation(Subject::sound()).await;
    assert_eq!(sound, [""; 0], "the situation itself");
    let found = situation(Subject::with(Mutant::named(name))).await;
    assert!(!found.is_empty(), "{name} lives");
    let expected = found.len() == sentences.len()
        && found.iter().zip(sentences).all(|(found, sentence)| found.contains(sentence));
    assert!(expected, "{name} is not found as {sentences:?}: {found:?}");
}

macro_rules! mutants {
    ($($test:ident $name:literal $situation:path, $sentences:expr $(, needs $needs:expr)?;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            $(if !needs::met(&$needs) {
                return;
            })?
            is_found($name, $situation, &$sentences).await;
        })*

        #[test]
        fn every_mutant_has_a_situation() {
            let all: Vec<&str> = Mutant::ALL.iter().map(|mutant| mutant.name).collect();
            assert_eq!(all, [$($name),*]);
            assert_eq!(all.len(), 13);
        }
    };
}

mutants! {
    ack_on_first_row "ack-on-first-row" situations::a_commit_that_fails,
        ["2 is told applied and stored as []"];
    believe_panic "believe-panic" situations::an_fsync_that_fails,
        ["2 is told not_applied and stored as [None]"], needs [Need::Strace];
    ignore_warning "ignore-warning" standbys::a_promotion_after_a_cancelled_wait,
        ["2 is told applied and stored as []"];
    reuse_timed_out_session "reuse-timed-out-session" situations::a_backend_that_hangs,
        ["nothing is applied as long as one backend hangs"];
    swap_results "swap-results" situations::one_applied_and_one_refused,
        ["1 is told rejected and stored as [None]", "2 is told applied and stored as [Some("];
    no_id_check_on_resend "no-id-check-on-resend" situations::a_cut_behind_the_commit,
        ["1 is told applied and stored as [None, None]"];
    rejection_not_recorded "rejection-not-recorded" situations::a_refusal_and_then_money,
        ["1 is told rejected and stored as [None]"];
    limit_off_by_one "limit-off-by-one" situations::a_debit_of_one_too_much,
        ["an account is past its limit"];
    unsorted_locks "unsorted-locks" situations::two_batches_that_meet,
        ["deadlock detected"];
    drop_on_bisect "drop-on-bisect" situations::one_of_four_that_cannot_be_stored,
        ["is told unknown, and nothing has happened"];
    new_id_on_retry "new-id-on-retry" situations::a_cut_behind_the_commit,
        ["nobody has asked for"];
    duplicates_write_nothing "duplicates-write-nothing" standbys::a_promotion_after_a_cancelled_wait,
        ["2 is told applied and stored as []"];
    fence_before_locks "fence-before-locks" situations::a_lock_that_outlasts_a_fence,
        ["it is applied after it was known that it would not be"];
}

#[test]
fn the_document_lists_every_mutant() {
    let document = include_str!("../../docs/reliability.md");
    let listed = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let listed: Vec<&str> = listed.map(|(name, _)| name).collect();
    let all: Vec<&str> = Mutant::ALL.iter().map(|mutant| mutant.name).collect();
    assert_eq!(listed, all);
}
