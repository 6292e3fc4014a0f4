//! C15: everything that a caller was left in doubt about was resolved, and truly so.

use crate::asked::{History, Lookup, Said};
use crate::timeline::Timeline;
use crate::verdict::Predicate;

pub(crate) fn check(timeline: &Timeline<'_>) -> Predicate {
    let mut predicate = Predicate::new(
        "C15",
        "Whatever a caller was left in doubt about was resolved afterwards, and every look at an id was true.",
    );
    let history = timeline.history;
    for (id, asks) in history.ids() {
        let Some(in_doubt) = doubt(history, asks) else { continue };
        predicate.holds_if(is_resolved(history, asks, in_doubt), || {
            format!("{id}: in doubt, and nobody was told for good")
        });
    }
    for lookup in &history.lookups {
        let wrong = fault(timeline, lookup);
        predicate.holds_if(wrong.is_none(), || {
            format!("line {}, {}: {}", lookup.line, lookup.id, wrong.unwrap_or_default())
        });
    }
    predicate
}

/// When the last attempt ended whose caller was told nothing.
fn doubt(history: &History, asks: &[u32]) -> Option<u64> {
    let asks = asks.iter().map(|ask| &history.asks[*ask as usize]);
    asks.filter(|ask| ask.told.is_ambiguous()).map(|ask| history.request(ask).ret).max()
}

/// Somebody was told what is final whenever it was; or was judged, afterwards, and refused.
fn is_resolved(history: &History, asks: &[u32], in_doubt: u64) -> bool {
    asks.iter().any(|place| {
        let ask = &history.asks[*place as usize];
        let is_malformed = |reason: &str| matches!(reason, "400" | "413");
        let judged = match &ask.told {
            Said::Rejected { .. } => true,
            Said::NotApplied(reason) => is_malformed(reason),
            _ => false,
        };
        history.is_final(*place as usize) || judged && history.request(ask).inv >= in_doubt
    })
}

/// What is wrong with a look at a transfer.
fn fault(timeline: &Timeline<'_>, lookup: &Lookup) -> Option<String> {
    let place = timeline.stored.place(lookup.id);
    let stored = place.map(|place| &timeline.stored.decisions[place]);
    match (&lookup.told, stored) {
        (Some(Said::Applied(told)), Some(stored)) if stored.reason.is_none() => {
            let told = (told.id, told.seq, told.debit, told.credit, Some(told.amount));
            let is = (stored.id, stored.seq, stored.debit, stored.credit, stored.amount);
            (told != is).then(|| format!("shown as {told:?}, stored as {is:?}"))
        }
        (Some(Said::Rejected { reason, .. }), Some(stored)) => {
            let is = stored.reason.as_ref();
            (is != Some(reason)).then(|| format!("shown as {reason}, stored as {is:?}"))
        }
        (Some(_), _) => Some("shown, and not stored so".into()),
        (None, Some(_)) => {
            let when = timeline.when(place? as u32);
            (when.before < lookup.inv).then(|| "shown as absent, though it was known".into())
        }
        (None, None) => None,
    }
}
