//! Runs a command beside one server with a few accounts: `with-server COMMAND…`

use giro_tests::TestServer;
use serde_json::json;
use std::process::ExitCode;
use tokio::process::Command;

/// Where the command finds the server.
const URL_VARIABLE: &str = "GIRO_TEST_SERVER";

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: with-server COMMAND [ARGUMENT …]");
        return ExitCode::FAILURE;
    };
    let server = TestServer::start().await;
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
