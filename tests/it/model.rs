//! Random batches: the array function and a plain model of the rules agree, in one call and split
//! anywhere.

use giro_ledger::{ApplyTransfers, CreateAccounts, Lane, Metrics, NewAccount, Transfer, Verdict};
use giro_server::{Config, DatabaseUrl};
use giro_tests::TestDatabase;
use giro_tests::model::{self, Judgement, Model};
use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestCaseError, TestRunner};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::Instant;

const ACCOUNTS: u128 = 5;

/// Amounts around the limits, and at the end of the range.
fn amounts() -> impl Strategy<Value = u128> {
    prop_oneof![
        8 => 0..30_u128,
        1 => Just(u128::MAX),
        1 => Just(u128::MAX - 20),
        1 => Just(u128::MAX / 2),
    ]
}

/// Mostly known accounts; sometimes one that is not there, or an id that cannot be.
fn account_ids() -> impl Strategy<Value = u128> {
    prop_oneof![20 => 1..=ACCOUNTS, 1 => Just(ACCOUNTS + 1), 1 => Just(0), 1 => Just(u128::MAX)]
}

fn transfers() -> impl Strategy<Value = Vec<model::Transfer>> {
    let id = prop_oneof![40 => 1..25_u128, 1 => Just(0), 1 => Just(u128::MAX)];
    let ledger = prop_oneof![8 => Just(1_u32), 3 => Just(2), 1 => Just(0)];
    let code = prop_oneof![20 => Just(1_u32), 1 => Just(2), 1 => Just(0)];
    let reference = prop_oneof![5 => Just(None), 1 => Just(Some("r".to_owned()))];
    let transfer = (id, ledger, account_ids(), account_ids(), amounts(), code, reference).prop_map(
        |(id, ledger, debit, credit, amount, code, reference)| model::Transfer {
            id,
            ledger,
            debit,
            credit,
            amount,
            code,
            reference,
        },
    );
    // Repeats in full as well: half of what comes again comes as it was.
    (proptest::collection::vec(transfer, 1..60), any::<u64>()).prop_map(|(mut batch, seed)| {
        let len = batch.len();
        for i in 0..len / 3 {
            let again = batch[(seed as usize).wrapping_mul(i + 1) % len].clone();
            batch.push(again);
        }
        batch
    })
}

fn accounts() -> impl Strategy<Value = Vec<model::Account>> {
    let limit = prop_oneof![3 => 0..40_u128, 1 => Just(u128::MAX)];
    let account = (0..3_u8, limit).prop_map(|(kind, overdraft_limit)| model::Account {
        limits_debits: kind == 1,
        limits_credits: kind == 2,
        overdraft_limit,
        ..model::Account::default()
    });
    proptest::collection::vec(account, ACCOUNTS as usize * 2)
}

struct Subject {
    lane: Arc<Lane<ApplyTransfers>>,
    creation: Arc<Lane<CreateAccounts>>,
    database: TestDatabase,
}

impl Subject {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let config = Config::default();
        let url = DatabaseUrl::from(database.server_url.clone());
        let connector = config.connector(&url).unwrap();
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let lane = Arc::new(Lane::new(
            "model".into(),
            "test".into(),
            connector.clone(),
            config.watchdog(),
            metrics.clone(),
        ));
        let creation = Arc::new(Lane::new(
            "model accounts".into(),
            "test".into(),
            connector,
            config.watchdog(),
            metrics,
        ));
        tokio::spawn(lane.clone().keep_connected());
        tokio::spawn(creation.clone().keep_connected());
        Self { lane, creation, database }
    }

    async fn apply(&self, transfers: &[model::Transfer]) -> Vec<Judgement> {
        let parse = |t: &model::Transfer| {
            let mut json = json!({
                "id": t.id.to_string(), "ledger": t.ledger, "debit_account": t.debit.to_string(),
                "credit_account": t.credit.to_string(), "amount": t.amount.to_string(), "code": t.code,
            });
            if let Some(reference) = &t.reference {
                json["reference"] = json!(reference);
            }
            let input = serde_json::from_str(&json.to_string()).unwrap();
            Transfer::new(input).unwrap()
        };
        let requests = vec![transfers.iter().map(parse).collect::<Vec<_>>()];
        let deadline = Instant::now() + Duration::from_secs(60);
        let verdicts = self.lane.apply(&requests, deadline).await.unwrap();
        verdicts
            .concat()
            .into_iter()
            .map(|verdict| match verdict {
                Verdict::Applied { replayed, .. } => (None, replayed),
                Verdict::Rejected { replayed, reason } => (Some(reason.name()), replayed),
            })
            .collect()
    }
}

/// Every case gets ledgers of its own in one database: ledger 1 of the model is `base`, 2 is `base + 1`.
fn in_ledgers(base: u32, transfers: &[model::Transfer]) -> Vec<model::Transfer> {
    let shift = |ledger| if ledger == 0 { 0 } else { base + ledger - 1 };
    transfers.iter().map(|t| model::Transfer { ledger: shift(t.ledger), ..t.clone() }).collect()
}

async fn check(
    subject: &Subject,
    base: u32,
    accounts: &[model::Account],
    transfers: &[model::Transfer],
    cuts: &[prop::sample::Index],
) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    let mut creation = Vec::new();
    for (n, account) in accounts.iter().enumerate() {
        let (ledger, id) = (base + n as u32 / ACCOUNTS as u32, 1 + n as u128 % ACCOUNTS);
        let mut flags = Vec::new();
        if account.limits_debits {
            flags.push("debits_must_not_exceed_credits");
        }
        if account.limits_credits {
            flags.push("credits_must_not_exceed_debits");
        }
        let json = json!({"id": id.to_string(), "ledger": ledger, "flags": flags,
                          "overdraft_limit": account.overdraft_limit.to_string()});
        creation.push(NewAccount::new(serde_json::from_str(&json.to_string()).unwrap()).unwrap());
        model.accounts.insert((ledger, id), account.clone());
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    subject.creation.apply(&[creation], deadline).await.unwrap();

    let transfers = in_ledgers(base, transfers);
    let expected: Vec<Judgement> = transfers.iter().map(|transfer| model.apply(transfer)).collect();
    let mut points: Vec<usize> = cuts.iter().map(|cut| cut.index(transfers.len())).collect();
    points.extend([0, transfers.len()]);
    points.sort_unstable();
    let mut judged = Vec::new();
    for part in points.windows(2).filter(|part| part[0] < part[1]) {
        judged.extend(subject.apply(&transfers[part[0]..part[1]]).await);
    }
    prop_assert_eq!(&judged, &expected, "cut at {:?}", points);

    let superuser = subject.database.superuser().await;
    let rows = superuser
        .query(
            "SELECT ledger, ('x' || right(id::text, 8))::bit(32)::int, debits_posted::text,
                    credits_posted::text, version
               FROM giro.accounts WHERE ledger IN ($1, $1 + 1)",
            &[&(base as i32)],
        )
        .await
        .unwrap();
    prop_assert_eq!(rows.len(), accounts.len());
    for row in rows {
        let key = (row.get::<_, i32>(0) as u32, row.get::<_, i32>(1) as u128);
        let account = &model.accounts[&key];
        prop_assert_eq!(row.get::<_, String>(2), account.debits_posted.to_string());
        prop_assert_eq!(row.get::<_, String>(3), account.credits_posted.to_string());
        prop_assert_eq!(row.get::<_, i64>(4), account.version);
    }
    Ok(())
}

#[test]
fn the_array_function_and_the_model_agree_however_a_batch_is_split() {
    let runtime = Runtime::new().unwrap();
    let subject = runtime.block_on(Subject::new());
    let base = AtomicU32::new(10);
    let cuts = proptest::collection::vec(any::<prop::sample::Index>(), 0..4);
    let mut runner = TestRunner::new(ProptestConfig { cases: 120, ..ProptestConfig::default() });
    let agreed = runner.run(&(accounts(), transfers(), cuts), |(accounts, transfers, cuts)| {
        // In one call, and split: both must be as the model says.
        for cuts in [&[][..], &cuts[..]] {
            let base = base.fetch_add(2, Ordering::Relaxed);
            runtime.block_on(check(&subject, base, &accounts, &transfers, cuts))?;
        }
        Ok(())
    });
    if let Err(error) = agreed {
        panic!("{error}");
    }
    runtime.block_on(subject.database.assert_consistent());
    let applied = runtime.block_on(subject.database.number("SELECT count(*) FROM giro.transfers"));
    let refused = runtime.block_on(subject.database.number("SELECT count(*) FROM giro.rejections"));
    assert!(
        applied > 500 && refused > 100,
        "{applied} applied, {refused} refused: too few to prove anything"
    );
}
