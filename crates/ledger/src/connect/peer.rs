//! What is looked at in every new session before it is used.

use super::clock::Clock;
use super::error::ConnectError;
use super::lineage::Lineage;
use super::session::Session;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Row;

/// Sessions that may hang before another one is not begun: each attempt could leave one more behind.
const HANGING_MAX: i64 = 4;

/// One round trip, so that the clock is that of its middle. Of other sessions, a role sees those of
/// its own.
const LOOK: &str = "
    SELECT clock_timestamp(),
           pg_is_in_recovery(),
           current_setting('transaction_read_only') = 'on',
           CASE WHEN NOT pg_is_in_recovery()
                THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
           END,
           has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE'),
           (SELECT count(*)
              FROM pg_stat_activity
             WHERE usename = current_user AND application_name LIKE 'giro%'
               AND wait_event = 'SyncRep'
               AND clock_timestamp() - state_change > interval '1 second'),
           current_setting('server_version'),
           current_setting('fsync'),
           current_setting('synchronous_commit'),
           current_setting('full_page_writes'),
           current_setting('server_encoding'),
           (1000 * extract(epoch FROM current_setting('statement_timeout')::interval))::bigint,
           (1000 * extract(epoch FROM current_setting('lock_timeout')::interval))::bigint,
           EXISTS (SELECT FROM pg_roles
                    WHERE rolname = current_user
                      AND (rolsuper OR rolcreatedb OR rolcreaterole))
           OR EXISTS (SELECT FROM pg_namespace
                       WHERE nspname = 'giro' AND pg_has_role(nspowner, 'MEMBER')),
           (SELECT count(*)
              FROM pg_stat_activity
             WHERE usename = current_user AND application_name LIKE 'giro%'
               AND application_name NOT IN ('giro reader', 'giro verify', 'giro migrate')
               AND state = 'active' AND pid <> pg_backend_pid()
               AND current_setting('statement_timeout') <> '0'
               AND clock_timestamp() - state_change
                   > current_setting('statement_timeout')::interval + interval '1 second')";

/// On its own: a right to execute that is missing is an error even where the call is never reached.
const IDENTIFIER: &str = "SELECT system_identifier FROM pg_control_system()";

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
    /// Where it stands among the copies of itself.
    pub lineage: Lineage,
    /// Its clock.
    pub clock: Clock,
}

/// What one look at a database has shown.
pub(super) struct Look {
    row: Row,
    /// Nothing where the right to ask for it is withheld.
    system_identifier: Option<i64>,
    asked: Instant,
    answered: Instant,
}

impl Look {
    pub(super) async fn at(session: &Session) -> Result<Self, ConnectError> {
        let asked = Instant::now();
        // Typed: without a statement to prepare it is one round trip.
        let rows = session.client.query_typed(LOOK, &[]).await?;
        let answered = Instant::now();
        let row = rows.into_iter().next().expect("a SELECT without FROM has one row");
        let system_identifier = match row.get(4) {
            true => {
                session.client.query_typed(IDENTIFIER, &[]).await?.first().map(|row| row.get(0))
            }
            false => None,
        };
        Ok(Self { row, system_identifier, asked, answered })
    }

    /// Nothing for a standby, whose timeline can still change.
    pub(super) fn lineage(&self) -> Option<Lineage> {
        let timeline: Option<i32> = self.row.get(3);
        Some(Lineage {
            system_identifier: self.system_identifier.unwrap_or_default().cast_unsigned(),
            timeline: timeline?.cast_unsigned(),
        })
    }

    pub(super) fn refuses_writes(&self) -> Option<ConnectError> {
        match (self.row.get(1), self.row.get(2)) {
            (true, _) => Some(ConnectError::InRecovery),
            (false, true) => Some(ConnectError::ReadOnly),
            (false, false) => None,
        }
    }

    /// Whether another session would only be one more that hangs.
    pub(super) fn check_hanging(&self) -> Result<(), ConnectError> {
        match (self.row.get(5), self.row.get(14)) {
            (sessions @ HANGING_MAX.., _) => Err(ConnectError::StandbyWait { sessions }),
            (_, sessions @ HANGING_MAX..) => Err(ConnectError::SessionsHang { sessions }),
            _ => Ok(()),
        }
    }

    /// Whether the session has the time-outs that were asked for.
    pub(super) fn check_settings(
        &self,
        statement_timeout: Duration,
        lock_timeout: Duration,
    ) -> Result<(), ConnectError> {
        let wanted =
            [("statement_timeout", 11, statement_timeout), ("lock_timeout", 12, lock_timeout)];
        for (name, column, wanted) in wanted {
            let (found, expected) = (self.row.get(column), wanted.as_millis() as i64);
            if found != expected {
                return Err(ConnectError::Settings { name, found, expected });
            }
        }
        Ok(())
    }

    /// What a primary is, if it can be written to without losing anything.
    pub(super) fn into_peer(self, lineage: Lineage) -> Result<Peer, ConnectError> {
        let Self { row, asked, answered, .. } = self;
        let durability = Durability {
            fsync: row.get(7),
            synchronous_commit: row.get(8),
            full_page_writes: row.get(9),
        };
        if !durability.is_kept() {
            return Err(ConnectError::NotDurable(durability));
        }
        let encoding: String = row.get(10);
        if encoding != "UTF8" {
            return Err(ConnectError::NotUtf8(encoding));
        }
        Ok(Peer {
            version: row.get(6),
            durability,
            role_is_privileged: row.get(13),
            lineage,
            clock: Clock::new(row.get(0), asked, answered),
        })
    }
}
