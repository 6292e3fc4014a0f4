//! What the function takes beside what any ledger has to do: the row of a transfer, and its accounts.

use super::known;
use crate::compare::cell::{Contender, thousands};
use crate::compare::figures::{FEW, closed_loop, cold_accounts, cost, spread, worded};
use crate::compare::raw::Raw;
use crate::compare::spread::short;
use std::fmt::Write;

/// When and of what.
fn measured(raw: &Raw) -> String {
    format!(
        "{} at {} in {} rounds of {} s",
        raw.origin.date(),
        known(&raw.origin.versions, "commit"),
        known(&raw.origin.plan, "rounds"),
        known(&raw.origin.plan, "seconds"),
    )
}

/// Side by side for ledgers of different size. Nothing unless all have measured both halves.
pub(super) fn floor(ledgers: &[&Raw]) -> String {
    let cpu = |raw: &Raw, parts: &[Contender]| {
        let of_round = |round| {
            let each =
                parts.iter().map(|who| closed_loop(raw, *who, FEW, 1, round)?.backend_cpu_us);
            each.sum::<Option<f64>>()
        };
        spread(raw, of_round).map(|it| it.text(short, " µs"))
    };
    let (insert, update) = (Contender::Insert, Contender::Update);
    let rows = [
        ("the bare INSERT of its row, all indexes", vec![insert]),
        ("the bare UPDATE of its accounts", vec![update]),
        ("both: the floor", vec![insert, update]),
        ("Giro's function", vec![Contender::GiroFunction]),
    ];
    let accounts = |raw| cold_accounts(raw).map_or("unknown".into(), thousands);
    let titles = ledgers.iter().map(|raw| format!("{} accounts", accounts(raw)));
    let titles = titles.collect::<Vec<_>>().join(" | ");
    let mut text = format!(
        "The floor, as CPU of the backend for a transfer, 1,000 a call, {}:\n\n\
         | | {titles} |\n| ---{} |\n",
        ledgers.iter().copied().map(measured).collect::<Vec<_>>().join(" and "),
        " | ---".repeat(ledgers.len())
    );
    for (what, parts) in rows {
        let cells: Option<Vec<_>> = ledgers.iter().map(|raw| cpu(raw, &parts)).collect();
        let Some(cells) = cells else { return String::new() };
        let _ = writeln!(text, "| {what} | {} |", cells.join(" | "));
    }
    let wanted = ledgers.iter().map(|raw| {
        let cost = cost(raw);
        format!("{}: {}", cost.wanted, worded(cost.verdict))
    });
    let _ = writeln!(text, "| wanted of it | {} |\n", wanted.collect::<Vec<_>>().join(" | "));
    text
}
