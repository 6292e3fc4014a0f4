//! The client side against a small server in this process.

mod server;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use self::server::{Server, Wrong};
use crate::accounts::Accounts;
use crate::arrivals::Arrivals;
use crate::client::Target;
use crate::control::Control;
use crate::ids::Ids;
use crate::load;
use crate::money::{Money, Readings};
use crate::outcome::Outcomes;
use crate::recorder::Kind;
use crate::schedule::Schedule;
use crate::tally::Tally;
use crate::workload::{Arrivals as Spacing, OpenLoop, Workload};
use crate::{BenchError, Options};

/// Accounts on a server that nobody asks.
pub(crate) fn some_accounts(hot: u32, cold: u32) -> Accounts {
    Accounts {
        target: Target::parse("http://127.0.0.1:1").expect("a URL"),
        ids: Ids::new(1, 1),
        hot,
        cold,
        batch: 1000,
        request_timeout: Duration::from_millis(300),
    }
}

/// Three connections to a server, and accounts on it.
async fn setup(url: &str, workload: Workload, bulk: usize) -> (Options, Accounts) {
    let mut options = Options { workload, bulk, connections: 3, ..Options::new(url, "") };
    options.accounts = 100;
    options.request_timeout = Duration::from_millis(300);
    let target = options.validate().expect("valid");
    let (hot, cold) = options.account_counts();
    let accounts = Accounts { target, ..some_accounts(hot, cold) };
    accounts.prepare().await.expect("created");
    (options, accounts)
}

/// Runs the load, measured from the first request, until at least so many transfers are applied
/// and `enough`.
async fn load(
    options: &Options,
    accounts: &Accounts,
    transfers: u64,
    enough: impl Fn() -> bool,
) -> (Tally, Arc<Control>) {
    let starts = options.open_loop.map(|open_loop| Schedule::new(open_loop, options.seed));
    let arrivals = starts.map(|starts| Arrivals::start(starts).expect("a thread"));
    let control = Arc::new(Control::new(accounts.len(), arrivals));
    control.measure();
    let workers = load::start(options, accounts, &control);
    let stop = async {
        while control.applied() < transfers || !enough() {
            sleep(Duration::from_millis(5)).await;
        }
        control.stop();
        Ok(())
    };
    let both = async { tokio::try_join!(stop, load::finish(workers)) };
    let tally = timeout(Duration::from_secs(20), both).await.expect("ends").expect("succeeds").1;
    (tally, control)
}

/// Checks the balances that the server shows.
async fn money(accounts: &Accounts, control: &Control) -> Result<Money, BenchError> {
    let over_http = accounts.read(0..accounts.len()).await.expect("read");
    let after = over_http.iter().map(|(_, balances)| *balances).collect();
    let before = vec![[0; 4]; over_http.len()];
    Money::check(accounts, &control.books, &Readings { before, after, over_http })
}

#[tokio::test]
async fn accounts_are_created_once() {
    let server = Server::new(Wrong::Nothing);
    let target = Target::parse(&server.start().await).expect("a URL");
    let accounts = Accounts { target, ..some_accounts(3, 2500) };
    accounts.prepare().await.expect("created");
    // One batch of hot accounts, three of cold ones, and a marker for each.
    assert_eq!(server.accounts_posts.load(Ordering::Relaxed), 6);
    assert_eq!(server.ledger.lock().expect("not poisoned").accounts.len(), 3 + 2500 + 2);
    accounts.prepare().await.expect("found");
    assert_eq!(server.accounts_posts.load(Ordering::Relaxed), 6);

    let fewer = Accounts { cold: 2000, ..accounts };
    fewer.prepare().await.expect("created");
    assert_eq!(server.accounts_posts.load(Ordering::Relaxed), 6 + 3);
}

#[tokio::test]
async fn outcomes_and_failures_of_single_transfers_are_counted() {
    let server = Server::new(Wrong::Trouble);
    let (options, accounts) = setup(&server.start().await, Workload::Hot, 1).await;
    let connections = || server.connections.load(Ordering::Relaxed);
    let all = connections() + options.connections as u64 + 2;
    let (tally, control) = load(&options, &accounts, 300, || connections() == all).await;

    let Outcomes { applied, rejected, not_applied, unknown } = tally.outcomes;
    assert_eq!((rejected, not_applied, unknown), (5, 3, 1));
    assert!(applied >= 300);
    assert_eq!((tally.broken, tally.timeouts, tally.unreadable), (1, 1, 1));
    assert_eq!(tally.reconnects, 2);
    // The broken and the timed out request have no answer, and the last answer of each connection
    // may have come after the window.
    let answered = server.transfer_posts.load(Ordering::Relaxed) - 2;
    assert!((answered - options.connections as u64..=answered).contains(&tally.requests));
    let latencies = control.recorder.take();
    assert_eq!(latencies.all().len(), tally.requests);
    let refused = latencies.kinds().find(|(kind, _)| *kind == Kind::Refused).expect("three");
    assert_eq!(refused.1.len(), 3);
    assert!(tally.first_other.is_some());

    let money = money(&accounts, &control).await.expect("agrees");
    assert!(money.found > money.acknowledged, "one unknown transfer was applied");
}

#[tokio::test]
async fn in_a_closed_loop_who_is_refused_waits_as_told() {
    let server = Server::new(Wrong::Busy);
    let (options, accounts) = setup(&server.start().await, Workload::Hot, 1).await;
    let posts = || server.transfer_posts.load(Ordering::Relaxed);
    let (tally, _) = load(&options, &accounts, 0, || posts() == 3).await;
    assert_eq!((tally.outcomes.not_applied, posts()), (3, 3), "each connection sent one");
}

#[tokio::test]
async fn each_transfer_of_a_bulk_is_counted() {
    let server = Server::new(Wrong::Nothing);
    let (options, accounts) = setup(&server.start().await, Workload::Hot, 100).await;
    let (tally, control) = load(&options, &accounts, 300, || true).await;
    assert_eq!(tally.outcomes.applied, tally.requests * 100);
    assert_eq!((tally.outcomes.unknown, tally.reconnects), (0, 0));
    let money = money(&accounts, &control).await.expect("agrees exactly");
    assert_eq!((money.found, money.unknown), (money.acknowledged, 0));
}

#[tokio::test]
async fn the_money_of_every_workload_agrees() {
    for workload in Workload::ALL {
        let server = Server::new(Wrong::Nothing);
        let (options, accounts) = setup(&server.start().await, workload, 1).await;
        let (tally, control) = load(&options, &accounts, 500, || true).await;
        assert_eq!(tally.first_other, None, "{workload}");
        assert_eq!(tally.reads.answered > 0, workload == Workload::Mixed);
        let money = money(&accounts, &control).await.expect("agrees");
        assert_eq!(money.found, money.acknowledged, "{workload}");
        assert_eq!(money.pending_found, money.pending_acknowledged, "{workload}");
        assert_eq!(money.pending_found > 0, workload == Workload::Holds, "{workload}");
    }
}

#[tokio::test]
async fn a_loss_is_found_in_every_workload() {
    for (workload, wrong) in [Wrong::Loss, Wrong::Misdirection]
        .into_iter()
        .flat_map(|wrong| Workload::ALL.map(|workload| (workload, wrong)))
    {
        let server = Server::new(wrong);
        let (options, accounts) = setup(&server.start().await, workload, 1).await;
        let (_, control) = load(&options, &accounts, 500, || true).await;
        let error = money(&accounts, &control).await.expect_err("found");
        assert!(matches!(error, BenchError::MoneyLost { .. }), "{workload} {wrong:?}: {error}");
    }
}

#[tokio::test]
async fn an_acknowledged_transfer_that_cannot_be_read_is_found() {
    let server = Server::new(Wrong::Forgetfulness);
    let (options, accounts) = setup(&server.start().await, Workload::Mixed, 1).await;
    let (tally, _) = load(&options, &accounts, 2000, || true).await;
    assert!(tally.lost_reads > 0);
    let first = tally.first_lost.expect("an example");
    assert!(first.starts_with("/transfers/") && first.contains("404"), "{first}");
}

#[tokio::test]
async fn a_server_that_stalls_shows_in_an_open_loop() {
    let server = Server::new(Wrong::Stall);
    let (mut options, accounts) = setup(&server.start().await, Workload::Uniform, 1).await;
    options.open_loop = Some(OpenLoop { rate: 1000.0, arrivals: Spacing::Constant });
    let (_, control) = load(&options, &accounts, 600, || true).await;
    let latencies = control.recorder.take().all();
    // 200 arrivals fell into the first 200 ms of the stall of 300 ms, and waited for its end; a
    // closed loop of three connections would have seen three slow answers.
    let slow = latencies.count_between(100_000, u64::MAX);
    assert!(slow >= 195, "{slow} of {}", latencies.len());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let target = Target::parse(&url).expect("a URL");
    let accounts = Accounts { target, ..some_accounts(3, 2500) };
    let error = accounts.prepare().await.expect_err("nobody listens");
    assert!(matches!(error, BenchError::Unreachable { attempts: 10, .. }), "{error}");
}
