//! The proxy by hand: `giro-chaos proxy`

use super::Behind;
use giro_tests::eventually;
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Output, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_giro-chaos"));
    command.arg("proxy").args(arguments).env_remove("DATABASE_URL").kill_on_drop(true);
    command
}

#[tokio::test]
async fn it_says_where_it_listens_what_happens_and_what_has_happened() {
    let mut behind = Behind::new().await;
    let aim = ["--sessions", "lane", "--calls", "INSERT INTO marks", "--cut-after-sync", "100%"];
    let mut child = command(&aim)
        .args(["--delay", "1ms", "--slice", "7", "--seed", "1"])
        .env("DATABASE_URL", &behind.database.owner_url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut url = String::new();
    said.read_line(&mut url).await.unwrap();
    assert!(url.starts_with("postgresql://giro_owner@127.0.0.1:"), "{url}");
    behind.by_hand = Some(url.trim().to_owned());
    let lane = behind.marker("lane").await;
    lane.mark(1).await.expect_err("the session is cut");
    behind.has_marks(1).await;
    kill_process(Pid::from_raw(child.id().unwrap() as i32).unwrap(), Signal::INT).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).await.unwrap();
    assert!(child.wait().await.unwrap().success());
    for part in ["--seed 1", "cut-after-sync   lane, call 1\n", "1 cut-after-sync\n", "1 calls\n"] {
        assert!(rest.contains(part), "{part}: {rest}");
    }
    assert!(rest.contains(" sliced messages\n") && rest.contains(" delayed messages\n"), "{rest}");
}

#[tokio::test]
async fn a_black_hole_comes_and_goes_until_the_time_is_over() {
    let mut behind = Behind::new().await;
    let hole = ["--black-hole", "50ms", "--every", "100ms", "--sessions", "", "--for", "3s"];
    let mut child = command(&["--to", &behind.database.owner_url])
        .args(hole)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut url = String::new();
    said.read_line(&mut url).await.unwrap();
    behind.by_hand = Some(url.trim().to_owned());
    let lane = behind.marker("lane").await;
    let mut rest = String::new();
    let marking = async {
        // Ends with the proxy.
        while lane.mark(1).await.is_ok() {}
    };
    tokio::join!(marking, async { said.read_to_string(&mut rest).await.unwrap() });
    assert!(child.wait().await.unwrap().success());
    assert!(rest.contains("nothing is delivered for 50ms"), "{rest}");
    assert!(rest.contains(" messages held\n"), "{rest}");
    eventually("it went on", async || {
        behind.database.number("SELECT count(*) FROM marks").await > 1
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let url = "postgresql://me@127.0.0.1:1/db";
    for (arguments, expected) in [
        (&[][..], "--to <URL>"),
        (&["--to", "nonsense"], "not a URL"),
        (&["--to", "postgresql://me@a,b/db"], "one host"),
        (&["--to", url, "--listen", "0.0.0.0:0"], "--exposed"),
        (&["--to", url, "--listen", "localhost"], "invalid socket address"),
        (&["--to", url, "--cut-after-sync", "200%"], "from 0% to 100%"),
        (&["--to", url, "--delay", "5"], "time unit needed"),
        (&["--to", url, "--slice", "0"], "0 is not in 1.."),
        (&["--to", url, "--rate", "fast"], "--rate"),
        (&["--to", url, "--black-hole", "1m"], "--every is to be longer"),
        (&["--to", url, "--cut"], "unexpected argument"),
    ] {
        let Output { status, stderr, .. } = command(arguments).output().await.unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert!(!status.success() && said.contains(expected), "{arguments:?}: {said}");
    }
}
