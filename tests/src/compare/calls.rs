//! Contenders that one session of this program drives, a call after another: array functions and the floor.
//! What the next call sends is made while one is under way, so that the backend does not wait for it.

use super::cell::{BATCH, Cell, Contender};
use super::floor::Floor;
use super::plan::Plan;
use super::raw::Measured;
use super::site::{Place, connect};
use super::watch::now;
use super::{fixture, floor};
use giro_ledger::{
    Amount, ApplyTransfers, ArrayCall, Header, Id, Transfer, TransferInput, Verdict,
};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

/// `application_name` of the session.
const NAME: &str = "giro-compare";

/// What is called.
enum Callee {
    Tpcb(Statement),
    Giro(Statement),
    Floor(Floor),
}

/// What one call sends.
enum Load {
    Tpcb([Vec<i32>; 4]),
    Transfers(Vec<Transfer>),
    Rows(Vec<floor::Row>),
}

/// Draws transfers.
struct Draw {
    cell: Cell,
    accounts: u64,
    /// Those that are debited, and all others.
    hot: Vec<Uuid>,
    cold: Vec<Uuid>,
    random: fastrand::Rng,
    batch: i64,
}

/// Measures a cell.
pub(super) async fn run(plan: &Plan, place: &Place, cell: &Cell) -> Result<Measured, String> {
    let mut draw = Draw::new(place, cell, plan.accounts).await?;
    let role = match cell.contender {
        Contender::GiroFunction | Contender::GiroCall => "giro_app",
        _ => "postgres",
    };
    let client = connect(&format!("{}?application_name={NAME}", place.url(role))).await?;
    let callee = Callee::prepare(&client, place, cell.contender, &mut draw).await?;
    let watch = place.watch(NAME, None);
    let over = AtomicBool::new(false);
    let load = async {
        let mut calls = Vec::new();
        let mut next = draw.next();
        while !over.load(Ordering::Relaxed) {
            let began = now();
            let (answered, drawn) =
                tokio::join!(callee.call(&client, &next), async { draw.next() });
            answered?;
            calls.push((began, now()));
            next = drawn;
        }
        Ok(calls)
    };
    let window = async {
        let window = watch.window(plan.warmup, plan.seconds).await;
        over.store(true, Ordering::Relaxed);
        window
    };
    let (window, calls) = tokio::try_join!(window, load)?;
    let each = draw.size() as u64;
    let done = calls.len() as u64 * each;
    match &callee {
        Callee::Floor(floor) => floor.check(&place.watcher, done).await?,
        _ => fixture::check(&place.watcher, cell.contender, done).await?,
    }
    let inside = calls.iter().filter(|(_, end)| (window.from.at..window.to.at).contains(end));
    let times: Vec<u32> = inside.map(|(began, end)| (end - began) as u32).collect();
    window.measured(times.len() as u64 * each, times)
}

impl Callee {
    async fn prepare(
        client: &Client,
        place: &Place,
        contender: Contender,
        draw: &mut Draw,
    ) -> Result<Self, String> {
        let prepared =
            async |sql: &str| client.prepare(sql).await.map_err(|error| format!("{sql}: {error}"));
        Ok(match contender {
            Contender::TpcbArrays => {
                Self::Tpcb(prepared("SELECT tpcb_arrays($1, $2, $3, $4)").await?)
            }
            Contender::GiroFunction | Contender::GiroCall => {
                Self::Giro(prepared(ApplyTransfers::STATEMENT).await?)
            }
            _ => {
                floor::look(&place.watcher, draw.transfers(floor::SAMPLE)).await?;
                Self::Floor(Floor::make(client, contender).await?)
            }
        })
    }

    async fn call(&self, client: &Client, load: &Load) -> Result<(), String> {
        let failed = |error: tokio_postgres::Error| format!("a call: {error}");
        match (self, load) {
            (Self::Tpcb(statement), Load::Tpcb([aids, bids, tids, deltas])) => {
                let row = client.query_one(statement, &[aids, bids, tids, deltas]).await;
                let balances: Vec<i32> = row.map_err(failed)?.get(0);
                (balances.len() == BATCH).then_some(()).ok_or("a balance is missing".into())
            }
            (Self::Giro(statement), Load::Transfers(transfers)) => {
                apply(client, statement, transfers).await
            }
            (Self::Floor(floor), Load::Rows(rows)) => floor.write(client, rows).await,
            _ => unreachable!("each is given what it is drawn"),
        }
    }
}

/// All of these have to be applied.
pub(super) async fn apply(
    client: &Client,
    statement: &(impl ?Sized + tokio_postgres::ToStatement),
    transfers: &[Transfer],
) -> Result<(), String> {
    let header = Header {
        shard: 0,
        token: fastrand::i64(..),
        server: NAME.into(),
        not_after: None,
        dry_run: false,
    };
    let requests = vec![transfers.to_vec()];
    let columns = ApplyTransfers::columns(&requests);
    let parameters: Vec<&(dyn ToSql + Sync)> = ApplyTransfers::parameters(&header, &columns);
    let row = client.query_one(statement, &parameters).await;
    let row = row.map_err(|error| format!("a call: {error}"))?;
    let verdicts = ApplyTransfers::verdicts(&row, &header, &columns).map_err(|e| e.to_string())?;
    let applied =
        |verdict: &Verdict<_>| matches!(verdict, Verdict::Applied { replayed: false, .. });
    verdicts.iter().all(applied).then_some(()).ok_or("a transfer was refused".into())
}

impl Draw {
    async fn new(place: &Place, cell: &Cell, accounts: u64) -> Result<Self, String> {
        let mut draw = Self {
            cell: *cell,
            accounts,
            hot: Vec::new(),
            cold: Vec::new(),
            random: fastrand::Rng::with_seed(accounts ^ cell.condition.rows),
            batch: 0,
        };
        if cell.contender != Contender::TpcbArrays {
            let sql = "SELECT id FROM giro.account_state WHERE ledger = 1 ORDER BY id";
            let rows = place.watcher.query(sql, &[]).await;
            let rows = rows.map_err(|error| format!("the accounts: {error}"))?;
            let every = (rows.len() / cell.condition.rows as usize).max(1);
            for (number, row) in rows.iter().enumerate() {
                let wanted = draw.hot.len() < cell.condition.rows as usize;
                let hot = number % every == 0 && wanted;
                if hot { &mut draw.hot } else { &mut draw.cold }.push(row.get(0));
            }
        }
        Ok(draw)
    }

    /// Transfers in one call.
    fn size(&self) -> usize {
        if self.cell.contender == Contender::GiroCall { 1 } else { BATCH }
    }

    fn next(&mut self) -> Load {
        self.batch += 1;
        match self.cell.contender {
            Contender::TpcbArrays => self.tpcb(),
            Contender::GiroFunction | Contender::GiroCall => {
                Load::Transfers(self.transfers(self.size()))
            }
            _ => {
                let first = self.batch * 65_536;
                Load::Rows((0..BATCH).map(|place| self.row(first + place as i64)).collect())
            }
        }
    }

    fn tpcb(&mut self) -> Load {
        let rows = self.cell.condition.rows as i32;
        let accounts = self.accounts as i32;
        let mut drawn = |from, to| (0..BATCH).map(|_| self.random.i32(from..=to)).collect();
        let (aids, bids) = (drawn(1, accounts), drawn(1, rows));
        Load::Tpcb([aids, bids, drawn(1, rows * 10), drawn(-5000, 5000)])
    }

    fn transfers(&mut self, count: usize) -> Vec<Transfer> {
        let transfer =
            |floor::Row { id, debit, credit, amount: Amount(amount), .. }: floor::Row| {
                let json = format!(
                    r#"{{"id":"{id}","debit_account":"{debit}","credit_account":"{credit}","amount":{amount}}}"#
                );
                let input: TransferInput = serde_json::from_str(&json).expect("a transfer");
                Transfer::new(input).expect("a valid transfer")
            };
        (0..count).map(|_| transfer(self.row(0))).collect()
    }

    fn row(&mut self, seq: i64) -> floor::Row {
        let Self { random, hot, cold, .. } = self;
        floor::Row {
            seq,
            id: Uuid::from_u128(u128::from(Id::new())),
            debit: hot[random.usize(..hot.len())],
            credit: cold[random.usize(..cold.len())],
            amount: Amount(random.u128(1..=1000)),
        }
    }
}
