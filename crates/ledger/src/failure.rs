//! What an error of a call proves. An error is not proof of failure: only the database's own word,
//! of severity ERROR and followed by a working session, says that a call was rolled back.

use crate::connect::Session;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::error::{Severity, SqlState};

/// What a failed call may have done, and what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Rolled back, and likely to pass when sent again.
    Retry,
    /// Rolled back, and likely to pass on another session.
    RetryElsewhere,
    /// Rolled back, and no reason why it should pass when sent again.
    Aborted,
    /// It may have been committed, or may still be: only a second call with the same ids can tell.
    /// The session is not to be used again.
    Unknown(Cause),
}

/// Why a result is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The session ended, or PostgreSQL is going down.
    Session,
    /// No answer within the watchdog's time.
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

/// What this error of a call on this session proves. The session has `patience` to show that it still
/// works, behind whatever is pipelined on it.
pub(crate) async fn classify(
    session: &Session,
    error: &tokio_postgres::Error,
    patience: Duration,
) -> Failure {
    let Some(word) = error.as_db_error() else {
        return Failure::Unknown(Cause::Session);
    };
    if word.parsed_severity() != Some(Severity::Error) {
        return Failure::Unknown(Cause::Session);
    }
    // The error arrives before the end of the call; a further answer proves that it is over.
    match timeout(patience, session.client.simple_query("")).await {
        Ok(Ok(_)) => rolled_back(word.code(), word.constraint()),
        _ => Failure::Unknown(Cause::Session),
    }
}

fn rolled_back(code: &SqlState, constraint: Option<&str>) -> Failure {
    let concurrent_id = matches!(constraint, Some("decisions_pkey" | "account_state_pkey"));
    match *code {
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::LOCK_NOT_AVAILABLE
        | SqlState::QUERY_CANCELED => Failure::Retry,
        SqlState::UNIQUE_VIOLATION if concurrent_id => Failure::Retry,
        // Another primary, or another version of the function: both show at the next handshake.
        SqlState::READ_ONLY_SQL_TRANSACTION | SqlState::FEATURE_NOT_SUPPORTED => {
            Failure::RetryElsewhere
        }
        // Class 53: out of disk, memory or connections.
        _ if code.code().starts_with("53") => Failure::Retry,
        _ => Failure::Aborted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_pass_is_sent_again() {
        let class = |code: &str, constraint| rolled_back(&SqlState::from_code(code), constraint);
        for code in ["40001", "40P01", "55P03", "57014", "53100", "53200"] {
            assert_eq!(class(code, None), Failure::Retry, "{code}");
        }
        for code in ["25006", "0A000"] {
            assert_eq!(class(code, None), Failure::RetryElsewhere, "{code}");
        }
        for code in ["42501", "42883", "22003", "22021", "23502", "P0001"] {
            assert_eq!(class(code, None), Failure::Aborted, "{code}");
        }
        assert_eq!(class("23505", Some("decisions_pkey")), Failure::Retry);
        assert_eq!(class("23505", Some("another_key")), Failure::Aborted);
    }
}
