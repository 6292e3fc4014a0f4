//! Which of the faults that are put in on purpose this process has. Only tests have this module.

/// Breaks this process as the mutant of this name does; says whether there is one.
pub fn choose(name: &str) -> bool {
    if let Some(mutant) = giro_batcher::mutant::Mutant::from_name(name) {
        mutant.choose();
    } else if let Some(mutant) = giro_ledger::mutant::Mutant::from_name(name) {
        mutant.choose();
    } else {
        return false;
    }
    true
}
