//! TLS to PostgreSQL: what each sslmode lets through, and that nothing secret leaves before.

use giro_ledger::{Connector, schema::migrate};
use giro_server::{App, Config, DatabaseUrl};
use giro_tests::cluster::{self, TestCluster};
use giro_tests::{Fault, Proxy, Target, TestDatabase, TestServer, database::connect, eventually};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SECRET: &str = "hunter2";

/// An authority, its certificate in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(directory: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = directory.join(format!("{name}.crt"));
        fs::write(&file, authority.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(authority, key), file }
    }

    /// A certificate and its key, in two files.
    fn certify(
        &self,
        directory: &Path,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut subject = CertificateParams::new(vec![name.to_owned()]).unwrap();
        // With its issuer's name, it would pass for self-signed.
        subject.distinguished_name.push(DnType::CommonName, name);
        change(&mut subject);
        let certificate = subject.signed_by(&key, &self.issuer).unwrap();
        let (crt, pem) = (directory.join("of.crt"), directory.join("of.key"));
        fs::write(&crt, certificate.pem()).unwrap();
        fs::write(&pem, key.serialize_pem()).unwrap();
        fs::set_permissions(&pem, fs::Permissions::from_mode(0o600)).unwrap();
        (crt, pem)
    }
}

/// A cluster with TLS, and a role with a password.
struct Secured {
    cluster: TestCluster,
    database: TestDatabase,
    authority: Authority,
    other: Authority,
    directory: tempfile::TempDir,
}

impl Secured {
    async fn start() -> Self {
        let cluster = cluster::start(&[]);
        let url = |user: &str, database: &str| cluster.url(user, database);
        let database = TestDatabase::at(&url).await;
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new(directory.path(), "authority");
        let other = Authority::new(directory.path(), "other");
        let secured = Self { cluster, database, authority, other, directory };
        secured.serve_with(|_| {}).await;
        let passwords = format!(
            "ALTER ROLE giro_app PASSWORD '{SECRET}'; ALTER ROLE giro_owner PASSWORD '{SECRET}'"
        );
        secured.database.superuser().await.batch_execute(&passwords).await.unwrap();
        secured
    }

    /// Has the server show a certificate for `localhost`.
    async fn serve_with(&self, change: impl FnOnce(&mut CertificateParams)) {
        let pgdata = self.cluster.data_dir().join("pg");
        let owner = fs::metadata(&pgdata).unwrap();
        let (crt, key) = self.authority.certify(self.directory.path(), "localhost", change);
        for (from, to) in
            [(&crt, "server.crt"), (&key, "server.key"), (&self.authority.file, "ca.crt")]
        {
            let to = pgdata.join(to);
            fs::copy(from, &to).unwrap();
            chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        self.reload(&["ALTER SYSTEM SET ssl = on", "ALTER SYSTEM SET ssl_ca_file = 'ca.crt'"])
            .await;
    }

    async fn reload(&self, changes: &[&str]) {
        let admin = connect(&self.cluster.url("postgres", "postgres")).await;
        for change in changes {
            admin.batch_execute(change).await.unwrap();
        }
        admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    }

    fn url(&self, user: &str, host: &str, parameters: &str) -> String {
        let port = self.cluster.port();
        format!("postgresql://{user}:{SECRET}@{host}:{port}/giro?{parameters}")
    }

    /// Nothing if a session comes about, else why not; never with the password.
    async fn attempt(&self, host: &str, parameters: &str) -> String {
        failure(&self.url("giro_app", host, parameters)).await
    }
}

async fn failure(url: &str) -> String {
    let patience = Duration::from_secs(10);
    let connector = Connector::new(url, patience, patience, patience);
    let failure = match connector {
        Ok(connector) => match connector.probe().await {
            Ok(_) => String::new(),
            Err(error) => format!("{error} {error:?}"),
        },
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(!failure.contains(SECRET), "{failure}");
    failure
}

#[tokio::test]
async fn a_certificate_is_held_against_what_the_url_asks() {
    let secured = Secured::start().await;
    let root = |authority: &Authority| format!("sslrootcert={}", authority.file.display());
    let (ours, other) = (root(&secured.authority), root(&secured.other));
    eventually("the server has TLS", async || {
        secured.attempt("localhost", &format!("sslmode=verify-full&{ours}")).await.is_empty()
    })
    .await;
    for (host, parameters, expected) in [
        ("localhost", format!("sslmode=verify-full&{ours}&channel_binding=require"), ""),
        ("127.0.0.1", format!("sslmode=verify-full&{ours}"), "not for this host name"),
        ("127.0.0.1", format!("sslmode=verify-ca&{ours}"), ""),
        ("127.0.0.1", format!("sslmode=require&{ours}"), ""),
        ("localhost", format!("sslmode=verify-full&{other}"), "none of the authorities"),
        ("localhost", format!("sslmode=verify-ca&{other}"), "none of the authorities"),
        ("localhost", "sslrootcert=system".into(), "none of the authorities"),
        ("localhost", "sslmode=require&sslrootcert=system".into(), "weak sslmode"),
        ("localhost", "sslmode=verify-full&sslrootcert=/no/such".into(), "/no/such"),
        ("localhost", "sslmode=require".into(), ""),
        ("localhost", "sslmode=prefer".into(), ""),
        ("localhost", "sslmode=disable".into(), ""),
        ("localhost", "sslmode=require&password=wrong".into(), "28P01"),
    ] {
        let failure = secured.attempt(host, &parameters).await;
        let met = if expected.is_empty() { failure.is_empty() } else { failure.contains(expected) };
        assert!(met, "{host} {parameters}: {failure}");
    }
    secured
        .serve_with(|subject| {
            subject.not_before = date_time_ymd(2020, 1, 1);
            subject.not_after = date_time_ymd(2021, 1, 1);
        })
        .await;
    eventually("an expired certificate is refused", async || {
        secured
            .attempt("localhost", &format!("sslmode=verify-full&{ours}"))
            .await
            .contains("expired")
    })
    .await;
    let url = secured.url("giro_app", "localhost", &format!("sslmode=verify-full&{ours}"));
    let fatal = start(&url).await.err().expect("a start with an expired certificate");
    assert!(fatal.contains("expired"), "{fatal}");
}

#[tokio::test]
async fn everything_goes_by_tls_when_the_url_says_so() {
    let mut secured = Secured::start().await;
    let (crt, key) = secured.authority.certify(secured.directory.path(), "client", |_| {});
    let parameters = format!(
        "sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
        secured.authority.file.display(),
        crt.display(),
        key.display()
    );
    let [app, owner] =
        ["giro_app", "giro_owner"].map(|user| secured.url(user, "localhost", &parameters));
    eventually("the server has TLS", async || failure(&app).await.is_empty()).await;
    migrate(&owner).await.expect("migrated by TLS");
    secured.database.server_url = app;
    let server = TestServer::on(secured.database, |_| {}).await;
    server.accounts(2).await;
    server.database.assert_consistent().await;
    let plain = "SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
                  WHERE usename = 'giro_app' AND (NOT ssl OR client_dn IS NULL)";
    let all = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'giro_app'";
    assert!(server.database.number(all).await >= 2);
    assert_eq!(server.database.number(plain).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn the_fault_proxy_passes_what_it_cannot_read_and_still_delays_it() {
    let mut secured = Secured::start().await;
    let direct = secured.url("giro_app", "127.0.0.1", "sslmode=require");
    eventually("the server has TLS", async || failure(&direct).await.is_empty()).await;
    let proxy = Proxy::start(&direct, Target::LANES).await;
    proxy.arm(Fault::CutBeforeSync);
    let port = proxy.url().rsplit([':', '/']).nth(1).unwrap();
    secured.database.server_url =
        format!("postgresql://giro_app:{SECRET}@127.0.0.1:{port}/giro?sslmode=require");
    let server = TestServer::on(secured.database, |_| {}).await;
    proxy.slice(1);
    proxy.delay(Duration::from_millis(1));
    server.accounts(2).await;
    let transfer = serde_json::json!(
        {"id": 1, "debit_account": 1, "credit_account": 2, "amount": 1}
    );
    let reply = server.client.post("/transfer", &transfer).await;
    assert_eq!(reply.outcome(), "applied", "{}", reply.text);
    let counts = proxy.counts();
    assert!(counts.encrypted >= 2 && counts.encrypted == counts.sessions, "{counts:?}");
    assert!(counts.sliced > 0 && counts.delayed > 0, "{counts:?}");
    assert_eq!((counts.calls, proxy.fired(Fault::CutBeforeSync)), (0, 0), "nothing was read");
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_server_gets_no_password_that_it_could_use() {
    let secured = Secured::start().await;
    eventually("the server has TLS", async || {
        secured.attempt("localhost", "sslmode=require").await.is_empty()
    })
    .await;
    // As an impostor would: it asks for the password itself.
    let hba = secured.cluster.data_dir().join("pg/pg_hba.conf");
    fs::write(&hba, "local all all trust\nhost all all localhost password\n").unwrap();
    secured.reload(&[]).await;
    eventually("the password is not sent", async || {
        secured.attempt("localhost", "sslmode=require").await.contains("channel_binding=prefer")
    })
    .await;
    assert_eq!(secured.attempt("localhost", "sslmode=require&channel_binding=prefer").await, "");
}

#[tokio::test]
async fn without_tls_nothing_is_sent_but_the_question_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let refuses = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 8];
        socket.read_exact(&mut request).await.unwrap();
        socket.write_all(b"N").await.unwrap();
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.unwrap();
        (request, rest)
    });
    let url = format!("postgresql://giro_app:{SECRET}@127.0.0.1:{port}/giro?sslmode=require");
    let refused = start(&url).await.err().expect("a start without TLS");
    assert!(refused.contains("does not offer TLS"), "{refused}");
    let (request, rest) = refuses.await.unwrap();
    assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47], "the question for TLS");
    assert_eq!(rest, b"", "something was sent in plaintext");
}

#[tokio::test]
async fn a_host_that_nobody_knows_is_waited_for_and_named() {
    let url = format!("postgresql://giro_app:{SECRET}@no.such.host.invalid/giro");
    let app = start(&url).await.expect("it may be known later");
    let admin = giro_tests::Client::new(app.admin_address());
    eventually("readiness says why", async || {
        let ready = admin.get("/readyz").await;
        assert!(!ready.text.contains(SECRET), "{}", ready.text);
        ready.status == 503 && ready.text.contains("no address for the host name")
    })
    .await;
    app.stop(Duration::from_secs(5)).await;
}

async fn start(url: &str) -> Result<App, String> {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.admin.listen.set_port(0);
    config.database.url = Some(DatabaseUrl::from(url.to_owned()));
    App::start(&config).await.map_err(|error| {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(SECRET), "{text}");
        text
    })
}
