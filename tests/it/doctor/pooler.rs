//! A stand-in for a pooler in transaction mode: it answers for the database when a session begins, drops
//! what the session asks for, and gives each transaction to the next backend.

use super::{examine, one, superuser_url};
use giro_ledger::doctor::{Check, Severity};
use giro_tests::TestDatabase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_postgres::config::Host;

/// A message, with its tag.
async fn message(from: &mut (impl AsyncReadExt + Unpin)) -> Option<(u8, Vec<u8>)> {
    let tag = from.read_u8().await.ok()?;
    let length = from.read_u32().await.ok()?;
    let mut bytes = vec![0; length as usize + 1];
    bytes[0] = tag;
    bytes[1..5].copy_from_slice(&length.to_be_bytes());
    from.read_exact(&mut bytes[5..]).await.ok()?;
    Some((tag, bytes))
}

async fn backend(url: &str) -> UnixStream {
    let config: tokio_postgres::Config = url.parse().unwrap();
    let [Host::Unix(directory)] = config.get_hosts() else { panic!("{url}") };
    let path = directory.join(format!(".s.PGSQL.{}", config.get_ports()[0]));
    let mut socket = UnixStream::connect(path).await.unwrap();
    let (user, database) = (config.get_user().unwrap(), config.get_dbname().unwrap());
    let said = format!("user\0{user}\0database\0{database}\0\0");
    socket.write_u32(said.len() as u32 + 8).await.unwrap();
    socket.write_u32(196_608).await.unwrap();
    socket.write_all(said.as_bytes()).await.unwrap();
    while message(&mut socket).await.expect("it begins").0 != b'Z' {}
    socket
}

async fn session(mut client: TcpStream, url: String) -> Option<()> {
    let length = client.read_u32().await.ok()?;
    let mut startup = vec![0; length as usize - 4];
    client.read_exact(&mut startup).await.ok()?;
    // Authenticated, and ready.
    client.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.ok()?;
    let mut backends = [backend(&url).await, backend(&url).await];
    let mut turn = 0;
    loop {
        let mut asked = Vec::new();
        loop {
            let (tag, bytes) = message(&mut client).await?;
            asked.extend(bytes);
            if matches!(tag, b'S' | b'Q') {
                break;
            }
        }
        let backend = &mut backends[turn % 2];
        backend.write_all(&asked).await.ok()?;
        loop {
            let (tag, bytes) = message(backend).await?;
            client.write_all(&bytes).await.ok()?;
            if tag == b'Z' {
                turn += usize::from(bytes[5] == b'I');
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_pooler_is_critical_and_everything_else_is_seen_through_it() {
    let database = TestDatabase::new().await;
    let url = superuser_url(&database);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = url.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(session(client, behind.clone()));
        }
    });
    let name = url.rsplit('/').next().unwrap();
    let pooled = format!("postgresql://postgres@127.0.0.1:{port}/{name}?sslmode=disable");
    let report = examine(&pooled).await;
    let finding = one(&report, Check::Pooler, Severity::Critical);
    for sign in
        ["several backends", "statement_timeout is 0 ms instead of 2000 ms", "application_name"]
    {
        assert!(finding.evidence.contains(sign), "{finding}");
    }
    assert!(report.not_looked_at.is_empty(), "{report}");
    assert!(examine(&url).await.healthy.contains(&Check::Pooler));
}

#[tokio::test]
async fn a_pooler_that_refuses_what_a_session_asks_for_is_told_by_its_words() {
    let database = TestDatabase::new().await;
    let url = superuser_url(&database);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let url = url.clone();
            tokio::spawn(async move {
                let mut start = vec![0; 1024];
                let read = client.peek(&mut start).await.unwrap();
                if String::from_utf8_lossy(&start[..read]).contains("statement_timeout") {
                    refuse(client).await;
                } else {
                    session(client, url).await;
                }
            });
        }
    });
    let pooled = format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
    let report = examine(&pooled).await;
    let finding = one(&report, Check::Pooler, Severity::Critical);
    assert!(finding.evidence.contains("unsupported startup parameter"), "{finding}");
}

/// As PgBouncer does.
async fn refuse(mut client: TcpStream) {
    let length = client.read_u32().await.unwrap();
    client.read_exact(&mut vec![0; length as usize - 4]).await.unwrap();
    let words = "SFATAL\0C08P01\0Munsupported startup parameter in options: statement_timeout\0\0";
    client.write_u8(b'E').await.unwrap();
    client.write_u32(words.len() as u32 + 4).await.unwrap();
    client.write_all(words.as_bytes()).await.unwrap();
}
