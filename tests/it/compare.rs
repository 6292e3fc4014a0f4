//! The comparison: a tiny one from its command line to its tables, and what the repository shows.

use clap::Parser;
use giro_tests::compare::{self, Drawn, GrowthArguments, Raw, RunArguments, Verdict};
use giro_tests::needs::{self, Need};
use std::fs;
use std::path::Path;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md");
const SHOWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance");
/// A real run of some seconds.
const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/it/compare");

#[derive(Parser)]
struct Run {
    #[command(flatten)]
    arguments: RunArguments,
}

/// On the server that is built with the tests, without a standby and at full speed only.
async fn run(out: &Path, options: &[&str]) -> Result<bool, String> {
    let line = ["run", "--giro", env!("CARGO_BIN_EXE_giro-under-test"), "--clients", "2"];
    let star = ["--warmup", "0.2", "--standby", "false", "--parts", "0"];
    let own = ["--set", "shared_buffers=64MB", "--min-free", "0B", "--out", out.to_str().unwrap()];
    let line = [&line[..], &star, &own, options].concat();
    compare::run(Run::parse_from(line).arguments.plan()?).await
}

/// Some seconds.
async fn run_tiny(out: &Path, options: &[&str]) -> Result<bool, String> {
    let size = ["--seconds", "1", "--rounds", "1", "--accounts", "2000"];
    let star = ["--delays", "2", "--rows", "3"];
    run(out, &[&size[..], &star, options].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tiny_comparison_has_its_figures_and_is_not_measured_twice() {
    if !needs::met(&[Need::Pgbench]) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let out = place.path();
    let contenders = ["--contenders", "giro,tpcb,for-update,tpcb-arrays,copy"];
    assert_eq!(run_tiny(out, &contenders).await, Ok(true));
    let raw = Raw::load(&out.join("comparison.json")).unwrap();
    assert_eq!(raw.cells.len(), 5);
    for cell in &raw.cells {
        let [measured] = &cell.rounds[..] else { panic!("{cell:?}") };
        assert!(measured.transfers_per_second > 0.0 && measured.seconds >= 1.0, "{cell:?}");
        let latency = measured.latency_ms.as_ref().unwrap();
        assert!(latency.p50 >= 2.0, "nothing is quicker than the network: {cell:?}");
        assert!(latency.p50 <= latency.p99 && latency.p99 <= latency.max, "{cell:?}");
    }
    let tables = fs::read_to_string(out.join("comparison.md")).unwrap();
    assert!(tables.contains("fsync=on synchronous_commit=on full_page_writes=on"), "{tables}");
    let begun = fs::metadata(out.join("comparison.json")).unwrap().modified().unwrap();

    assert_eq!(run_tiny(out, &[&contenders[..], &["--resume"]].concat()).await, Ok(true));
    let after = fs::metadata(out.join("comparison.json")).unwrap().modified().unwrap();
    assert_eq!(begun, after, "nothing was left to measure");
    let other =
        run_tiny(out, &["--contenders", "giro", "--bulk", "50", "--resume"]).await.unwrap_err();
    assert!(other.contains("another plan"), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_costs_no_more_bare_inserts_than_it_may() {
    if !needs::met(&[Need::Pgbench]) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let contenders = ["--contenders", "giro-function,giro-call,insert"];
    let size = ["--seconds", "2", "--rounds", "3", "--accounts", "10000"];
    let star = ["--delays", "0", "--rows", "10"];
    assert_eq!(run(place.path(), &[&contenders[..], &size, &star].concat()).await, Ok(true));
    let raw = Raw::load(&place.path().join("comparison.json")).unwrap();
    for guard in compare::guards(&raw) {
        println!("{guard}");
        assert!(guard.holds(), "{guard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_measured_on_a_server_that_is_not_durable() {
    if !needs::met(&[Need::Pgbench]) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let refused = run_tiny(place.path(), &["--set", "full_page_writes=off"]).await.unwrap_err();
    assert!(refused.contains("full_page_writes is off"), "{refused}");
    assert!(!place.path().join("comparison.json").exists());
}

#[test]
fn nothing_is_drawn_without_machine_versions_and_durability() {
    let raw = Raw::load(&Path::new(SMALL).join("comparison.json")).unwrap();
    assert_eq!(raw.origin.refusal(), None);
    type Change = fn(&mut Raw);
    let refusal = |change: Change| {
        let mut raw = raw.clone();
        change(&mut raw);
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("comparison.json"), raw.text()).unwrap();
        Drawn::of(place.path(), &place.path().join("comparison.md")).unwrap_err()
    };
    let forgotten: [(&str, Change); 5] = [
        ("cpu_model", |raw| raw.origin.machine.clear()),
        ("kernel", |raw| drop(raw.origin.machine.remove("kernel"))),
        ("postgresql", |raw| raw.origin.versions.clear()),
        ("synchronous_commit", |raw| drop(raw.origin.settings.remove("synchronous_commit"))),
        ("fsync", |raw| drop(raw.origin.settings.insert("fsync".into(), "".into()))),
    ];
    for (name, forget) in forgotten {
        let why = refusal(forget);
        assert!(why.contains(&format!("does not say {name}")), "{why}");
    }
    let off = refusal(|raw| drop(raw.origin.settings.insert("fsync".into(), "off".into())));
    assert!(off.contains("fsync is off"), "{off}");
}

#[test]
fn a_run_is_drawn_with_all_that_it_has() {
    let raw = Raw::load(&Path::new(SMALL).join("comparison.json")).unwrap();
    let drawn = Drawn::of(Path::new(SMALL), &Path::new(SMALL).join("comparison.md")).unwrap();
    let names: Vec<_> = drawn.pictures.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["throughput.svg", "latency.svg", "batch-size.svg", "table-size.svg"]);
    for (name, picture) in &drawn.pictures {
        assert!(picture.starts_with("<svg") && picture.contains("<circle"), "{name}: {picture}");
    }
    let figures = compare::figures(&raw);
    for figure in &figures {
        assert!(drawn.tables.contains(figure.what) && drawn.tables.contains(&figure.measured));
    }
    let unknown = figures.iter().filter(|figure| figure.verdict == Verdict::NotMeasured);
    let unknown: Vec<_> = unknown.map(|figure| figure.what).collect();
    let names_it = |what: &str| unknown.iter().any(|unknown| unknown.contains(what));
    // It had 1 and 16 clients, and no others.
    for what in ["8 connections", "64 connections", "256 connections", "The same"] {
        assert!(names_it(what), "{unknown:?}");
    }
    assert!(!unknown.contains(&"Single transfers over HTTP, 1 connection"), "{unknown:?}");
    assert!(!names_it("INSERT") && !names_it("idle") && !names_it("half"), "{unknown:?}");
    assert!(drawn.tables.contains("| | 5,000 accounts | 20,000 accounts |"), "{}", drawn.tables);
    assert!(drawn.tables.contains("| Giro, bulks of 1,000 | 1 |"), "{}", drawn.tables);
}

#[test]
fn the_repository_shows_what_its_raw_file_says() {
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let drawn = Drawn::of(Path::new(SHOWN), Path::new(DOCUMENT)).unwrap();
    assert!(drawn.tables.contains("| | 10,000 accounts | 1,000,000 accounts |"), "both floors");
    for (name, picture) in &drawn.pictures {
        let shown = fs::read_to_string(Path::new(SHOWN).join(name)).unwrap();
        assert!(shown == *picture, "{name} is another picture: giro-compare draw");
    }
    let same = drawn.document(&document).unwrap() == document;
    assert!(same, "the tables are others: giro-compare draw");
}

#[derive(Parser)]
struct Growing {
    #[command(flatten)]
    arguments: GrowthArguments,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_grows_slice_by_slice_until_it_is_large_enough_or_the_disk_is_full() {
    if !needs::met(&[Need::Pgbench]) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let grow = async |options: &[&str]| {
        let own = ["growth", "--giro", env!("CARGO_BIN_EXE_giro-under-test")];
        let size = ["--accounts", "500", "--slice", "1200ms", "--connections", "2"];
        let cluster = ["--set", "shared_buffers=64MB", "--out", place.path().to_str().unwrap()];
        let line = [&own[..], &size, &cluster, options].concat();
        let enough = compare::growth(Growing::parse_from(line).arguments).await.unwrap();
        let text = fs::read_to_string(place.path().join("growth.json")).unwrap();
        (enough, serde_json::from_str::<serde_json::Value>(&text).unwrap())
    };
    let (enough, grown) = grow(&["--transfers", "1", "--min-free", "1MB"]).await;
    assert!(enough, "{grown}");
    assert_eq!(grown["points"].as_array().unwrap().len(), 1, "{grown}");
    let point = &grown["points"][0];
    let positive =
        ["transfers", "transfers_per_second", "backend_cpu_us", "table_bytes", "index_bytes"];
    for name in positive {
        assert!(point[name].as_f64().unwrap() > 0.0, "{name}: {point}");
    }
    let (enough, grown) = grow(&["--min-free", "1PB"]).await;
    assert!(!enough && grown["points"].as_array().unwrap().is_empty(), "{grown}");
    assert!(grown["stopped"][0].as_str().unwrap().contains("of the disk are free"), "{grown}");
}
