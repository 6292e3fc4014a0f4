use super::callers::Request;
use super::shell::Report;
use crate::engine::{Action, Waiting};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// The record of a run: not kept, reduced to a hash, or printed.
#[derive(Debug)]
pub(super) enum Trace {
    Off,
    Hash(DefaultHasher),
    Print,
}

impl Trace {
    pub(super) fn hash() -> Self {
        Self::Hash(DefaultHasher::new())
    }

    pub(super) fn note(&mut self, at: Duration, line: impl FnOnce() -> String) {
        match self {
            Self::Off => {}
            Self::Hash(hasher) => (at, line()).hash(hasher),
            Self::Print => println!("{:12.3} ms  {}", at.as_secs_f64() * 1e3, line()),
        }
    }

    pub(super) fn finish(&self) -> u64 {
        match self {
            Self::Hash(hasher) => hasher.finish(),
            Self::Off | Self::Print => 0,
        }
    }
}

pub(super) fn action(action: &Action<Request>) -> String {
    match action {
        Action::Connect { lane } => format!("lane {lane}: connect"),
        Action::Disconnect { lane } => format!("lane {lane}: disconnect"),
        Action::Send(sending) => {
            let members = ids(&sending.members);
            format!("lane {}: send batch {}: {members:?}", sending.lane, sending.batch)
        }
        Action::Answer { entries, undone } => {
            let entries: Vec<_> = entries.iter().map(|request| request.id).collect();
            format!("answer {entries:?}: {undone:?}")
        }
    }
}

pub(super) fn report(report: &Report) -> String {
    match report {
        Report::Ended { lane, session } => format!("lane {lane}: session {session} has ended"),
        Report::Applied { batch, .. } => format!("batch {batch}: applied"),
        Report::Failed { batch, members, failure, .. } => {
            format!("batch {batch}: {failure:?}: {:?}", ids(members))
        }
    }
}

fn ids(members: &[Waiting<Request>]) -> Vec<usize> {
    members.iter().map(|waiting| waiting.entry.id).collect()
}
