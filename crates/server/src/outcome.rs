use axum::http::StatusCode;
use giro_ledger::json_schema::names;
use serde::{Serialize, Serializer};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Durable.
    Applied,
    /// Judged and refused.
    Rejected,
    /// This attempt never reached the database, or was rolled back.
    NotApplied,
    /// Sent, and the result was not learnt.
    Unknown,
}

impl Outcome {
    pub(crate) const ALL: [Self; 4] =
        [Self::Applied, Self::Rejected, Self::NotApplied, Self::Unknown];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::NotApplied => "not_applied",
            Self::Unknown => "unknown",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Applied => "Durable.",
            Self::Rejected => "Judged and refused, for the `reason` given.",
            Self::NotApplied => "This attempt never reached the database, or was rolled back.",
            Self::Unknown => {
                "Sent, and the result was not learnt before the deadline: send the same id again, or \
                 read it."
            }
        }
    }
}

/// Why a sound request was not applied. It may be sent again as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShedReason {
    /// There was no room.
    QueueFull,
    /// It would have been queued for too long, or was.
    QueueDelay,
    /// The caller's deadline would pass before it is answered, or passed before it was sent.
    Deadline,
    /// Others wait as well, and this client holds more than its share of the queue.
    ClientShare,
    /// The database is away.
    BreakerOpen,
    /// The server stops.
    Draining,
    /// It was sent, and the batch was rolled back.
    RolledBack,
}

impl ShedReason {
    pub(crate) const ALL: [Self; 7] = [
        Self::QueueFull,
        Self::QueueDelay,
        Self::Deadline,
        Self::ClientShare,
        Self::BreakerOpen,
        Self::Draining,
        Self::RolledBack,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueDelay => "queue_delay",
            Self::Deadline => "deadline",
            Self::ClientShare => "client_share",
            Self::BreakerOpen => "breaker_open",
            Self::Draining => "draining",
            Self::RolledBack => "rolled_back",
        }
    }

    /// Whether the server has no room, or this client takes too much of it.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::ClientShare => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// One sentence for a person.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::QueueFull => "the queue is full",
            Self::QueueDelay => "the request would be queued for too long",
            Self::Deadline => "the request would not be answered before its deadline",
            Self::ClientShare => {
                "others wait as well, and this client holds its share of the queue"
            }
            Self::BreakerOpen => "the database is away",
            Self::Draining => "the server is stopping",
            Self::RolledBack => "the database rolled the batch back",
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

impl PartialSchema for Outcome {
    fn schema() -> RefOr<Schema> {
        let all = Self::ALL.iter().map(|outcome| (outcome.label(), outcome.meaning()));
        Schema::from(names("What became of a request:", all)).into()
    }
}

impl ToSchema for Outcome {}

impl PartialSchema for ShedReason {
    fn schema() -> RefOr<Schema> {
        let all = Self::ALL.iter().map(|reason| (reason.name(), reason.meaning()));
        let what = "Why a sound request was not applied; it may be sent again as it is:";
        Schema::from(names(what, all)).into()
    }
}

impl ToSchema for ShedReason {}
