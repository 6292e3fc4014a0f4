//! C11: there is one order of everything that was decided and read, in which each account goes by seq, and
//! nothing comes before what was answered before it was asked.
//!
//! A graph with an edge from what comes first to what comes later: along each account between neighbours,
//! refusals included; from a read's version to the read and from there to the next version; from a refusal
//! because a hold is not there to the hold. Real time is a chain of barriers: what was answered comes before
//! the next barrier, and what is asked after that barrier's time comes after the barrier. An order exists
//! exactly when the graph has no cycle.

use crate::graph::Graph;
use crate::timeline::{Event, Timeline, When};
use crate::verdict::Predicate;

pub(crate) fn check(timeline: &Timeline<'_>) -> Predicate {
    let mut predicate = Predicate::new(
        "C11",
        "There is one order of all decisions and reads, by seq along each account and in real time.",
    );
    let history = timeline.history;
    let first_read = timeline.len() as u32;
    let nodes = timeline.len() + history.reads.len();
    predicate.looked_at = nodes as u64;
    let mut graph = Graph::new(nodes);
    along_accounts(timeline, &mut graph);
    reads(timeline, &mut graph);
    missing_holds(timeline, &mut graph);
    let decided = (0..first_read).map(|number| timeline.when(number));
    let read = history.reads.iter().map(|read| When { after: read.inv, before: read.ret });
    in_real_time(&decided.chain(read).collect::<Vec<_>>(), &mut graph);
    if let Some(cycle) = graph.cycle() {
        let named = cycle.into_iter().filter(|node| (*node as usize) < nodes);
        let names: Vec<_> = named.map(|node| name(timeline, node)).collect();
        predicate.violated(|| {
            format!("each before the next, and the last before the first: {}", names.join(", "))
        });
    }
    predicate
}

fn along_accounts(timeline: &Timeline<'_>, graph: &mut Graph) {
    for line in timeline.lines.values() {
        for pair in line.windows(2) {
            graph.edge(pair[0], pair[1]);
        }
    }
}

fn reads(timeline: &Timeline<'_>, graph: &mut Graph) {
    let mut versions: Vec<_> = timeline.history.reads.iter().enumerate().collect();
    versions.sort_unstable_by_key(|(_, read)| read.account);
    for of_account in versions.chunk_by(|(_, a), (_, b)| a.account == b.account) {
        let Some(line) = timeline.lines.get(&of_account[0].1.account) else { continue };
        let changes: Vec<u32> =
            line.iter().copied().filter(|number| timeline.changes(*number)).collect();
        for (place, read) in of_account {
            let node = (timeline.len() + place) as u32;
            let Some(balances) = &read.balances else { continue };
            let Ok(version) = usize::try_from(balances.version) else { continue };
            if let Some(last) = version.checked_sub(1).and_then(|last| changes.get(last)) {
                graph.edge(*last, node);
            }
            if let Some(next) = changes.get(version) {
                graph.edge(node, *next);
            }
        }
    }
}

fn missing_holds(timeline: &Timeline<'_>, graph: &mut Graph) {
    let stored = timeline.stored;
    for (number, decision) in stored.decisions.iter().enumerate() {
        if decision.reason.as_deref() == Some("pending_transfer_not_found")
            && let Some(hold) = decision.pending_id.and_then(|id| stored.place(id))
            && stored.decisions[hold].reason.is_none()
        {
            graph.edge(number as u32, hold as u32);
        }
    }
}

fn in_real_time(when: &[When], graph: &mut Graph) {
    let nodes = || 0..when.len() as u32;
    let mut known: Vec<u32> =
        nodes().filter(|node| when[*node as usize].before < u64::MAX).collect();
    known.sort_unstable_by_key(|node| when[*node as usize].before);
    let mut asked: Vec<u32> = nodes().filter(|node| when[*node as usize].after > 0).collect();
    asked.sort_unstable_by_key(|node| when[*node as usize].after);
    let mut known = known.into_iter().peekable();
    let mut barrier = None;
    for node in asked {
        let asked_at = when[node as usize].after;
        let mut next = None;
        while let Some(earlier) = known.next_if(|node| when[*node as usize].before < asked_at) {
            let next = *next.get_or_insert_with(|| graph.node());
            graph.edge(earlier, next);
        }
        if let Some(next) = next {
            if let Some(barrier) = barrier {
                graph.edge(barrier, next);
            }
            barrier = Some(next);
        }
        if let Some(barrier) = barrier {
            graph.edge(barrier, node);
        }
    }
}

fn name(timeline: &Timeline<'_>, node: u32) -> String {
    if let Some(read) = (node as usize).checked_sub(timeline.len()) {
        let read = &timeline.history.reads[read];
        let version = read.balances.as_ref().map_or(-1, |balances| balances.version);
        return format!(
            "the read of account {} at version {version} (line {})",
            read.account, read.line
        );
    }
    match timeline.event(node) {
        Event::Decided(decision) => {
            let outcome = decision.reason.as_deref().unwrap_or("applied");
            format!("{} (seq {}, {outcome})", decision.id, decision.seq)
        }
        Event::Expired(hold) => format!("the expiry of {}", hold.map_or(0, |hold| hold.id)),
    }
}
