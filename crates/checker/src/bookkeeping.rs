//! C16: the servers' own figures agree with what callers were told.
//!
//! What a process counted is known if it was scraped when it was at rest; it died without loss then. Its
//! callers are known by time: whoever was asked and answered between its first scrape and its last was
//! answered by it. Whoever was answered after the last scrape of the process before, and asked before its
//! own last one, may have been. A request whose caller left is counted if the answer was ready before the
//! server saw that, so that for every outcome
//!
//! ```text
//! answered by it for certain  ≤  counted  ≤  perhaps answered by it + perhaps asked it and left.
//! ```
//!
//! A `not_applied` is counted once, not for each item, where the request was refused before its body was
//! read, and also for a request of which only a part arrived: there only the upper bound is asked for.

use crate::asked::{History, Request, Said};
use crate::history::{FaultSpan, Scrape};
use crate::verdict::Predicate;
use std::collections::{BTreeMap, BTreeSet};

/// What is asked of the metrics: a name that is not there says nothing, and least of all 0.
const NEEDED: [&str; 4] =
    [ECHOES, "giro_queue_items{", "giro_batches_in_flight{", "giro_transfers_total{"];
const ECHOES: &str = "giro_unknown_total{cause=\"echo\"";
/// Faults that give a server the reply of another call: it has to notice.
const SHIFTING: [&str; 2] = ["shift-reply", "garble-reply"];
const OUTCOMES: [&str; 4] = ["applied", "rejected", "not_applied", "unknown"];

pub(crate) fn check(history: &History, scrapes: &[Scrape], faults: &[FaultSpan]) -> Predicate {
    let mut predicate = Predicate::new(
        "C16",
        "At rest no queue holds anything, the servers count what callers were told, and no more replies were \
         another's than faults have swapped.",
    );
    let swapping = || faults.iter().filter(|fault| swaps(fault));
    let shifted = swapping().map(|fault| fault.began).min().unwrap_or(u64::MAX);
    for scrape in scrapes.iter().filter(|scrape| scrape.at < shifted) {
        let count = sum(scrape, |name| name.starts_with(ECHOES));
        predicate
            .holds_if(count == 0.0, || at(scrape, &format!("{count} replies of another call")));
    }
    compare_swapped(scrapes, swapping(), &mut predicate);
    at_rest_once(history, scrapes, &mut predicate);
    for scrape in scrapes.iter().filter(|scrape| scrape.at_rest) {
        for metric in NEEDED {
            let is_there = scrape.values.keys().any(|name| name.starts_with(metric));
            predicate.holds_if(is_there, || at(scrape, &format!("it has no {metric}…}}")));
        }
        let waits = |name: &str| {
            name.starts_with("giro_queue_items{") || name.starts_with("giro_batches_in_flight{")
        };
        let count = sum(scrape, waits);
        predicate.holds_if(count == 0.0, || at(scrape, &format!("{count} wait at rest")));
    }
    let mut processes: BTreeMap<_, Vec<&Scrape>> = BTreeMap::new();
    for scrape in scrapes {
        processes.entry((scrape.server, scrape.generation)).or_default().push(scrape);
    }
    let mut before = None;
    for ((server, generation), scrapes) in &processes {
        let (first, last) = (scrapes[0], scrapes[scrapes.len() - 1]);
        if last.at_rest {
            let is_first = *generation == 0;
            let from = if is_first { 0 } else { first.at };
            let earlier = before.filter(|(of, _)| of == server).map_or(0, |(_, at)| at);
            compare(history, last, from, earlier, &mut predicate);
        }
        before = Some((*server, last.at));
    }
    predicate
}

/// Whether a fault gives a server the reply of another call, by itself or beside another fault.
fn swaps(fault: &FaultSpan) -> bool {
    SHIFTING.iter().any(|name| fault.fault.contains(name))
}

/// No server has noticed replies of another call beyond those that were swapped.
fn compare_swapped<'a>(
    scrapes: &[Scrape],
    faults: impl Iterator<Item = &'a FaultSpan>,
    predicate: &mut Predicate,
) {
    let mut swapped = 0;
    for fault in faults {
        let calls = calls(&fault.evidence);
        predicate.holds_if(calls.is_some(), || {
            format!("{}: how many replies? {}", fault.fault, fault.evidence)
        });
        swapped += calls.unwrap_or(0);
    }
    let mut noticed = BTreeMap::new();
    for scrape in scrapes {
        let count = sum(scrape, |name| name.starts_with(ECHOES));
        noticed.insert((scrape.server, scrape.generation), count);
    }
    let noticed: f64 = noticed.values().sum();
    predicate.holds_if(noticed <= swapped as f64, || {
        format!("{noticed} replies of another call, and {swapped} were swapped")
    });
}

/// How many calls a fault of single calls says that it happened to.
fn calls(evidence: &str) -> Option<u64> {
    let (_, count) = evidence.split_once(" happened to ")?;
    count.split_once(" calls ")?.0.parse().ok()
}

/// Whoever was asked was looked at when everything was over.
fn at_rest_once(history: &History, scrapes: &[Scrape], predicate: &mut Predicate) {
    let asked = history.requests.iter().map(|request| request.server);
    let servers: BTreeSet<u16> = asked.chain(scrapes.iter().map(|scrape| scrape.server)).collect();
    for server in servers {
        let is_it = |scrape: &Scrape| scrape.server == server && scrape.at_rest;
        predicate.holds_if(scrapes.iter().any(is_it), || {
            format!("server {server} was not looked at when it was at rest")
        });
    }
}

fn at(scrape: &Scrape, wrong: &str) -> String {
    format!("server {}, process {}, at {} ns: {wrong}", scrape.server, scrape.generation, scrape.at)
}

fn sum(scrape: &Scrape, of: impl Fn(&str) -> bool) -> f64 {
    scrape.values.iter().filter(|(name, _)| of(name)).map(|(_, value)| value).sum()
}

/// The figures of a process that was there from `from` on, and not before `earlier`.
fn compare(history: &History, last: &Scrape, from: u64, earlier: u64, predicate: &mut Predicate) {
    let mut certain = [0u64; 4];
    let mut perhaps = [0u64; 4];
    let (mut left, mut cut) = (0, 0);
    for (number, request) in history.requests.iter().enumerate() {
        let Request { server, inv, ret, .. } = *request;
        if server != last.server || ret < earlier || inv > last.at {
            continue;
        }
        for ask in &history.asks[history.items(number)] {
            let outcome = match &ask.told {
                Said::Applied(_) => 0,
                Said::Rejected { .. } => 1,
                Said::NotApplied(_) => 2,
                Said::Unknown => 3,
                Said::Nothing => {
                    left += 1;
                    continue;
                }
                Said::NotSent => {
                    cut += 1;
                    continue;
                }
            };
            perhaps[outcome] += 1;
            certain[outcome] += u64::from(inv >= from && ret <= last.at);
        }
    }
    certain[2] = 0;
    perhaps[2] += cut;
    for (outcome, name) in OUTCOMES.iter().enumerate() {
        let label = format!("outcome=\"{name}\"");
        let of =
            |metric: &str| metric.starts_with("giro_transfers_total{") && metric.contains(&label);
        let counted = sum(last, of);
        let (least, most) = (certain[outcome] as f64, (perhaps[outcome] + left) as f64);
        predicate.holds_if(least <= counted && counted <= most, || {
            at(last, &format!("{counted} {name}; callers were told from {least} to {most}"))
        });
    }
}
