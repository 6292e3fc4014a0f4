//! docs/reliability.md accounts for every fault, by tests that there are.

use std::path::Path;

const IT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/it");
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reliability.md");
const FAULTS: usize = 48;

#[test]
fn every_fault_has_a_row_and_every_test_that_a_row_names_exists() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let rows: Vec<Vec<&str>> = document
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let numbers: Vec<usize> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(numbers, (1..=FAULTS).collect::<Vec<_>>());
    let mut named = 0;
    for row in &rows {
        assert!(row.len() == 4 && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        for name in row[3].split('`').skip(1).step_by(2) {
            if let Some((file, test)) = name.split_once("::") {
                let source = Path::new(IT).join(format!("{file}.rs"));
                let source = std::fs::read_to_string(&source)
                    .unwrap_or_else(|error| panic!("{}: {error}", source.display()));
                assert!(source.contains(&format!("fn {test}(")), "fault {}: {name}", row[0]);
                named += 1;
            }
        }
    }
    assert!(named > 30, "{named} tests");
}
