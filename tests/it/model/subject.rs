//! The array functions, spoken to in the model's words.

use giro_checker::model::{
    self, Applied, Balances, Judgement, Key, Reason, Snapshot, account, names, transfer,
};
use giro_ledger::{
    AccountRecord, ApplyTransfers, ArrayCall, CreateAccounts, Id, Lane, Metrics, NewAccount,
    Prepared, Transfer, TransferRecord, Verdict,
};
use giro_server::{Config, DatabaseUrl};
use giro_tests::{Clock, TestDatabase, clock::moment, database::connect};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Client;

pub(super) struct Subject {
    transfers: Way<ApplyTransfers>,
    accounts: Way<CreateAccounts>,
    pub(super) server: Client,
    pub(super) clock: Clock,
    pub(super) database: TestDatabase,
}

impl Subject {
    pub(super) async fn new(now: i64) -> Self {
        let database = TestDatabase::new().await;
        let clock = Clock::stop(&database, now).await;
        Self {
            transfers: way(&database).await,
            accounts: way(&database).await,
            server: connect(&database.server_url).await,
            clock,
            database,
        }
    }

    /// Applies the requests in one call.
    pub(super) async fn apply(&self, requests: &[Vec<model::Transfer>]) -> Vec<Judgement<Applied>> {
        let parse = |t: &model::Transfer| {
            if t.has(transfer::CANCEL) {
                let id = Id::from(t.id);
                return Transfer::cancel(t.ledger as i32, id);
            }
            let input = serde_json::from_str(&transfer_json(t).to_string()).unwrap();
            Transfer::new(input).unwrap_or_else(|error| panic!("{t:?}: {error}"))
        };
        let (transfers, verdicts) = call(&self.transfers, requests, parse).await;
        let applied = |(transfer, applied)| {
            let json = json!(TransferRecord::new(transfer, applied, false));
            Applied {
                amount: number(&json["amount"]),
                debit: id(json["debit_account"].as_str().unwrap()),
                credit: id(json["credit_account"].as_str().unwrap()),
                code: json["code"].as_u64().unwrap() as u32,
                created_at: time(&json["created_at"]),
            }
        };
        let mut judged = judgements(transfers, verdicts, applied);
        for (t, judgement) in requests.iter().flatten().zip(&mut judged) {
            if let (true, Ok(applied)) = (t.has(transfer::CANCEL), &mut judgement.outcome) {
                (applied.debit, applied.credit, applied.code) = (0, 0, 0);
            }
        }
        judged
    }

    /// Creates the accounts of the requests in one call.
    pub(super) async fn create(
        &self,
        requests: &[Vec<model::NewAccount>],
    ) -> Vec<Judgement<Snapshot>> {
        let parse = |a: &model::NewAccount| {
            let input = serde_json::from_str(&account_json(a).to_string()).unwrap();
            NewAccount::new(input).unwrap_or_else(|error| panic!("{a:?}: {error}"))
        };
        let (accounts, verdicts) = call(&self.accounts, requests, parse).await;
        let created = |(account, balances)| {
            let json = json!(AccountRecord::new(account, balances));
            let balances = Balances {
                debits_pending: number(&json["debits_pending"]),
                debits_posted: number(&json["debits_posted"]),
                credits_pending: number(&json["credits_pending"]),
                credits_posted: number(&json["credits_posted"]),
            };
            let version = number(&json["version"]) as i64;
            Snapshot { balances, version, created_at: time(&json["created_at"]) }
        };
        judgements(accounts, verdicts, created)
    }

    /// Releases holds; which, in order.
    pub(super) async fn expire(&self, most: i32) -> Vec<Key> {
        let last = "SELECT coalesce(max(seq), 0) FROM giro.expirations";
        let superuser = self.database.superuser().await;
        let before: i64 = superuser.query_one(last, &[]).await.unwrap().get(0);
        let expire = "SELECT giro.expire_holds(0, 'test', $1)::bigint";
        let released: i64 = self.server.query_one(expire, &[&most]).await.unwrap().get(0);
        let which = "SELECT ledger, id::text FROM giro.expirations WHERE seq > $1 ORDER BY seq";
        let rows = superuser.query(which, &[&before]).await.unwrap();
        assert_eq!(rows.len() as i64, released, "the number released");
        rows.iter().map(|row| (row.get::<_, i32>(0) as u32, id(row.get(1)))).collect()
    }
}

/// A lane and its session.
struct Way<C> {
    lane: Lane<C>,
    session: Prepared,
}

async fn way<C: ArrayCall>(database: &TestDatabase) -> Way<C> {
    let config = Config::default();
    let url = DatabaseUrl::from(database.server_url.clone());
    let connector = config.connector(&url).unwrap();
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let name = C::NAME.to_owned();
    let lane = Lane::new(name, "test".into(), connector, config.watchdog(), metrics);
    let session = lane.connect().await.expect("a session");
    Way { lane, session }
}

type Verdicts<C> = Vec<Verdict<<C as ArrayCall>::Applied>>;

async fn call<C: ArrayCall<Item: Clone>, T>(
    way: &Way<C>,
    requests: &[Vec<T>],
    parse: impl Fn(&T) -> C::Item,
) -> (Vec<C::Item>, Verdicts<C>) {
    let requests: Vec<Vec<C::Item>> =
        requests.iter().map(|items| items.iter().map(&parse).collect()).collect();
    let not_after = Instant::now() + Duration::from_secs(60);
    let verdicts =
        way.lane.send(&way.session, &requests, not_after).await.expect("the call is applied");
    (requests.concat(), verdicts.into_iter().flatten().collect())
}

fn judgements<I, V, A>(
    items: Vec<I>,
    verdicts: Vec<Verdict<V>>,
    applied: impl Fn((I, V)) -> A,
) -> Vec<Judgement<A>> {
    assert_eq!(items.len(), verdicts.len());
    let judgement = |(item, verdict)| match verdict {
        Verdict::Applied { replayed, applied: added } => {
            Judgement { outcome: Ok(applied((item, added))), replayed }
        }
        Verdict::Rejected { replayed, reason } => {
            Judgement { outcome: Err(reason.name() as Reason), replayed }
        }
    };
    items.into_iter().zip(verdicts).map(judgement).collect()
}

/// As a caller writes it.
fn transfer_json(t: &model::Transfer) -> Value {
    let mut json = json!({
        "id": t.id.to_string(), "ledger": t.ledger, "flags": names(t.flags, transfer::FLAG_NAMES),
    });
    let fields = json.as_object_mut().expect("an object");
    // What is zero is left out where that means "the hold's".
    let given = |value: u128| value > 0 || !t.resolves();
    let mut put = |name: &str, value: Option<Value>| {
        fields.extend(value.map(|value| (name.to_owned(), value)));
    };
    put("debit_account", given(t.debit).then(|| json!(t.debit.to_string())));
    put("credit_account", given(t.credit).then(|| json!(t.credit.to_string())));
    put("code", given(t.code.into()).then(|| json!(t.code)));
    put("amount", t.amount.map(|amount| json!(amount.to_string())));
    put("pending_id", t.pending_id.map(|id| json!(id.to_string())));
    put("timeout", (t.timeout > 0).then(|| json!(t.timeout)));
    put("reference", t.reference.as_ref().map(|text| json!(text)));
    put("metadata", t.metadata.as_ref().map(|json| serde_json::from_str(json).unwrap()));
    put("timestamp", t.timestamp.map(rfc3339));
    put("scope", t.scope_chain.then(|| json!("chain")));
    let versions = [("debit_version", t.expect_debit), ("credit_version", t.expect_credit)];
    let versions: Map<String, Value> = versions
        .into_iter()
        .filter_map(|(name, version)| Some((name.to_owned(), json!(version?))))
        .collect();
    put("expect", (!versions.is_empty()).then(|| json!(versions)));
    json
}

fn account_json(a: &model::NewAccount) -> Value {
    let mut json = json!({
        "id": a.id.to_string(), "ledger": a.ledger, "code": a.code,
        "flags": names(a.flags, account::FLAG_NAMES),
        "overdraft_limit": a.overdraft_limit.to_string(),
    });
    if let Some(reference) = &a.reference {
        json["reference"] = json!(reference);
    }
    if let Some(metadata) = &a.metadata {
        json["metadata"] = serde_json::from_str(metadata).unwrap();
    }
    if let Some(timestamp) = a.timestamp {
        json["timestamp"] = rfc3339(timestamp);
    }
    json
}

fn rfc3339(at: i64) -> Value {
    json!(humantime::format_rfc3339_micros(moment(at)).to_string())
}

fn time(json: &Value) -> i64 {
    let at = humantime::parse_rfc3339(json.as_str().expect("a time")).expect("a time");
    at.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_micros() as i64
}

fn number(json: &Value) -> u128 {
    json.as_str().expect("a decimal string").parse().expect("a number")
}

/// The number that a UUID is.
pub(super) fn id(uuid: &str) -> u128 {
    u128::from_str_radix(&uuid.replace('-', ""), 16).expect("a UUID")
}
