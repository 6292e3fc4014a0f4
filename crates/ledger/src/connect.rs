//! One way to a PostgreSQL session: bounded in time, checked before use, watched while it lives.

use crate::describe::describe;
use crate::schema::{self, SchemaError};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Socket, tls::NoTlsStream};

/// How sessions are opened, and what bounds a statement in them.
#[derive(Clone)]
pub struct Connector {
    config: Config,
    /// From the first packet to the checked session.
    connect_timeout: Duration,
}

/// What the database does to keep what it acknowledges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durability {
    /// `fsync`.
    pub fsync: String,
    /// `synchronous_commit`, as this session has it.
    pub synchronous_commit: String,
    /// `full_page_writes`.
    pub full_page_writes: String,
}

impl Durability {
    /// Whether an acknowledged commit survives a crash of the machine.
    pub fn is_kept(&self) -> bool {
        let Self { fsync, synchronous_commit, full_page_writes } = self;
        fsync == "on" && full_page_writes == "on" && synchronous_commit != "off"
    }
}

/// What a session turned out to be.
#[derive(Debug, Clone)]
pub struct Peer {
    /// `server_version`.
    pub version: String,
    /// What it does to keep what it acknowledges.
    pub durability: Durability,
    /// The session's role may do more than execute the functions and select the views.
    pub role_is_privileged: bool,
}

/// Why there is no session. Says neither password nor SQL.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answered in time.
    #[error("no session within {0:?}")]
    Timeout(Duration),
    /// PostgreSQL or the network refused.
    #[error("{}", describe(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// It is a standby.
    #[error("the database is in recovery: it is a standby and takes no writes")]
    InRecovery,
    /// It loses what it acknowledges.
    #[error(
        "the database would lose what it acknowledges: fsync = {}, synchronous_commit = {}, \
         full_page_writes = {}",
        .0.fsync, .0.synchronous_commit, .0.full_page_writes
    )]
    NotDurable(Durability),
    /// It cannot hold every text.
    #[error(
        "the database's encoding is {0}: UTF8 is required, or one text could fail a whole batch"
    )]
    NotUtf8(String),
    /// It did not commit an empty batch.
    #[error("the database does not commit an empty batch: {0}")]
    Probe(&'static str),
    /// Not the schema that this program serves.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl ConnectError {
    /// Whether waiting can help: the database may be starting, restarting, full or unreachable.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::InRecovery | Self::Probe(_) => true,
            Self::Postgres(error) => match error.code() {
                None => error.is_closed() || source_is_io(error),
                // Class 53: out of connections or memory; 57P: starting or stopping.
                Some(code) => code.code().starts_with("53") || code.code().starts_with("57P"),
            },
            Self::NotDurable(_) | Self::NotUtf8(_) | Self::Schema(_) => false,
        }
    }
}

/// The network, and not what the URL says or lacks.
fn source_is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

/// A URL that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Not a connection string. The source is left out: it may quote the string.
    #[error(
        "is not a PostgreSQL URL (postgresql://user@host:port/database), or has a parameter that is \
         not supported yet (sslmode=verify-full, sslrootcert, passfile, service)"
    )]
    Malformed,
    /// It can be read in two ways.
    #[error("has a raw @ or / in its password: percent-encode them (%40, %2F)")]
    Ambiguous,
    /// TLS was asked for.
    #[error("asks for TLS (sslmode=require), which this version does not support")]
    Tls,
}

impl Connector {
    /// From a libpq-style URL. The session settings bound every statement and lock wait, and free
    /// the locks of a server that is gone.
    pub fn new(
        url: &str,
        connect_timeout: Duration,
        statement_timeout: Duration,
        lock_timeout: Duration,
    ) -> Result<Self, UrlError> {
        let mut config: Config = url.parse().map_err(|_| UrlError::Malformed)?;
        if is_ambiguous(&config) {
            return Err(UrlError::Ambiguous);
        }
        if config.get_ssl_mode() == SslMode::Require {
            return Err(UrlError::Tls);
        }
        let options = format!(
            "{} -c statement_timeout={} -c lock_timeout={} -c client_connection_check_interval=1000 \
             -c client_min_messages=warning -c default_transaction_isolation=read\\ committed \
             -c idle_in_transaction_session_timeout=5000",
            config.get_options().unwrap_or_default(),
            statement_timeout.as_millis(),
            lock_timeout.as_millis(),
        );
        config
            .options(options)
            .connect_timeout(connect_timeout)
            .tcp_user_timeout(Duration::from_secs(5))
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3);
        Ok(Self { config, connect_timeout })
    }

    /// A session that has shown that it can serve, and what it is.
    pub(crate) async fn open(&self, name: &str) -> Result<(Session, Peer), ConnectError> {
        let handshake = async {
            let session = self.session(name).await?;
            let peer = check(&session.client).await?;
            Ok((session, peer))
        };
        // connect_timeout of the driver bounds the TCP connect only.
        timeout(self.connect_timeout, handshake)
            .await
            .unwrap_or(Err(ConnectError::Timeout(self.connect_timeout)))
    }

    /// Opens one session and looks at it: for a clear error at start.
    pub async fn probe(&self) -> Result<Peer, ConnectError> {
        self.open("giro probe").await.map(|(_, peer)| peer)
    }

    /// A session to look at the ledger with, on a standby as well.
    pub(crate) async fn inspect(&self, name: &str) -> Result<Session, ConnectError> {
        let handshake = async {
            let session = self.session(name).await?;
            schema::check(&session.client).await?;
            Ok(session)
        };
        timeout(self.connect_timeout, handshake)
            .await
            .unwrap_or(Err(ConnectError::Timeout(self.connect_timeout)))
    }

    async fn session(&self, name: &str) -> Result<Session, tokio_postgres::Error> {
        let mut config = self.config.clone();
        config.application_name(name);
        let (client, connection) = config.connect(NoTls).await?;
        let warnings = Arc::new(AtomicU64::new(0));
        let (alive, closed) = watch::channel(());
        let drive = drive(connection, warnings.clone(), name.to_owned(), alive);
        let driver = tokio::spawn(drive).abort_handle();
        Ok(Session { client, warnings, closed, driver, killed: AtomicBool::new(false) })
    }
}

/// A live session. Dropping it closes it.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// Warnings received so far. PostgreSQL reports a cancelled wait for a synchronous standby as a
    /// success with a warning, so a call during which one came has an unknown result.
    warnings: Arc<AtomicU64>,
    closed: watch::Receiver<()>,
    driver: AbortHandle,
    killed: AtomicBool,
}

impl Session {
    pub(crate) fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Acquire)
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.killed.load(Ordering::Acquire) && !self.client.is_closed()
    }

    /// Resolves when the session has ended, for whatever reason.
    pub(crate) async fn ended(&self) {
        let _ = self.closed.clone().changed().await; // an error: the driver has dropped its end
    }

    /// Ends the session at once: every call on it fails, whatever PostgreSQL is doing.
    pub(crate) fn kill(&self) {
        // The abort takes effect later; nobody is to be handed the session until then.
        self.killed.store(true, Ordering::Release);
        self.driver.abort();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Moves the session's bytes until it ends.
async fn drive(
    mut connection: tokio_postgres::Connection<Socket, NoTlsStream>,
    warnings: Arc<AtomicU64>,
    name: String,
    _alive: watch::Sender<()>,
) {
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice))
                if notice.parsed_severity() == Some(Severity::Warning) =>
            {
                warnings.fetch_add(1, Ordering::Release);
                tracing::warn!(
                    session = name,
                    sqlstate = notice.code().code(),
                    "{}",
                    notice.message()
                );
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(session = name, "the session ended: {}", describe(&error));
                return;
            }
        }
    }
}

async fn check(client: &Client) -> Result<Peer, ConnectError> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version'), current_setting('fsync'),
                    current_setting('synchronous_commit'), current_setting('full_page_writes'),
                    pg_is_in_recovery(),
                    EXISTS (SELECT FROM pg_roles
                             WHERE rolname = current_user
                               AND (rolsuper OR rolcreatedb OR rolcreaterole))
                    OR EXISTS (SELECT FROM pg_namespace
                                WHERE nspname = 'giro' AND pg_has_role(nspowner, 'MEMBER')),
                    current_setting('server_encoding')",
            &[],
        )
        .await?;
    if row.get(4) {
        return Err(ConnectError::InRecovery);
    }
    let durability = Durability {
        fsync: row.get(1),
        synchronous_commit: row.get(2),
        full_page_writes: row.get(3),
    };
    if !durability.is_kept() {
        return Err(ConnectError::NotDurable(durability));
    }
    let encoding: String = row.get(6);
    if encoding != "UTF8" {
        return Err(ConnectError::NotUtf8(encoding));
    }
    schema::check(client).await?;
    Ok(Peer { version: row.get(0), durability, role_is_privileged: row.get(5) })
}

/// A host or a database with one of these is the rest of a password that was not percent-encoded.
fn is_ambiguous(config: &Config) -> bool {
    let torn = |text: &str| text.contains(['@', '/']);
    let host = |host: &Host| matches!(host, Host::Tcp(name) if torn(name));
    config.get_hosts().iter().any(host) || config.get_dbname().is_some_and(torn)
}

/// A URL as it may be shown: who, where and which database, rebuilt from what was understood.
pub fn mask_url(url: &str) -> String {
    let Some(config) = url.parse::<Config>().ok().filter(|config| !is_ambiguous(config)) else {
        return "(not a PostgreSQL URL)".into();
    };
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(i, host)| {
            let ports = config.get_ports();
            let port = ports.get(i).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(path) => {
                    format!("{}:{port}", path.display().to_string().replace('/', "%2F"))
                }
            }
        })
        .collect();
    let user = config.get_user().unwrap_or_default();
    let secret = if config.get_password().is_some() { ":***" } else { "" };
    let database = config.get_dbname().unwrap_or_default();
    format!("postgresql://{user}{secret}@{}/{database}", hosts.join(","))
}
