//! C14: a read shows the balances of its version, and neither less than was known when it was sent nor more
//! than had been asked for when it returned.

use crate::asked::Read;
use crate::history::Balances;
use crate::timeline::{Event, Timeline, When};
use crate::verdict::Predicate;

/// What an account went through; index 0 is how it began.
struct Past {
    balances: Vec<[i128; 4]>,
    /// The latest moment before which nobody had asked for this version.
    asked: Vec<u64>,
    /// The first moment at which somebody knew of a later version.
    outdated: Vec<u64>,
}

pub(crate) fn check(timeline: &Timeline<'_>) -> Predicate {
    let mut predicate = Predicate::new(
        "C14",
        "Every read shows the balances of its version, not older than known and not newer than asked for.",
    );
    let mut reads: Vec<&Read> = timeline.history.reads.iter().collect();
    reads.sort_unstable_by_key(|read| (read.account, read.inv));
    for of_account in reads.chunk_by(|a, b| a.account == b.account) {
        let account = of_account[0].account;
        let exists = timeline.stored.accounts.contains_key(&account);
        let past = Past::of(timeline, account);
        for read in of_account {
            let wrong = match &read.balances {
                Some(balances) if exists => past.fault(read, balances),
                Some(_) => Some("there is no such account".into()),
                None => exists.then(|| "the account is there".into()),
            };
            predicate.holds_if(wrong.is_none(), || at(read, &wrong.unwrap_or_default()));
        }
        for (read, wrong) in gone_back(of_account) {
            predicate.violated(|| at(read, &wrong));
        }
    }
    predicate
}

fn at(read: &Read, wrong: &str) -> String {
    format!("line {}, account {}: {wrong}", read.line, read.account)
}

impl Past {
    fn of(timeline: &Timeline<'_>, account: u64) -> Self {
        let mut past = Self { balances: vec![[0; 4]], asked: vec![0], outdated: Vec::new() };
        let mut changes = Vec::new();
        let line = timeline.lines.get(&account).map_or(&[][..], |line| line);
        for number in line.iter().filter(|number| timeline.changes(**number)) {
            let When { after, before } = timeline.when(*number);
            past.balances.push(add(
                timeline,
                account,
                *number,
                past.balances[past.balances.len() - 1],
            ));
            past.asked.push(after.max(past.asked[past.asked.len() - 1]));
            changes.push(before);
        }
        // From the last to the first: who knows of a version knows that all before it are outdated.
        let mut outdated = u64::MAX;
        past.outdated.push(outdated);
        for before in changes.into_iter().rev() {
            outdated = outdated.min(before);
            past.outdated.push(outdated);
        }
        past.outdated.reverse();
        past
    }

    fn fault(&self, read: &Read, balances: &Balances) -> Option<String> {
        let version = balances.version;
        let place = usize::try_from(version).ok().filter(|place| *place < self.balances.len());
        let Some(place) = place else { return Some(format!("version {version} was never")) };
        let Balances { debits_pending, debits_posted, credits_pending, credits_posted, .. } =
            *balances;
        let shown =
            [debits_pending, debits_posted, credits_pending, credits_posted].map(i128::from);
        let was = self.balances[place];
        if shown != was {
            return Some(format!("version {version} is shown as {shown:?}, and was {was:?}"));
        }
        if self.outdated[place] < read.inv {
            return Some(format!("version {version} is stale: a later one was known"));
        }
        (self.asked[place] >= read.ret)
            .then(|| format!("version {version} is of the future: it had not been asked for"))
    }
}

/// The four balances after one more change.
fn add(timeline: &Timeline<'_>, account: u64, number: u32, mut balances: [i128; 4]) -> [i128; 4] {
    let (transfer, pending, posted) = match timeline.event(number) {
        Event::Decided(decision) => {
            let delta = timeline.stored.delta(decision);
            (decision, delta.pending, delta.posted)
        }
        Event::Expired(Some(hold)) => (hold, -timeline.stored.delta(hold).pending, 0),
        Event::Expired(None) => return balances,
    };
    let side = if transfer.debit == account { 0 } else { 2 };
    balances[side] += pending;
    balances[side + 1] += posted;
    balances
}

/// Reads of one account that show less than a read that had returned before they were sent.
fn gone_back<'a>(reads: &[&'a Read]) -> Vec<(&'a Read, String)> {
    let version = |read: &Read| read.balances.as_ref().map_or(0, |balances| balances.version);
    let mut returned: Vec<_> = reads.to_vec();
    returned.sort_unstable_by_key(|read| read.ret);
    let mut returned = returned.into_iter().peekable();
    let mut seen = 0;
    let mut wrong = Vec::new();
    for read in reads {
        while let Some(earlier) = returned.next_if(|earlier| earlier.ret < read.inv) {
            seen = seen.max(version(earlier));
        }
        if version(read) < seen && read.balances.is_some() {
            let version = version(read);
            wrong.push((*read, format!("version {version} is shown after version {seen}")));
        }
    }
    wrong
}
