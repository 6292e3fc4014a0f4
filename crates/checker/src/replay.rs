//! C13: everything that was decided, judged again by the model in the order of seq, is decided the same.
//!
//! A decision alone says what was asked, but for chains: of those the ledger keeps only the members whose ids
//! it decided then. The request that has the chain is found in the history. What was refused without a
//! trace has no place in the order; `answers` judges it.

use crate::asked::History;
use crate::history::{LEDGER, Opened};
use crate::model::account::{CREDITS_MUST_NOT_EXCEED_DEBITS, DEBITS_MUST_NOT_EXCEED_CREDITS};
use crate::model::transfer::{LINKED, PENDING, POST_PENDING, VOID_PENDING};
use crate::model::{Applied, Judgement, Key, Model, NewAccount, Transfer};
use crate::stored::{Decision, Stored};
use crate::timeline::Timeline;
use crate::verdict::Predicate;
use std::collections::HashSet;
use std::ops::Range;

/// So many microseconds after its time a hold is released at the latest.
const OVERDUE: i64 = 60_000_000;
const LIMITS: u32 = DEBITS_MUST_NOT_EXCEED_CREDITS | CREDITS_MUST_NOT_EXCEED_DEBITS;

/// The verdict, and the model as everything left it.
///
/// `began`: when the clock of the history was zero, in microseconds since 1970. Without it, the latest moment
/// that is stored is the end.
pub(crate) fn check(timeline: &Timeline<'_>, began: Option<i64>) -> (Predicate, Model) {
    let predicate = Predicate::new(
        "C13",
        "The model, given everything in the order of seq, decides the same and ends with the same accounts; no \
         hold is open a minute after its time.",
    );
    let (history, stored) = (timeline.history, timeline.stored);
    let model = accounts(history);
    let mut replay =
        Replay { timeline, history, stored, model, predicate, chains: chains(history) };
    for row in &stored.foreign {
        replay.predicate.holds_if(false, || format!("of no run: {row}"));
    }
    let mut done_to = 0;
    for number in timeline.by_seq() {
        let number = number as usize;
        if let Some(place) = number.checked_sub(stored.decisions.len()) {
            replay.release(place);
        } else if number >= done_to {
            done_to = number + replay.decide(number);
        }
    }
    replay.compare_accounts();
    replay.find_overdue(began);
    (replay.predicate, replay.model)
}

struct Replay<'a> {
    timeline: &'a Timeline<'a>,
    history: &'a History,
    stored: &'a Stored,
    model: Model,
    predicate: Predicate,
    /// Of every member of a chain: its id, and where the chain is in the history.
    chains: Vec<(u64, Range<u32>)>,
}

/// The accounts as they were opened.
fn accounts(history: &History) -> Model {
    let account = |account: &Opened| NewAccount {
        id: account.id.into(),
        ledger: LEDGER,
        code: 1,
        flags: account.flags & LIMITS,
        overdraft_limit: account.overdraft_limit.into(),
        ..NewAccount::default()
    };
    let mut model = Model::default();
    let accounts: Vec<_> = history.opened.iter().map(account).collect();
    model.create_request(0, &accounts);
    model
}

fn chains(history: &History) -> Vec<(u64, Range<u32>)> {
    let mut chains = Vec::new();
    let mut next = 0;
    for (place, ask) in history.asks.iter().enumerate() {
        if place < next || ask.item.flags & LINKED == 0 {
            continue;
        }
        let chain = history.chain(place);
        next = chain.end;
        let members = &history.asks[chain.clone()];
        let chain = chain.start as u32..chain.end as u32;
        chains.extend(members.iter().map(|member| (member.item.id, chain.clone())));
    }
    chains.sort_unstable_by_key(|(id, chain)| (*id, chain.start));
    chains
}

impl Replay<'_> {
    fn release(&mut self, place: usize) {
        let expiration = &self.stored.expirations[place];
        let released = self.model.release(expiration.at, key(expiration.id));
        let id = expiration.id;
        self.predicate.holds_if(released, || format!("hold {id} was released, and was not due"));
    }

    /// Judges what was decided at a place, with the rest of its chain; how many decisions that were.
    fn decide(&mut self, place: usize) -> usize {
        let decision = &self.stored.decisions[place];
        let of_chain = decision.flags & LINKED != 0
            || decision.reason.as_deref() == Some("linked_event_failed");
        if !of_chain {
            let judged = self.judge(place..place + 1, &[asked(decision)]);
            self.compare(decision, &judged[0]);
            return 1;
        }
        let Some((members, count)) = self.chain_at(place) else {
            self.predicate.holds_if(false, || {
                format!("{}: no request has this chain as it was decided", decision.id)
            });
            return 1;
        };
        let judged = self.judge(place..place + count, &members);
        for decision in &self.stored.decisions[place..place + count] {
            let own = members.iter().position(|member| member.id == u128::from(decision.id));
            self.compare(decision, &judged[own.expect("it is a member")]);
        }
        count
    }

    /// A chain of the history whose members that are not decided yet are what was decided here; and how
    /// many they are.
    fn chain_at(&self, place: usize) -> Option<(Vec<Transfer>, usize)> {
        let id = self.stored.decisions[place].id;
        let from = self.chains.partition_point(|(of, _)| *of < id);
        let candidates = self.chains[from..].iter().take_while(|(of, _)| *of == id);
        let fitting = candidates.filter_map(|(_, chain)| {
            let members = &self.history.asks[chain.start as usize..chain.end as usize];
            if members.iter().any(|member| member.told.never_ran()) {
                return None;
            }
            let members: Vec<Transfer> =
                members.iter().map(|member| Transfer::from(&member.item)).collect();
            let mut fresh: Vec<&Transfer> = Vec::new();
            for member in &members {
                let is_known = self.model.is_decided(member.key());
                if !is_known && fresh.iter().all(|earlier| earlier.id != member.id) {
                    fresh.push(member);
                }
            }
            if fresh.is_empty() {
                return None; // all are decided already: here is one of them again
            }
            let decided = self.stored.decisions.get(place..place + fresh.len())?;
            let one_batch =
                decided.iter().all(|decision| decision.seq >> 16 == decided[0].seq >> 16);
            let pairs = || decided.iter().zip(&fresh);
            let same = pairs().all(|(decision, member)| is_of(decision, member));
            let says = pairs().filter(|(_, member)| member.amount.is_some()).count();
            (one_batch && same).then_some((says, (members, decided.len())))
        });
        // One that posts all of a hold fits every amount; one that says the amount has been it.
        fitting.max_by_key(|(says, _)| *says).map(|(_, chain)| chain)
    }

    /// Judges the items of these decisions. A batch that was refused a hold has looked for it before it was
    /// there, on accounts that it did not lock: its seq may be the higher one, if both were under way at a time.
    fn judge(&mut self, places: Range<usize>, items: &[Transfer]) -> Vec<Judgement<Applied>> {
        let decided = &self.stored.decisions[places.clone()];
        let now = decided[0].at;
        let batch = decided[0].seq >> 16;
        let missed = decided.iter().zip(places).find_map(|(decision, place)| {
            let misses = decision.reason.as_deref() == Some("pending_transfer_not_found");
            let hold = self.stored.place(decision.pending_id.filter(|_| misses)?)?;
            let [refused, held] = [place, hold].map(|place| self.timeline.when(place as u32));
            let hold = &self.stored.decisions[hold];
            (hold.seq >> 16 != batch && held.overlaps(refused)).then_some(hold.id)
        });
        match missed {
            Some(hold) => self.model.without(key(hold), |model| model.apply_request(now, items)),
            None => self.model.apply_request(now, items),
        }
    }

    fn compare(&mut self, decision: &Decision, judged: &Judgement<Applied>) {
        let agrees = !judged.replayed
            && match (&judged.outcome, &decision.reason) {
                (Ok(applied), None) => {
                    let stored = (decision.amount, decision.debit, decision.credit);
                    let as_judged = (applied.amount, applied.debit, applied.credit);
                    stored.0.map(u128::from) == Some(as_judged.0)
                        && (u128::from(stored.1), u128::from(stored.2))
                            == (as_judged.1, as_judged.2)
                }
                (Err(reason), Some(stored)) => *reason == &**stored,
                _ => false,
            };
        self.predicate.holds_if(agrees, || {
            let replayed = if judged.replayed { ", decided before" } else { "" };
            let expected = match &judged.outcome {
                Ok(applied) => {
                    let Applied { amount, debit, credit, .. } = applied;
                    format!("{amount} from {debit} to {credit}")
                }
                Err(reason) => (*reason).to_owned(),
            };
            let Decision { id, seq, amount, debit, credit, reason, .. } = decision;
            let stored = match reason {
                Some(reason) => reason.to_string(),
                None => format!("{} from {debit} to {credit}", amount.unwrap_or(0)),
            };
            format!("{id} (seq {seq}): {stored}; by the model {expected}{replayed}")
        });
    }

    /// Holds whose time was over long before the last thing that happened.
    fn find_overdue(&mut self, began: Option<i64>) {
        let Stored { decisions, expirations, .. } = self.stored;
        let applied = || decisions.iter().filter(|decision| decision.reason.is_none());
        let ended: HashSet<u64> = applied()
            .filter_map(|decision| decision.pending_id)
            .chain(expirations.iter().map(|expiration| expiration.id))
            .collect();
        let decided = decisions.iter().map(|decision| decision.at);
        let stored = decided.chain(expirations.iter().map(|expiration| expiration.at)).max();
        let told = self.history.requests.iter().map(|request| request.ret as i64 / 1_000).max();
        // Where a clock has jumped, what is stored is of another time.
        let end = began.zip(told).map(|(began, told)| began + told).or(stored);
        let Some(end) = end else { return };
        for hold in applied().filter(|hold| hold.flags & PENDING != 0 && hold.timeout > 0) {
            let timeout = i64::try_from(hold.timeout).unwrap_or(i64::MAX).saturating_mul(1_000_000);
            let over = hold.at.saturating_add(timeout);
            let is_overdue = over < end - OVERDUE && !ended.contains(&hold.id);
            self.predicate.holds_if(!is_overdue, || {
                let seconds = (end - over) / 1_000_000;
                format!("hold {} is open {seconds} s after its time", hold.id)
            });
        }
    }

    fn compare_accounts(&mut self) {
        for Opened { id, .. } in &self.history.opened {
            let Some(account) = self.stored.accounts.get(id) else {
                self.predicate.holds_if(false, || format!("account {id} was opened, and is lost"));
                continue;
            };
            let model = &self.model.accounts[&key(*id)];
            let (now, stored) = (&model.balances, &account.balances);
            let expected =
                [now.debits_pending, now.debits_posted, now.credits_pending, now.credits_posted];
            let found = [
                stored.debits_pending,
                stored.debits_posted,
                stored.credits_pending,
                stored.credits_posted,
            ];
            let agrees = expected == found.map(u128::from) && model.version == stored.version;
            self.predicate.holds_if(agrees, || {
                let version = stored.version;
                let of_model = model.version;
                format!("account {id}: {found:?}, version {version}; by the model {expected:?}, version {of_model}")
            });
        }
    }
}

fn key(id: u64) -> Key {
    (LEDGER, id.into())
}

/// What was asked for, by what was decided.
fn asked(decision: &Decision) -> Transfer {
    let Decision { id, debit, credit, amount, flags, pending_id, timeout, .. } = *decision;
    Transfer {
        id: id.into(),
        ledger: LEDGER,
        debit: debit.into(),
        credit: credit.into(),
        // Only posts and voids are ever stored without.
        amount: amount
            .map(u128::from)
            .or((flags & (POST_PENDING | VOID_PENDING) == 0).then_some(0)),
        code: if flags & (POST_PENDING | VOID_PENDING) == 0 { 1 } else { 0 },
        flags,
        pending_id: pending_id.map(u128::from),
        timeout,
        ..Transfer::default()
    }
}

/// Whether this can be what was decided of a member of a chain.
fn is_of(decision: &Decision, member: &Transfer) -> bool {
    let inherits = |sent: u128, stored: u64| sent == u128::from(stored) || sent == 0;
    member.id == u128::from(decision.id)
        && member.flags == decision.flags
        && member.pending_id == decision.pending_id.map(u128::from)
        && member.timeout == decision.timeout
        && inherits(member.debit, decision.debit)
        && inherits(member.credit, decision.credit)
        && member.amount.is_none_or(|amount| decision.amount.map(u128::from) == Some(amount))
}
