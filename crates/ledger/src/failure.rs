//! What an error of a call proves. An error is not proof of failure: only the database's own word,
//! of severity ERROR and followed by a working session, says that a call was rolled back.

use crate::connect::Session;
use crate::mutant::{self, Mutant};
use tokio_postgres::error::{Severity, SqlState};

/// What a failed call may have done. All but the last are rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A concurrent batch has just decided one of its ids; the next call sees that.
    Overtaken,
    /// Other sessions were in its way; likely to pass when sent again.
    Contended,
    /// Somebody held a lock for longer than `lock_timeout`.
    Locked,
    /// PostgreSQL lacked time, memory or disk.
    Exhausted,
    /// It reached its accounts past its `not_after`: it is old, or the clocks have moved.
    Fenced,
    /// Not a primary, or another version of the function: both show at the next handshake.
    WrongSession,
    /// Something in the batch cannot be applied.
    Poisoned,
    /// Every other batch would fail as well.
    Broken,
    /// It may have been committed, or may still be: only a second call with the same ids can tell.
    /// The session is not to be used again.
    Unknown(Cause),
}

impl Failure {
    /// A clause for a person.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Overtaken | Self::Contended | Self::Locked => "it was blocked",
            Self::Exhausted => "the database lacks time, memory or disk",
            Self::Fenced => "the clocks have moved",
            Self::WrongSession => "this database cannot write",
            Self::Poisoned | Self::Broken => "the database refuses it; the log has its words",
            Self::Unknown(_) => "its result is unknown",
        }
    }
}

/// Why a result is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The session ended, or PostgreSQL is going down.
    Session,
    /// The session was given up because it did not answer.
    Watchdog,
    /// A warning came with the result.
    Warning,
    /// The reply is not the answer to this call.
    Echo,
    /// The reply cannot be read.
    Reply,
}

impl Cause {
    pub(crate) const ALL: [Self; 5] =
        [Self::Session, Self::Watchdog, Self::Warning, Self::Echo, Self::Reply];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Watchdog => "watchdog",
            Self::Warning => "warning",
            Self::Echo => "echo",
            Self::Reply => "reply",
        }
    }
}

/// What this error of a call on this session proves. `ended`: the end of its reply has been seen.
pub(crate) async fn classify(
    session: &Session,
    error: &tokio_postgres::Error,
    ended: bool,
) -> Failure {
    if session.was_killed() {
        return Failure::Unknown(Cause::Watchdog);
    }
    let Some(word) = error.as_db_error() else {
        return Failure::Unknown(Cause::Session);
    };
    if word.code() == &SqlState::IO_ERROR && mutant::is(Mutant::BelievePanic) {
        return rolled_back(word.code(), word.constraint());
    }
    if word.parsed_severity() != Some(Severity::Error) {
        return Failure::Unknown(Cause::Session);
    }
    // The error arrives before the end of the call; a further answer proves as well that it is over.
    if ended || session.client.simple_query("").await.is_ok() {
        return rolled_back(word.code(), word.constraint());
    }
    Failure::Unknown(Cause::Session)
}

fn rolled_back(code: &SqlState, constraint: Option<&str>) -> Failure {
    let concurrent_id = matches!(constraint, Some("decisions_pkey" | "account_state_pkey"));
    match *code {
        SqlState::T_R_SERIALIZATION_FAILURE => Failure::Overtaken,
        SqlState::UNIQUE_VIOLATION if concurrent_id => Failure::Overtaken,
        SqlState::T_R_DEADLOCK_DETECTED => Failure::Contended,
        SqlState::LOCK_NOT_AVAILABLE => Failure::Locked,
        SqlState::QUERY_CANCELED => Failure::Exhausted,
        // XX000: a function that is replaced at this moment can fail to be looked up.
        SqlState::READ_ONLY_SQL_TRANSACTION
        | SqlState::FEATURE_NOT_SUPPORTED
        | SqlState::INTERNAL_ERROR => Failure::WrongSession,
        _ => match code.code() {
            "GR001" => Failure::Fenced,
            code if code.starts_with("53") => Failure::Exhausted,
            // Data, integrity, too large; what a trigger or a constraint of the user's own raises.
            code if ["22", "23", "44", "54", "P0"].iter().any(|class| code.starts_with(class)) => {
                Failure::Poisoned
            }
            _ => Failure::Broken,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sqlstate_says_what_may_pass() {
        let class = |code: &str, constraint| rolled_back(&SqlState::from_code(code), constraint);
        for (expected, codes) in [
            (Failure::Overtaken, &["40001"][..]),
            (Failure::Contended, &["40P01"]),
            (Failure::Locked, &["55P03"]),
            (Failure::Exhausted, &["57014", "53100", "53200"]),
            (Failure::Fenced, &["GR001"]),
            (Failure::WrongSession, &["25006", "0A000", "XX000"]),
            (Failure::Poisoned, &["22003", "22021", "23502", "23514", "54000", "P0001"]),
            (Failure::Broken, &["42501", "42883"]),
        ] {
            for code in codes {
                assert_eq!(class(code, None), expected, "{code}");
            }
        }
        assert_eq!(class("23505", Some("decisions_pkey")), Failure::Overtaken);
        assert_eq!(class("23505", Some("another_key")), Failure::Poisoned);
    }
}
