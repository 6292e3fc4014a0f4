//! Tests of the tests: each fault that is put in on purpose is found by what callers were told and what is
//! stored, and the same situation without it finds nothing.

mod findings;
mod situations;
mod standbys;
mod subject;

use giro_tests::mutants::Mutant;
use subject::Subject;

/// What there is to find in a situation: nothing, but for the mutant.
async fn is_found(name: &str, situation: impl AsyncFn(Subject) -> Vec<String>) {
    let sound = situation(Subject::sound()).await;
    assert_eq!(sound, [""; 0], "the situation itself");
    let found = situation(Subject::with(Mutant::named(name))).await;
    assert!(!found.is_empty(), "{name} lives");
    println!("{name}: {}", found.join("; "));
}

macro_rules! mutants {
    ($($test:ident $name:literal $situation:path;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            is_found($name, $situation).await;
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
    ack_on_first_row "ack-on-first-row" situations::a_commit_that_fails;
    believe_panic "believe-panic" situations::an_fsync_that_fails;
    ignore_warning "ignore-warning" standbys::a_promotion_after_a_cancelled_wait;
    reuse_timed_out_session "reuse-timed-out-session" situations::a_backend_that_hangs;
    swap_results "swap-results" situations::one_applied_and_one_refused;
    no_id_check_on_resend "no-id-check-on-resend" situations::a_cut_behind_the_commit;
    rejection_not_recorded "rejection-not-recorded" situations::a_refusal_and_then_money;
    limit_off_by_one "limit-off-by-one" situations::a_debit_of_one_too_much;
    unsorted_locks "unsorted-locks" situations::two_batches_that_meet;
    drop_on_bisect "drop-on-bisect" situations::one_of_four_that_cannot_be_stored;
    new_id_on_retry "new-id-on-retry" situations::a_cut_behind_the_commit;
    duplicates_write_nothing "duplicates-write-nothing" standbys::a_promotion_after_a_cancelled_wait;
    fence_before_locks "fence-before-locks" situations::a_lock_that_outlasts_a_fence;
}

#[test]
fn the_document_lists_every_mutant() {
    let document = include_str!("../../docs/reliability.md");
    let listed = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let listed: Vec<&str> = listed.map(|(name, _)| name).collect();
    let all: Vec<&str> = Mutant::ALL.iter().map(|mutant| mutant.name).collect();
    assert_eq!(listed, all);
}
