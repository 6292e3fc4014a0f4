//! `report.md` and `timeline.svg`: what a run has come to, for people.

mod picture;

use super::facts;
use super::summary::Summary;
use super::timeline::Timeline;
use giro_checker::Verdict;
use giro_checker::history::{FAULTS, FaultSpan};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

pub(super) const REPORT: &str = "report.md";
const PICTURE: &str = "timeline.svg";
/// A sentence of evidence in a table.
const EVIDENCE: usize = 110;

/// Writes both.
pub(super) fn write(
    directory: &Path,
    summary: &Summary,
    timeline: &Timeline,
    verdict: Option<&Verdict>,
) -> Result<(), String> {
    let faults = faults(directory)?;
    let text = markdown(directory, summary, timeline, &faults, verdict);
    fs::write(directory.join(REPORT), text).map_err(|error| format!("{REPORT}: {error}"))?;
    let title = format!("Storm {}: {}", summary.seed, word(summary));
    picture::draw(&directory.join(PICTURE), &title, timeline, &faults)
        .map_err(|error| format!("{PICTURE}: {error}"))
}

fn faults(directory: &Path) -> Result<Vec<FaultSpan>, String> {
    // A run that failed before its first fault has none.
    let text = fs::read_to_string(directory.join(FAULTS)).unwrap_or_default();
    let parse = |line| serde_json::from_str(line).map_err(|error| format!("{FAULTS}: {error}"));
    text.lines().map(parse).collect()
}

/// What came of it, in a word.
pub(super) fn word(summary: &Summary) -> String {
    let violations = summary.violations + summary.looked.unbalanced;
    match (&summary.failure, violations, summary.passes) {
        (Some(_), ..) => "FAILED".into(),
        (None, 0, true) => "passes".into(),
        (None, 0, false) => "proves nothing: too little was seen".into(),
        (None, violations, _) => format!("{violations} VIOLATIONS"),
    }
}

fn markdown(
    directory: &Path,
    summary: &Summary,
    timeline: &Timeline,
    faults: &[FaultSpan],
    verdict: Option<&Verdict>,
) -> String {
    let mut text = format!("# Storm {}: {}\n\n", summary.seed, word(summary));
    if let Some(failure) = &summary.failure {
        let _ = writeln!(text, "```\n{failure}\n```\n");
    }
    if !summary.gates_missed.is_empty() {
        let _ = writeln!(text, "Too few: {}.\n", summary.gates_missed.join("; "));
    }
    let _ = writeln!(text, "{}\n", circumstances(directory));
    let _ = writeln!(text, "![what happened]({PICTURE})\n");
    text.push_str(&course(summary));
    text.push_str(&answers(timeline));
    text.push_str(&fault_table(faults));
    for (fault, why) in &summary.left_out {
        let _ = writeln!(text, "- **Without {fault}**: {why}");
    }
    if let Some(verdict) = verdict {
        text.push('\n');
        text.push_str(&predicates(summary, verdict));
    }
    text
}

/// What it was and where, in two sentences.
fn circumstances(directory: &Path) -> String {
    let facts = fs::read_to_string(directory.join(facts::FILE)).unwrap_or_default();
    let facts: Value = serde_json::from_str(&facts).unwrap_or_default();
    let bare = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    let settings = facts["postgres"].as_object().into_iter().flatten();
    let settings: Vec<_> =
        settings.map(|(name, value)| format!("{name}={}", bare(value))).collect();
    let machine = &facts["machine"];
    let standby = if facts["standby"] == true { " with a synchronous standby" } else { "" };
    format!(
        "{}: {} servers on one PostgreSQL{standby}, {} requests a second ({}), bulks of up to {}, {} hot and {} cold accounts. \
         {} cores, {} GiB, Linux {}. PostgreSQL: {}.",
        bare(&facts["giro"]),
        facts["servers"],
        facts["rate"],
        bare(&facts["arrivals"]),
        facts["bulk"],
        facts["accounts"]["hot"],
        facts["accounts"]["cold"],
        machine["cores"],
        machine["memory_gib"],
        bare(&machine["kernel"]),
        settings.join(" ")
    )
}

fn course(summary: &Summary) -> String {
    let Summary { resolved, looked, .. } = summary;
    format!(
        "- {} requests, of which {} for an id sent before and {} whose callers left; {} could not be sent in \
         time.\n\
         - {} faults, of which {} are crashes or cuts that hit a batch, and {} halted one until its session had been \
         given up.\n\
         - {} transfers acknowledged; {} answers told what had been decided before.\n\
         - {} ids of which nobody was told what became of them: {} had been applied, {} refused, {} had never \
         run. All were resolved in {:.1} s.\n\
         - {:.0} decisions a second before the faults, and {} requests told to be unknown; half of it {:.1} s after the last one.\n\
         - Debits were credits in each of {} snapshots meanwhile ({} times PostgreSQL could not be looked at).\n\n",
        summary.requests,
        summary.repeats,
        summary.left,
        summary.late,
        summary.faults,
        summary.cycles,
        summary.zombies,
        summary.acknowledged,
        summary.replayed,
        resolved.in_doubt,
        resolved.applied,
        resolved.refused,
        resolved.absent,
        resolved.seconds,
        summary.goodput,
        summary.unknown_in_calm,
        summary.back_seconds,
        looked.looks,
        looked.in_vain,
    )
}

fn answers(timeline: &Timeline) -> String {
    let mut text = String::from("## Answers\n\n| answer, by item | times |\n| --- | ---: |\n");
    for (answer, times) in &timeline.answers {
        let _ = writeln!(text, "| {answer} | {times} |");
    }
    text + "\n"
}

fn fault_table(faults: &[FaultSpan]) -> String {
    let mut kinds: BTreeMap<&str, Vec<&FaultSpan>> = BTreeMap::new();
    for fault in faults {
        kinds.entry(&fault.fault).or_default().push(fault);
    }
    let mut text = String::from(
        "## Faults\n\n| fault | times | seconds | in flight at its begin | evidence, of the first |\n\
         | --- | ---: | ---: | ---: | --- |\n",
    );
    for (name, spans) in kinds {
        let lasted = |span: &&FaultSpan| (span.healed - span.began) as f64 / 1e9;
        let shortest = spans.iter().map(lasted).fold(f64::INFINITY, f64::min);
        let longest = spans.iter().map(lasted).fold(0.0, f64::max);
        let least = spans.iter().map(|span| span.in_flight).min().unwrap_or(0);
        let most = spans.iter().map(|span| span.in_flight).max().unwrap_or(0);
        let evidence = spans.first().map(|span| short(&span.evidence)).unwrap_or_default();
        let times = spans.len();
        let _ = writeln!(
            text,
            "| {name} | {times} | {shortest:.1} to {longest:.1} | {least} to {most} | {evidence} |"
        );
    }
    text + "\n"
}

/// One line, for a table.
fn short(evidence: &str) -> String {
    let line = evidence.replace(['\n', '|'], " ");
    match line.char_indices().nth(EVIDENCE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn predicates(summary: &Summary, verdict: &Verdict) -> String {
    let mut text = String::from(
        "## Verdict\n\n| | says | looked at | violations |\n| --- | --- | ---: | ---: |\n",
    );
    for predicate in &verdict.predicates {
        let (name, says, looked_at) = (&predicate.name, &predicate.says, predicate.looked_at);
        let _ = writeln!(text, "| {name} | {says} | {looked_at} | {} |", predicate.violations);
    }
    text.push_str("\n| the run must have seen | needed | seen | |\n| --- | ---: | ---: | --- |\n");
    for gate in &summary.gates {
        let missed = if gate.passes() { "" } else { "**too few**" };
        let _ =
            writeln!(text, "| {} | {:.1} | {:.1} | {missed} |", gate.name, gate.needed, gate.seen);
    }
    let examples = verdict.predicates.iter().flat_map(|predicate| {
        predicate.examples.iter().map(move |example| format!("{}: {example}", predicate.name))
    });
    let examples: Vec<_> = examples.collect();
    if !examples.is_empty() {
        let _ = writeln!(text, "\n```\n{}\n```", examples.join("\n"));
    }
    text
}
