//! What the compiler does not forbid by itself: which crate may know what.

use std::collections::BTreeSet;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn dependencies(package: &str) -> BTreeSet<String> {
    let manifest = Path::new(ROOT).join(package).join("Cargo.toml");
    let manifest: toml::Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
    let names = |table: &str| manifest.get(table).and_then(|t| t.as_table()).cloned();
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    tables.iter().filter_map(|table| names(table)).flatten().map(|(name, _)| name).collect()
}

#[test]
fn each_crate_knows_only_what_it_may() {
    let http = ["axum", "hyper", "hyper-util", "tower", "tower-http", "http-body-util"];
    let sql = ["tokio-postgres", "bb8", "refinery"];
    for (package, forbidden) in [
        ("crates/batcher", [&http[..], &sql[..]].concat()),
        ("crates/ledger", http.to_vec()),
        ("crates/embedded", [&http[..], &sql[..]].concat()),
        ("crates/bench", vec!["axum"]),
        ("crates/checker", http.to_vec()),
        ("crates/proxy", http.to_vec()),
        ("crates/client", [&["axum", "tower", "tower-http"][..], &sql[..]].concat()),
        ("tests", vec!["axum"]),
    ] {
        let found = dependencies(package);
        for name in forbidden {
            assert!(!found.contains(name), "{package} must not know {name}");
        }
    }
    let ours = |package: &str| -> Vec<String> {
        dependencies(package).into_iter().filter(|name| name.starts_with("giro-")).collect()
    };
    for leaf in ["batcher", "ledger", "embedded", "bench", "checker", "client", "proxy"] {
        assert_eq!(ours(&format!("crates/{leaf}")), [] as [&str; 0], "{leaf} stands alone");
    }
    assert_eq!(
        ours("crates/server"),
        ["giro-batcher", "giro-bench", "giro-embedded", "giro-ledger"]
    );
}
