//! Runs a command beside one server with a few accounts: `with-server [--slow] COMMAND…`

use giro_server::DatabaseUrl;
use giro_tests::{Proxy, Target, TestDatabase, TestServer};
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;
use tokio::process::Command;

/// Where the command finds the server.
const URL_VARIABLE: &str = "GIRO_TEST_SERVER";

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    let slow = arguments.next_if(|first| first == "--slow").is_some();
    let Some(program) = arguments.next() else {
        eprintln!("usage: with-server [--slow] COMMAND [ARGUMENT …]");
        return ExitCode::FAILURE;
    };
    let database = TestDatabase::new().await;
    let network = if slow { Some(slow_network(&database).await) } else { None };
    let url = network.as_ref().map_or(&*database.server_url, Proxy::url).to_owned();
    let server =
        TestServer::on(database, |config| config.database.url = Some(DatabaseUrl::from(url))).await;
    let accounts = json!([
        {"id": 1, "flags": ["debits_must_not_exceed_credits"], "overdraft_limit": "1000000"},
        {"id": 2, "flags": ["history"]},
        {"id": 3},
    ]);
    let created = server.client.post("/accounts", &accounts).await;
    assert_eq!(created.status, 200, "{}", created.text);
    let url = format!("http://{}", server.address());
    let status = Command::new(&program).args(arguments).env(URL_VARIABLE, url).status().await;
    let transfers = server.database.number("SELECT count(*) FROM giro.transfers").await;
    let refused = server.database.number("SELECT count(*) FROM giro.rejections").await;
    eprintln!("{transfers} transfers applied, {refused} refused for good");
    if let Some(network) = network {
        let counts = network.counts();
        eprintln!("{} messages were delayed, and {} sliced", counts.delayed, counts.sliced);
        assert!(counts.delayed > 0 && counts.sliced > 0, "nothing went through the slow network");
    }
    server.database.assert_consistent().await;
    server.stop().await;
    match status {
        Ok(status) => status.code().map_or(ExitCode::FAILURE, |code| ExitCode::from(code as u8)),
        Err(error) => {
            eprintln!("{}: {error}", program.display());
            ExitCode::FAILURE
        }
    }
}

/// Between the server and its database: a few milliseconds away, and every message in single bytes.
async fn slow_network(database: &TestDatabase) -> Proxy {
    let network = Proxy::start(&database.server_url, Target::NETWORK).await;
    network.delay(Duration::from_millis(2));
    network.jitter(Duration::from_millis(2));
    network.slice(1);
    network
}
