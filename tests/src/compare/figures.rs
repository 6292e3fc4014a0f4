//! What was wanted of Giro, and whether it is reached: in every round. A ratio is of two cells of one round; the
//! median of the rounds is shown.

use super::cell::{Cell, Condition, Contender};
use super::raw::{Latency, Measured, Raw};
use super::spread::{Spread, short, whole};
use std::fmt;

/// The experiment that the comparison follows: TPC-B on so many branches.
const ROWS: u64 = 10;
pub(super) const FEW: Condition = Condition { delay_ms: 0, standby: false, rows: ROWS };
const FAR: Condition = Condition { delay_ms: 10, ..FEW };
const SAFE: Condition = Condition { standby: true, ..FEW };
const CLIENTS: u32 = 256;

/// Whether a figure is what was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// At least as good.
    Reached,
    /// Worse.
    Missed,
    /// At least as good in some rounds, worse in others.
    Unsettled,
    /// The run has not measured what it takes.
    NotMeasured,
}

/// One wish, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What is measured.
    pub what: &'static str,
    /// The wish.
    pub wanted: String,
    /// The figure, with the lowest and the highest of the rounds.
    pub measured: String,
    /// What it is made from.
    pub from: String,
    /// Whether it is reached.
    pub verdict: Verdict,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reached => "reached",
            Self::Missed => "missed",
            Self::Unsettled => "unsettled",
            Self::NotMeasured => "not measured",
        })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, wanted, measured, verdict, .. } = self;
        write!(f, "{verdict}: {what}: {measured}, wanted {wanted}")
    }
}

/// Every wish, in the order of the document.
pub fn figures(raw: &Raw) -> Vec<Figure> {
    let (best, same) = ("each with its best number of clients", "both with 256 clients");
    let singles = [
        ("Single transfers over HTTP, 1 connection", 1, 2_500.0),
        ("Single transfers over HTTP, 8 connections", 8, 10_000.0),
        ("Single transfers over HTTP, 64 connections", 64, 45_000.0),
        ("Single transfers over HTTP, 256 connections", 256, 60_000.0),
        ("Single transfers over HTTP, 1,024 connections", 1_024, 65_000.0),
    ];
    let mut all: Vec<_> = singles
        .into_iter()
        .map(|(what, clients, wanted)| rate(raw, Contender::Giro, clients, wanted, what))
        .collect();
    let bulks = "Transfers in bulks of 100 over HTTP, 64 connections";
    all.push(match raw.origin.plan.get("bulk").map(String::as_str) {
        Some("100") => rate(raw, Contender::GiroBulk, 64, 90_000.0, bulks),
        _ => not_measured(bulks, at_least(90_000.0)),
    });
    let bulks = "Transfers in bulks of 1,000 over HTTP, 8 connections";
    all.push(rate(raw, Contender::GiroLargeBulk, 8, 120_000.0, bulks));
    all.extend([
        against_tpcb(raw, FEW, None, 8.0, "Giro against TPC-B by pgbench, 10 contended rows", best),
        against_tpcb(raw, FEW, Some(CLIENTS), 20.0, "The same, both with 256 clients", same),
        against_tpcb(raw, FAR, Some(CLIENTS), 100.0, "The same with 10 ms to the database", same),
        against_tpcb(
            raw,
            SAFE,
            Some(CLIENTS),
            30.0,
            "The same with a synchronous standby 1 ms away",
            same,
        ),
    ]);
    all.push(cost(raw));
    all.push(floor(raw));
    all.push(half_of_peak(raw));
    all.push(idle(raw));
    all
}

fn against_tpcb(
    raw: &Raw,
    condition: Condition,
    clients: Option<u32>,
    wanted: f64,
    what: &'static str,
    how: &str,
) -> Figure {
    let rates = |who, clients| {
        move |round| match clients {
            Some(clients) => {
                Some(closed_loop(raw, who, condition, clients, round)?.transfers_per_second)
            }
            None => peak(raw, who, condition, round),
        }
    };
    let (giro, tpcb) = (rates(Contender::Giro, clients), rates(Contender::Tpcb, clients));
    let (best_giro, best_tpcb) = (rates(Contender::Giro, None), rates(Contender::Tpcb, None));
    let ratio = spread(raw, |round| Some(giro(round)? / tpcb(round)?));
    let best = spread(raw, |round| Some(best_giro(round)? / best_tpcb(round)?));
    let (giro, tpcb) = (median(raw, giro), median(raw, tpcb));
    let mut from = format!("{giro} against {tpcb} transfers/s, {how}");
    if let Some(best) = best.filter(|_| clients.is_some()) {
        from += &format!("; each with its best of those measured {}×", short(best.median));
    }
    judged(what, format!("≥ {wanted}×"), ratio, (&short, "×"), from, |ratio| ratio >= wanted)
}

fn rate(raw: &Raw, who: Contender, clients: u32, wanted: f64, what: &'static str) -> Figure {
    let cell = |round| closed_loop(raw, who, FEW, clients, round);
    let rate = spread(raw, |round| Some(cell(round)?.transfers_per_second));
    let latency = |of: fn(&Latency) -> f64| {
        let spread = spread(raw, |round| Some(of(cell(round)?.latency_ms.as_ref()?)));
        spread.map_or("–".to_owned(), |spread| short(spread.median))
    };
    let from = format!("p50 {} ms, p99 {} ms", latency(|it| it.p50), latency(|it| it.p99));
    judged(what, at_least(wanted), rate, (&whole, "/s"), from, |it| it >= wanted)
}

fn at_least(wanted: f64) -> String {
    format!("≥ {}", whole(wanted))
}

/// Beside the contended ones.
pub(super) fn cold_accounts(raw: &Raw) -> Option<u64> {
    raw.origin.plan.get("accounts")?.parse().ok()
}

/// In bold where it is a failure.
pub(super) fn worded(verdict: Verdict) -> String {
    match verdict {
        Verdict::Missed => "**missed**".to_owned(),
        verdict => verdict.to_string(),
    }
}

/// What a transfer takes of a backend. Fewer accounts stay in the processor's caches, so more is wanted.
pub(super) fn cost(raw: &Raw) -> Figure {
    let cpu = |who| spread(raw, move |round| closed_loop(raw, who, FEW, 1, round)?.backend_cpu_us);
    let bare = |who| cpu(who).map_or("–".to_owned(), |it| format!("{} µs", short(it.median)));
    let from = format!(
        "1,000 a call, 10 accounts debited, all credited at random; the bare INSERT of its row takes {}, the bare UPDATE of its accounts {}",
        bare(Contender::Insert),
        bare(Contender::Update),
    );
    let what = "CPU of the backend for a transfer";
    let function = cpu(Contender::GiroFunction);
    let few = cold_accounts(raw).is_some_and(|accounts| accounts <= 10_000);
    let most = if few { 8.0 } else { 13.0 };
    judged(what, format!("≤ {most} µs"), function, (&short, " µs"), from, |it| it <= most)
}

fn floor(raw: &Raw) -> Figure {
    let rate = |who| move |round| Some(closed_loop(raw, who, FEW, 1, round)?.transfers_per_second);
    let cpu = |who| move |round| closed_loop(raw, who, FEW, 1, round)?.backend_cpu_us;
    let part = |function: &dyn Fn(u32) -> Option<f64>, insert: &dyn Fn(u32) -> Option<f64>| {
        spread(raw, |round| Some(function(round)? / insert(round)?))
    };
    let (function, insert) = (rate(Contender::GiroFunction), rate(Contender::Insert));
    let ratio = part(&function, &insert);
    let by_cpu = part(&cpu(Contender::Insert), &cpu(Contender::GiroFunction));
    let (function, insert) = (median(raw, function), median(raw, insert));
    let mut from = format!("{function} against {insert} rows/s, 1,000 a commit");
    if let Some(cpu) = by_cpu {
        from += &format!("; by CPU of the backend {}", short(cpu.median));
    }
    let what = "Giro's function against the bare INSERT of its rows with all indexes";
    judged(what, "≥ 0.4".into(), ratio, (&short, ""), from, |ratio| ratio >= 0.4)
}

fn half_of_peak(raw: &Raw) -> Figure {
    let (contender, condition) = (Contender::Giro, FEW);
    let clients = contender.open_loop_clients();
    let rounds = raw.rounds(&Cell { contender, clients, condition, part_of_peak: Some(0.5) });
    let p99 = Spread::of(rounds.iter().filter_map(|it| Some(it.latency_ms.as_ref()?.p99)));
    let offered = Spread::of(rounds.iter().filter_map(|it| it.offered_per_second));
    let offered = offered.map_or(0.0, |it| it.median);
    let refused: u64 = rounds.iter().map(|it| it.refused).sum();
    let from =
        format!("{} transfers/s come by themselves; {refused} in all were refused", whole(offered));
    let what = "99 % of Giro's answers at half of its highest throughput";
    judged(what, "≤ 10 ms".into(), p99, (&short, " ms"), from, |it| it <= 10.0)
}

fn idle(raw: &Raw) -> Figure {
    let p50 = |who| {
        move |round| Some(closed_loop(raw, who, FEW, 1, round)?.latency_ms.as_ref()?.p50 * 1e3)
    };
    let (giro, call) = (p50(Contender::Giro), p50(Contender::GiroCall));
    let more = spread(raw, |round| Some(giro(round)? - call(round)?));
    let (giro, call) = (median(raw, giro), median(raw, call));
    let from = format!("medians of {giro} µs over HTTP and {call} µs for a call of the function");
    let what = "One caller on an idle server: what Giro adds to the call of its function";
    let micros = |it: f64| format!("{it:.0}");
    judged(what, "≤ 100 µs".into(), more, (&micros, " µs"), from, |it| it <= 100.0)
}

fn judged(
    what: &'static str,
    wanted: String,
    figure: Option<Spread>,
    (number, unit): (&dyn Fn(f64) -> String, &str),
    from: String,
    reached: impl Fn(f64) -> bool,
) -> Figure {
    let Some(figure) = figure else {
        return not_measured(what, wanted);
    };
    let verdict = match (reached(figure.low), reached(figure.high)) {
        (true, true) => Verdict::Reached,
        (false, false) => Verdict::Missed,
        _ => Verdict::Unsettled,
    };
    Figure { what, wanted, measured: figure.text(number, unit), from, verdict }
}

fn not_measured(what: &'static str, wanted: String) -> Figure {
    let (measured, from) = ("–".into(), String::new());
    Figure { what, wanted, measured, from, verdict: Verdict::NotMeasured }
}

/// Of every round in which there is a value.
pub(super) fn spread(raw: &Raw, value: impl Fn(u32) -> Option<f64>) -> Option<Spread> {
    let rounds = raw.cells.iter().flat_map(|cell| &cell.rounds).map(|it| it.round).max()?;
    Spread::of((1..=rounds).filter_map(value))
}

/// For people.
fn median(raw: &Raw, value: impl Fn(u32) -> Option<f64>) -> String {
    whole(spread(raw, value).map_or(0.0, |spread| spread.median))
}

/// A round of a cell whose clients send their next when their last is answered.
pub(super) fn closed_loop(
    raw: &Raw,
    contender: Contender,
    condition: Condition,
    clients: u32,
    round: u32,
) -> Option<&Measured> {
    let cell = Cell { contender, clients, condition, part_of_peak: None };
    raw.rounds(&cell).iter().find(|it| it.round == round)
}

/// Its highest throughput in a round, with whatever number of clients.
fn peak(raw: &Raw, who: Contender, condition: Condition, round: u32) -> Option<f64> {
    let same = |cell: &Cell| {
        cell.contender == who && cell.condition == condition && cell.part_of_peak.is_none()
    };
    let cells = raw.cells.iter().filter(|rounds| same(&rounds.cell));
    let rounds = cells.flat_map(|rounds| &rounds.rounds).filter(|it| it.round == round);
    rounds.map(|it| it.transfers_per_second).max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(cells: &[(Contender, u32, [f64; 3])]) -> Raw {
        let mut raw = Raw::default();
        for &(contender, clients, rates) in cells {
            let cell = Cell { contender, clients, condition: FEW, part_of_peak: None };
            for (round, transfers_per_second) in (1..).zip(rates) {
                raw.add(cell, Measured { round, transfers_per_second, ..Measured::default() });
            }
        }
        raw
    }

    #[test]
    fn a_ratio_is_of_one_round_and_the_figure_is_the_median() {
        use Contender::*;
        // The machine is twice as fast in the second round, for both.
        let raw = raw(&[
            (Tpcb, 8, [1000.0, 2000.0, 1000.0]),
            (Tpcb, 256, [100.0, 200.0, 100.0]),
            (Giro, 8, [2000.0, 4000.0, 3000.0]),
            (Giro, 256, [9000.0, 18000.0, 7000.0]),
        ]);
        let figures = figures(&raw);
        let figure = |what: &str| figures.iter().find(|figure| figure.what == what).unwrap();
        let judged = |what| (&*figure(what).measured, figure(what).verdict);
        let eight = "Single transfers over HTTP, 8 connections";
        assert_eq!(judged(eight), ("3,000/s (2,000–4,000)", Verdict::Missed));
        // 8 are wanted.
        let best = "Giro against TPC-B by pgbench, 10 contended rows";
        assert_eq!(judged(best), ("9.00× (7.00–9.00)", Verdict::Unsettled));
        let same = "The same, both with 256 clients";
        assert_eq!(judged(same), ("90.0× (70.0–90.0)", Verdict::Reached));
        let from = &figure(same).from;
        assert!(from.starts_with("9,000 against 100 transfers/s"), "{from}");
        let measured = figures.iter().filter(|figure| figure.verdict != Verdict::NotMeasured);
        assert_eq!(measured.count(), 4, "these, and 256 connections");
    }
}
