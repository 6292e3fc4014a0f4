//! Random programs: the array functions and a plain model of the rules agree, however the requests are
//! put together to batches.

mod accounts;
mod compare;
mod plan;
mod program;
mod rare;
mod subject;
mod writer;

use giro_checker::model::{self, Judgement, Model, NewAccount, Transfer};
use giro_ledger::Reason;
use plan::ACCOUNTS;
use program::{Program, What, Written, write};
use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestCaseError, TestRunner};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use subject::Subject;
use tokio::runtime::Runtime;

const HOUR: i64 = 3_600_000_000;

/// What no caller of the API can bring about; `rules.rs` calls the function itself.
const UNREACHABLE: [&str; 4] = [
    // The server's own.
    "refused_by_database",
    "accounts_must_have_the_same_ledger",
    "transfer_must_have_the_same_ledger_as_accounts",
    "pending_transfer_has_different_ledger",
];

/// What all cases of the run share: one database, in which each has two ledgers of its own.
struct Run {
    subject: Subject,
    next_ledger: Cell<u32>,
    now: Cell<i64>,
    /// How often each answer was given.
    answers: RefCell<BTreeMap<&'static str, usize>>,
}

impl Run {
    async fn new() -> Self {
        // 2026, and what was before is past.
        let now = 1_767_225_600_000_000;
        Self {
            subject: Subject::new(now).await,
            next_ledger: Cell::new(10),
            now: Cell::new(now),
            answers: RefCell::default(),
        }
    }

    /// Gives a program to the functions and to the model. Two requests are in one batch when the cut
    /// between them is false.
    async fn check(&self, program: Vec<Written>, cuts: &[bool]) -> Result<(), TestCaseError> {
        let base = self.next_ledger.replace(self.next_ledger.get() + 2);
        let mut model = Model::default();
        let mut cuts = cuts.iter().copied().cycle();
        for (now, what) in program {
            self.now.set(now);
            self.subject.clock.set(now).await;
            match what {
                What::Create(requests) => {
                    let requests = in_ledgers(base, requests, |account: &mut NewAccount| {
                        (&mut account.ledger, &mut account.id)
                    });
                    for batch in split(&requests, &mut cuts) {
                        let judged = self.subject.create(batch).await;
                        let expected: Vec<_> =
                            batch.iter().flat_map(|r| model.create_request(now, r)).collect();
                        self.agree(&judged, &expected, &batch.concat())?;
                    }
                }
                What::Apply(requests) => {
                    let requests = in_ledgers(base, requests, |transfer: &mut Transfer| {
                        (&mut transfer.ledger, &mut transfer.id)
                    });
                    for batch in split(&requests, &mut cuts) {
                        let judged = self.subject.apply(batch).await;
                        let expected: Vec<_> =
                            batch.iter().flat_map(|r| model.apply_request(now, r)).collect();
                        self.agree(&judged, &expected, &batch.concat())?;
                    }
                }
                What::Expire(most) => self.expire(&mut model, base, most).await?,
            }
        }
        compare::states(&self.subject, &model, base).await?;
        // At last everything that expires has expired.
        self.now.set(self.now.get() + HOUR);
        self.subject.clock.set(self.now.get()).await;
        self.expire(&mut model, base, 1000).await?;
        compare::states(&self.subject, &model, base).await
    }

    async fn expire(&self, model: &mut Model, base: u32, most: i32) -> Result<(), TestCaseError> {
        let released = self.subject.expire(most).await;
        let now = self.now.get();
        for hold in released.iter().filter(|(ledger, _)| (base..base + 2).contains(ledger)) {
            prop_assert!(model.release(now, *hold), "{:?} is not due", hold);
        }
        if (released.len() as i32) < most {
            prop_assert_eq!(model.due(now), vec![], "left although there was room");
        }
        Ok(())
    }

    fn agree<A, I>(
        &self,
        judged: &[Judgement<A>],
        expected: &[Judgement<A>],
        items: &[I],
    ) -> Result<(), TestCaseError>
    where
        A: PartialEq + std::fmt::Debug,
        I: std::fmt::Debug,
    {
        for (i, (judged, expected)) in judged.iter().zip(expected).enumerate() {
            let lines = || items.iter().map(|item| format!("\n{item:?}")).collect::<String>();
            prop_assert_eq!(judged, expected, "item {} of{}", i, lines());
            let answer = expected.outcome.as_ref().err().copied().unwrap_or("applied");
            *self.answers.borrow_mut().entry(answer).or_default() += 1;
        }
        Ok(())
    }
}

/// Ledger 1 of a program is `base` in the database, 2 is `base + 1`. Ledger 0 is everybody's: there, the
/// ids are made this program's own.
fn in_ledgers<I>(
    base: u32,
    mut requests: Vec<Vec<I>>,
    key: impl Fn(&mut I) -> (&mut u32, &mut u128),
) -> Vec<Vec<I>> {
    // "Again", where nothing was before.
    requests.retain(|request| !request.is_empty());
    for item in requests.iter_mut().flatten() {
        match key(item) {
            (0, id) if *id != 0 && *id != model::MAX => *id += u128::from(base) << 64,
            (0, _) => {}
            (ledger, _) => *ledger += base - 1,
        }
    }
    requests
}

fn split<'a, I>(
    requests: &'a [Vec<I>],
    cuts: &mut impl Iterator<Item = bool>,
) -> Vec<&'a [Vec<I>]> {
    let mut batches = Vec::new();
    let mut from = 0;
    for to in 1..=requests.len() {
        if to == requests.len() || cuts.next() == Some(true) {
            batches.push(&requests[from..to]);
            from = to;
        }
    }
    batches
}

#[test]
fn the_array_functions_and_the_model_agree_however_requests_are_batched() {
    let runtime = Runtime::new().unwrap();
    let run = runtime.block_on(Run::new());
    let programs = (
        accounts::from_the_start(2, ACCOUNTS),
        plan::steps(),
        proptest::collection::vec(any::<bool>(), 8),
    )
        .prop_map(|(accounts, steps, cuts)| Program { accounts, steps, cuts });
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let mut runner = TestRunner::new(ProptestConfig {
        cases: cases.unwrap_or(120),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    });
    let agreed = runner.run(&programs, |program| {
        // Every call as large as it can be, and cut somewhere: both must be as the model says.
        for cuts in [&[false][..], &program.cuts] {
            let written = write(&program.accounts, &program.steps, run.now.get());
            runtime.block_on(run.check(written, cuts))?;
        }
        Ok(())
    });
    let agreed = agreed.map_err(|error| error.to_string()).and_then(|()| {
        let rare = run.check(rare::program(run.now.get()), &[true]);
        runtime.block_on(rare).map_err(|error| error.to_string())
    });
    if let Err(error) = agreed {
        panic!("{error}");
    }
    runtime.block_on(run.subject.database.assert_consistent());
    let answers = run.answers.borrow();
    let reachable = Reason::ALL.iter().map(|r| r.name()).filter(|r| !UNREACHABLE.contains(r));
    let never: Vec<_> = reachable.filter(|reason| !answers.contains_key(reason)).collect();
    assert_eq!(never, [""; 0], "never given");
}
