//! What callers were told, held against what is stored.

use super::{Answer, BESIDE, Told, told, transfer};
use crate::{Client, TestDatabase, eventually};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Every answer of a run.
pub struct History {
    /// In no order.
    pub answers: Vec<Answer>,
}

/// How a run ended, in transfers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Told to be applied.
    pub applied: usize,
    /// Told to be refused for good.
    pub rejected: usize,
    /// Told only that they were not applied, and they were not.
    pub not_applied: usize,
    /// Told to be unknown, or cut off, and decided all the same.
    pub unknown_decided: usize,
    /// Told to be unknown, or cut off, and never decided.
    pub unknown_absent: usize,
}

impl Settled {
    /// Transfers that were sent.
    pub fn all(&self) -> usize {
        let Self { applied, rejected, not_applied, unknown_decided, unknown_absent } = self;
        applied + rejected + not_applied + unknown_decided + unknown_absent
    }
}

/// What was decided about an id.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stored {
    Applied { amount: String },
    Rejected { reason: String },
}

impl History {
    /// How many answers were like this.
    pub fn count(&self, like: impl Fn(&Told) -> bool) -> usize {
        self.answers.iter().filter(|answer| like(&answer.told)).count()
    }

    /// The reasons of refusals that were not for good, each with how often it was given.
    pub fn shed(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        for answer in &self.answers {
            if let Told::NotApplied(reason) = &answer.told {
                *reasons.entry(reason.as_str()).or_default() += 1;
            }
        }
        reasons
    }

    /// Transfers decided in a span of time.
    pub fn decided(&self, from: Instant, to: Instant) -> usize {
        let within = |answer: &&Answer| (from..to).contains(&answer.answered);
        let decided = |told: &Told| matches!(told, Told::Applied | Told::Rejected(_));
        self.answers.iter().filter(within).filter(|answer| decided(&answer.told)).count()
    }

    /// Asserts that nobody was cut off without an answer.
    pub fn assert_nobody_was_cut_off(&self) {
        let cut = self.answers.iter().find(|answer| matches!(answer.told, Told::Cut(_)));
        assert!(cut.is_none(), "no answer: {cut:?}");
    }

    /// Asserts that nobody waited past its deadline, but for what a busy machine adds.
    pub fn assert_every_wait_ended(&self, deadline: Duration) {
        let longest = self.answers.iter().max_by_key(|answer| answer.answered - answer.sent);
        let longest = longest.expect("answers");
        let took = longest.answered - longest.sent;
        assert!(took < deadline + Duration::from_secs(3), "{took:?}: {longest:?}");
    }

    /// Asserts that every answer was true: what was said to be applied is stored, once and as it was
    /// asked for; what was said to be refused or not applied is not, unless another attempt for the
    /// same id did it; what was unknown is settled by sending the same id again; nothing is stored that
    /// nobody asked for; and the whole ledger is consistent.
    pub async fn assert_truth(&self, database: &TestDatabase, client: Client) -> Settled {
        let stored = decisions(database).await;
        let mut settled = Settled::default();
        let ids = self.by_id();
        for id in stored.keys() {
            assert!(ids.contains_key(id), "stored, and nobody asked for it: {id}");
        }
        for (id, told) in &ids {
            let is = stored.get(id);
            let applied = told.iter().any(|told| **told == Told::Applied);
            let rejected = told.iter().find_map(|told| match told {
                Told::Rejected(reason) => Some(reason),
                _ => None,
            });
            let in_doubt = told.iter().any(|told| matches!(told, Told::Unknown | Told::Cut(_)));
            match (applied, rejected) {
                (true, Some(reason)) => panic!("{id} applied, and also {reason}"),
                (true, None) => {
                    assert!(matches!(is, Some(Stored::Applied { .. })), "lost: {id} is {is:?}");
                    settled.applied += 1;
                }
                (false, Some(said)) => {
                    let refused = matches!(is, Some(Stored::Rejected { reason }) if reason == said);
                    assert!(refused, "{id} was refused as {said}, and is {is:?}");
                    settled.rejected += 1;
                }
                (false, None) if in_doubt => {
                    settle(client, *id, is).await;
                    match is {
                        Some(_) => settled.unknown_decided += 1,
                        None => settled.unknown_absent += 1,
                    }
                }
                (false, None) => {
                    assert_eq!(is, None, "{id} was not applied: {told:?}");
                    settled.not_applied += 1;
                }
            }
            if let Some(Stored::Applied { amount }) = is {
                assert_eq!(transfer(*id)["amount"].to_string(), *amount, "{id}");
            }
        }
        let later = decisions(database).await;
        for (id, told) in &ids {
            let refused = told.iter().all(|told| matches!(told, Told::NotApplied(_)));
            assert!(!refused || !later.contains_key(id), "{id} was applied later: {told:?}");
        }
        database.assert_consistent().await;
        settled
    }

    fn by_id(&self) -> BTreeMap<u64, Vec<&Told>> {
        let mut ids: BTreeMap<u64, Vec<&Told>> = BTreeMap::new();
        for answer in &self.answers {
            ids.entry(answer.id).or_default().push(&answer.told);
        }
        ids
    }
}

/// Sends an id again until it is decided: as it is stored, where it is.
async fn settle(client: Client, id: u64, is: Option<&Stored>) {
    let last = RefCell::new(None);
    eventually("an unknown transfer is settled", async || {
        let reply = client.post("/transfer", &transfer(id)).await;
        let told = told(&reply);
        let decided = matches!(told, Told::Applied | Told::Rejected(_));
        last.replace(Some((told, reply.json["replayed"] == Value::Bool(true))));
        decided
    })
    .await;
    let (told, replayed) = last.into_inner().expect("an answer");
    match is {
        Some(Stored::Applied { .. }) => {
            assert_eq!((&told, replayed), (&Told::Applied, true), "{id}")
        }
        Some(Stored::Rejected { reason }) => {
            assert_eq!((&told, replayed), (&Told::Rejected(reason.clone()), true), "{id}");
        }
        None => {}
    }
}

/// Every decision in the database.
async fn decisions(database: &TestDatabase) -> BTreeMap<u64, Stored> {
    let all = "SELECT id::text, reason, amount::text FROM giro.decisions";
    let rows = database.superuser().await.query(all, &[]).await.expect(all);
    let mut stored = BTreeMap::new();
    for row in rows {
        let id = row.get::<_, &str>(0).replace('-', "");
        let id = u64::from_str_radix(&id, 16).expect("an id that was sent");
        if id == BESIDE {
            continue;
        }
        let is = match row.get::<_, Option<String>>(1) {
            None => Stored::Applied { amount: row.get(2) },
            Some(reason) => Stored::Rejected { reason },
        };
        assert_eq!(stored.insert(id, is), None, "{id} was decided twice");
    }
    stored
}
