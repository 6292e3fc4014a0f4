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

/// Every file below a directory.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn only_the_tests_have_mutants() {
    let is_manifest = |path: &std::path::PathBuf| path.ends_with("Cargo.toml");
    for manifest in files(&Path::new(ROOT).join("crates")).iter().filter(|path| is_manifest(path)) {
        let text = std::fs::read_to_string(manifest).unwrap();
        // Declared, or passed on by the feature of the same name; nobody has it by default.
        let mut lines = text.lines().filter(|line| line.contains("mutants"));
        assert!(lines.all(|line| line.starts_with("mutants = [")), "{}", manifest.display());
        assert!(!text.contains("default ="), "{}", manifest.display());
    }
    let tests = std::fs::read_to_string(Path::new(ROOT).join("tests/Cargo.toml")).unwrap();
    let enabled = tests.matches(r#"features = ["mutants"]"#).count();
    assert_eq!(enabled, 2, "of the ledger and of the server");
    for source in files(&Path::new(ROOT).join("crates")) {
        let Ok(text) = std::fs::read_to_string(&source) else { continue };
        assert!(!text.contains("GIRO_MUTANT"), "{} reads it", source.display());
        let chooses = text.contains("mutants::choose") || text.contains("mutant.choose()");
        assert!(!chooses || source.ends_with("src/mutants.rs"), "{}", source.display());
    }
    let main = std::fs::read_to_string(Path::new(ROOT).join("crates/server/src/main.rs")).unwrap();
    assert!(!main.contains("mutant"), "{main}");
}
