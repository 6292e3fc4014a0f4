//! How long a check takes: writes a ledger of the size asked for, and the history of callers that made it,
//! and checks both. `checker-scale --transfers 1000000`
//!
//! What it writes comes from the model that the check replays it on: that says how long a check takes, and
//! nothing about Giro. The indexes that only listings need are left out, for the sake of the disk.

use bytes::Bytes;
use clap::Parser;
use fastrand::Rng;
use futures_util::StreamExt;
use giro_checker::history::{
    ACCOUNTS as OPENED, Answer, Applied, Asked, Attempt, Balances, HISTORY, Item, LEDGER, Opened,
    Told,
};
use giro_checker::model::transfer::{LINKED, PENDING, POST_PENDING, VOID_PENDING};
use giro_checker::model::{self, Judgement, Model, NewAccount, Transfer, account};
use giro_tests::{TestDatabase, cluster, database::connect, eventually};
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_postgres::Client;

#[derive(Parser)]
#[command(name = "checker-scale")]
struct Arguments {
    /// How many transfers are asked for, repetitions included
    #[arg(long, default_value_t = 100_000)]
    transfers: u64,
}

const HOT: u64 = 32;
const ACCOUNTS: u64 = 10_000;
const OVERDRAFT: u64 = 1000;
/// Requests in a batch.
const BATCH: u64 = 50;
const PIECE: usize = 1 << 16;
/// 2026, in microseconds since 1970.
const BEGIN: i64 = 1_767_225_600_000_000;

#[tokio::main]
async fn main() {
    let Arguments { transfers } = Arguments::parse();
    let settings = [
        ("max_wal_size", "1GB"),
        ("wal_level", "minimal"),
        ("max_wal_senders", "0"),
        ("fsync", "off"),
    ];
    let cluster = tokio::task::block_in_place(|| cluster::start(&settings));
    let database = TestDatabase::at(&|user: &str, name: &str| cluster.url(user, name)).await;
    let directory = tempfile::tempdir().expect("a directory");
    let began = Instant::now();
    fill(&database, directory.path(), transfers).await;
    write_accounts(&directory.path().join(OPENED)).expect("the accounts are written");
    for sides in ["faults.jsonl", "scrapes.jsonl"] {
        File::create(directory.path().join(sides)).expect("a file");
    }
    let bytes = std::fs::metadata(directory.path().join(HISTORY)).expect("a history").len();
    eprintln!("written in {:.1?}; the history has {} MB", began.elapsed(), bytes >> 20);
    let (began, used) = (Instant::now(), processor_seconds(&database).await);
    let verdict = giro_checker::check(directory.path(), &database.superuser_url).await;
    let verdict = verdict.unwrap_or_else(|error| panic!("{error}"));
    println!("{verdict}\n");
    println!("checked in {:.1?}, with {} MB at most", began.elapsed(), peak_memory() >> 10);
    let [own, of_postgres] = processor_seconds(&database).await;
    println!(
        "on {:.1} s of a processor, and PostgreSQL {:.1} s",
        own - used[0],
        of_postgres - used[1]
    );
}

fn write_accounts(path: &Path) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for id in 1..=ACCOUNTS {
        let account = Opened { id, flags: flags(id), overdraft_limit: OVERDRAFT };
        serde_json::to_writer(&mut file, &account)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

/// What this process has used, and PostgreSQL with all processes that have ended.
async fn processor_seconds(database: &TestDatabase) -> [f64; 2] {
    let others = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND backend_type = 'client backend'
                     AND pid <> pg_backend_pid()";
    eventually("all sessions have ended", async || database.number(others).await == 0).await;
    let pid = "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::bigint";
    let postmaster = database.number(pid).await.to_string();
    ["self", &postmaster].map(|process| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // After the name, which may have anything in it: user, system, and those of ended children.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
        let ticks: u64 =
            fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
        ticks as f64 / 100.0
    })
}

/// Of this process, in KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

const TABLES: [&str; 4] =
    ["giro.decisions", "giro.account_balances", "giro.batches", "giro.account_state"];

/// Writes the ledger and the history.
async fn fill(database: &TestDatabase, directory: &Path, transfers: u64) {
    let session = database.superuser().await;
    let drop_indexes =
        "DROP INDEX giro.decisions_debits, giro.decisions_credits, giro.decisions_order,
                                   giro.account_balances_created_at";
    session.batch_execute(drop_indexes).await.expect("the indexes are dropped");
    let mut copies = Vec::new();
    let mut tables = Vec::new();
    for table in TABLES {
        let (rows, taken) = mpsc::channel(8);
        tables.push(Table { rows, piece: String::new() });
        let client = connect(&database.superuser_url).await;
        copies.push(tokio::spawn(copy(client, table, taken)));
    }
    let history = File::create(directory.join(HISTORY)).expect("a file");
    let written = tokio::task::spawn_blocking(move || {
        let mut world = World::new(BufWriter::with_capacity(1 << 20, history), tables);
        world.run(transfers);
    });
    written.await.expect("everything is written");
    for copy in copies {
        copy.await.expect("the rows are taken");
    }
    session.batch_execute("ANALYZE").await.expect("statistics");
}

async fn copy(client: Client, table: &str, mut rows: mpsc::Receiver<Bytes>) {
    let columns = match table {
        "giro.decisions" => {
            "(seq, created_at, ledger, code, flags, id, debit_account, credit_account, amount, pending_id, timeout, reason, debit_previous, credit_previous)"
        }
        "giro.account_state" => {
            "(ledger, id, code, flags, overdraft_limit, debits_pending, debits_posted, credits_pending, credits_posted, version, created_at, changed_at, last_transfer)"
        }
        _ => "",
    };
    let sink = client.copy_in::<_, Bytes>(&format!("COPY {table} {columns} FROM STDIN")).await;
    let rows = futures_util::stream::poll_fn(move |context| rows.poll_recv(context));
    rows.map(Ok).forward(sink.expect("a copy")).await.expect("rows");
}

struct Table {
    rows: mpsc::Sender<Bytes>,
    piece: String,
}

impl Table {
    fn row(&mut self, row: std::fmt::Arguments<'_>) {
        writeln!(self.piece, "{row}").expect("a string");
        if self.piece.len() > PIECE {
            self.send();
        }
    }

    fn send(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        self.rows.blocking_send(piece.into()).expect("the copy goes on");
    }
}

/// Callers, a server and a ledger.
struct World {
    random: Rng,
    model: Model,
    history: BufWriter<File>,
    tables: Vec<Table>,
    clock: u64,
    next_id: u64,
    seq: i64,
    /// Of the batch: its number, requests, and items applied, rejected and replayed.
    batch: (i64, u64, [u64; 3]),
    recent: VecDeque<Vec<Item>>,
    holds: VecDeque<(u64, u64)>,
    seqs: HashMap<u64, i64>,
    /// The last transfer of each account.
    last: HashMap<u64, u64>,
}

impl World {
    fn new(history: BufWriter<File>, tables: Vec<Table>) -> Self {
        let mut model = Model::default();
        let new = |id: u64| NewAccount {
            id: id.into(),
            ledger: LEDGER,
            code: 1,
            flags: flags(id),
            overdraft_limit: OVERDRAFT.into(),
            ..NewAccount::default()
        };
        model.create_request(0, &(1..=ACCOUNTS).map(new).collect::<Vec<_>>());
        Self {
            random: Rng::with_seed(1),
            model,
            history,
            tables,
            clock: 0,
            next_id: ACCOUNTS + 1,
            seq: 0,
            batch: (1, 0, [0; 3]),
            recent: VecDeque::new(),
            holds: VecDeque::new(),
            seqs: HashMap::new(),
            last: HashMap::new(),
        }
    }

    fn run(&mut self, transfers: u64) {
        let mut sent = 0;
        while sent < transfers {
            if self.random.u8(0..20) == 0 {
                self.read();
                continue;
            }
            let items = self.items();
            sent += items.len() as u64;
            self.apply(items);
        }
        self.end_batch();
        let accounts: Vec<u64> = (1..=ACCOUNTS).collect();
        for id in accounts {
            let account = &self.model.accounts[&(LEDGER, id.into())];
            let b = account.balances;
            self.tables[3].row(format_args!(
                "1\t{:032x}\t1\t{}\t{OVERDRAFT}\t{}\t{}\t{}\t{}\t{}\t2026-01-01\t2026-01-01\t{}",
                id,
                flags(id),
                b.debits_pending,
                b.debits_posted,
                b.credits_pending,
                b.credits_posted,
                account.version,
                id_or_null(self.last.get(&id).copied())
            ));
        }
        self.tables.iter_mut().for_each(Table::send);
        self.history.flush().expect("a file");
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1000;
        self.clock
    }

    fn note(&mut self, inv: u64, asked: Asked, answer: Answer) {
        let ret = self.tick();
        let caller = self.random.u32(1..1000);
        let attempt = Attempt { caller, server: 0, inv, ret, asked, answer };
        serde_json::to_writer(&mut self.history, &attempt).expect("a file");
        self.history.write_all(b"\n").expect("a file");
    }

    fn read(&mut self) {
        let inv = self.tick();
        let id = self.account();
        let account = &self.model.accounts[&(LEDGER, id.into())];
        let b = account.balances;
        let balances = Balances {
            version: account.version,
            debits_pending: b.debits_pending as u64,
            debits_posted: b.debits_posted as u64,
            credits_pending: b.credits_pending as u64,
            credits_posted: b.credits_posted as u64,
        };
        self.note(inv, Asked::Account(id), Answer::Account(Box::new(balances)));
    }

    fn account(&mut self) -> u64 {
        match self.random.u8(0..3) {
            0 => self.random.u64(1..=ACCOUNTS),
            _ => self.random.u64(1..=HOT),
        }
    }

    fn direct(&mut self) -> Item {
        let debit = self.account();
        let credit = loop {
            let credit = self.account();
            if credit != debit {
                break credit;
            }
        };
        self.next_id += 1;
        let amount = Some(self.random.u64(1..=200));
        Item { id: self.next_id, debit, credit, amount, ..Item::default() }
    }

    fn items(&mut self) -> Vec<Item> {
        if self.random.u8(0..5) == 0 && !self.recent.is_empty() {
            let which = self.random.usize(0..self.recent.len());
            let mut again = self.recent[which].clone();
            if self.random.bool() {
                again[0].amount = Some(again[0].amount.unwrap_or(0) + 1);
            }
            return again;
        }
        let items = match self.random.u8(0..20) {
            0..=11 => vec![self.direct()],
            12..=14 => vec![Item { flags: PENDING, ..self.direct() }],
            15..=17 => match self.holds.pop_front() {
                Some((hold, amount)) => {
                    let flags = if self.random.bool() { POST_PENDING } else { VOID_PENDING };
                    let part = self.random.bool() && flags == POST_PENDING;
                    let amount = part.then(|| self.random.u64(1..=amount));
                    self.next_id += 1;
                    vec![Item {
                        id: self.next_id,
                        amount,
                        flags,
                        pending_id: Some(hold),
                        ..Item::default()
                    }]
                }
                None => vec![self.direct()],
            },
            18 => {
                let mut chain: Vec<_> = (0..3).map(|_| self.direct()).collect();
                chain[..2].iter_mut().for_each(|item| item.flags |= LINKED);
                chain
            }
            _ => (0..4).map(|_| self.direct()).collect(),
        };
        self.recent.push_back(items.clone());
        if self.recent.len() > 10_000 {
            self.recent.pop_front();
        }
        items
    }

    fn apply(&mut self, items: Vec<Item>) {
        let inv = self.tick();
        let now = BEGIN + (self.clock / 1000) as i64;
        let transfers: Vec<Transfer> = items.iter().map(Transfer::from).collect();
        let known: Vec<bool> =
            transfers.iter().map(|transfer| self.model.is_decided(transfer.key())).collect();
        let judged = self.model.apply_request(now, &transfers);
        let mut told = Vec::new();
        for ((item, judged), known) in items.iter().zip(&judged).zip(known) {
            if !known && self.model.is_decided((LEDGER, item.id.into())) {
                self.seq += 1;
                self.decided(now, item, judged);
            }
            told.push(self.told(item, judged));
        }
        self.note(inv, Asked::Transfers(items), Answer::Told(told));
        self.batch.1 += 1;
        if self.batch.1 == BATCH {
            self.end_batch();
        }
    }

    fn told(&mut self, item: &Item, judged: &Judgement<model::Applied>) -> Told {
        let Judgement { outcome, replayed } = judged;
        let replayed = *replayed;
        let counts = &mut self.batch.2;
        counts[if replayed { 2 } else { usize::from(outcome.is_err()) }] += 1;
        match outcome {
            Ok(applied) => {
                let model::Applied { amount, debit, credit, .. } = applied;
                let (amount, debit, credit) = (*amount as u64, *debit as u64, *credit as u64);
                let seq = self.seqs[&item.id];
                Told::Applied(Applied { id: item.id, seq, debit, credit, amount, replayed })
            }
            Err(reason) => Told::Rejected { reason: (*reason).into(), replayed },
        }
    }

    fn place(&self) -> i64 {
        self.batch.0 * 65536 + self.seq
    }

    /// The row of a decision, and those of the balances after it.
    fn decided(&mut self, now: i64, item: &Item, judged: &Judgement<model::Applied>) {
        let seq = self.place();
        self.seqs.insert(item.id, seq);
        let at = moment(now);
        let Item { id, flags, pending_id, timeout, .. } = *item;
        let hold = id_or_null(pending_id);
        let account = |id: u64| id_or_null((id != 0).then_some(id));
        match &judged.outcome {
            Ok(model::Applied { amount, debit, credit, .. }) => {
                let [debit_previous, credit_previous] =
                    [*debit, *credit].map(|side| id_or_null(self.last.insert(side as u64, id)));
                self.tables[0].row(format_args!(
                    "{seq}\t{at}\t1\t1\t{flags}\t{id:032x}\t{debit:032x}\t{credit:032x}\t{amount}\t{hold}\t{timeout}\t\\N\t{debit_previous}\t{credit_previous}"
                ));
                if flags & PENDING != 0 {
                    self.holds.push_back((id, *amount as u64));
                }
                for side in [*debit, *credit] {
                    let account = self.model.accounts.get_mut(&(LEDGER, side)).expect("it exists");
                    let model::Change { version, balances: b, .. } = account.history.remove(0);
                    self.tables[1].row(format_args!(
                        "1\t{side:032x}\t{seq}\t{version}\t{}\t{}\t{}\t{}\t{at}",
                        b.debits_pending, b.debits_posted, b.credits_pending, b.credits_posted
                    ));
                }
            }
            Err(reason) => {
                let (debit, credit) = (account(item.debit), account(item.credit));
                let amount = item.amount.map_or("\\N".into(), |amount| amount.to_string());
                self.tables[0].row(format_args!(
                    "{seq}\t{at}\t1\t1\t{flags}\t{id:032x}\t{debit}\t{credit}\t{amount}\t{hold}\t{timeout}\t{reason}\t\\N\t\\N"
                ));
            }
        }
    }

    fn end_batch(&mut self) {
        let (batch, _, [applied, rejected, replayed]) = self.batch;
        let items = applied + rejected + replayed;
        self.tables[2].row(format_args!(
            "0\t{batch}\ttransfers\t{items}\t{applied}\t{rejected}\t{replayed}\tscale\t2026-01-01"
        ));
        self.batch = (batch + 1, 0, [0; 3]);
        self.seq = 0;
    }
}

fn id_or_null(id: Option<u64>) -> String {
    id.map_or("\\N".into(), |id| format!("{id:032x}"))
}

/// A moment of 2026, from microseconds since 1970.
fn moment(at: i64) -> String {
    let since = at - BEGIN;
    let (seconds, micros) = (since / 1_000_000, since % 1_000_000);
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    format!("2026-01-{:02} {hours:02}:{minutes:02}:{seconds:02}.{micros:06}+00", days + 1)
}

fn flags(id: u64) -> u32 {
    account::HISTORY
        | if id.is_multiple_of(3) { account::DEBITS_MUST_NOT_EXCEED_CREDITS } else { 0 }
}
