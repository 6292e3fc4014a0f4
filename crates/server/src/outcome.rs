use serde::Serialize;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
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
}
