//! Whether what is acknowledged survives a crash, here and on a standby.

use super::check::Check;
use super::patient::Patient;
use super::report::{Finding, Severity};
use super::settings::{self, Place, Whose};

/// The settings of this session, which has none of Giro's, and where they come from.
const SETTINGS: &str = "
SELECT name, setting, source FROM pg_settings
 WHERE name IN ('fsync', 'full_page_writes', 'data_sync_retry', 'synchronous_standby_names')";

const STANDBYS: &str = "
SELECT count(*) FILTER (WHERE sync_state IN ('sync', 'quorum') AND state = 'streaming'), count(*),
       coalesce(string_agg(application_name || ' ' || state || ' ' || sync_state, ', '), 'none')
  FROM pg_stat_replication";

const CHECKSUMS: &str = "
SELECT datname::text, checksum_failures, checksum_last_failure::text FROM pg_stat_database
 WHERE checksum_failures > 0 AND datname IS NOT NULL LIMIT 20";

pub(super) async fn look(patient: &mut Patient<'_>) {
    let checks =
        [Check::FsyncOff, Check::FullPageWritesOff, Check::DataSyncRetryOn, Check::StandbyAbsent];
    let mut standby_names = String::new();
    for row in patient.ask(&checks, SETTINGS).await.unwrap_or_default() {
        let (name, value, source): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let (check, wrong, otherwise) = match name.as_str() {
            "fsync" => (Check::FsyncOff, "off", "on"),
            "full_page_writes" => (Check::FullPageWritesOff, "off", "on"),
            "data_sync_retry" => (Check::DataSyncRetryOn, "on", "off"),
            _ => {
                standby_names = value;
                continue;
            }
        };
        if value == wrong {
            let evidence = format!("{name} = {value}, from {source}");
            let finding = Finding::new(check, Severity::Critical, evidence);
            patient.add(settings_remedy(finding, &name, otherwise));
        }
    }
    synchronous_commit(patient, &standby_names).await;
    if !standby_names.is_empty() {
        standbys(patient, &standby_names).await;
    }
    for row in patient.ask(&[Check::ChecksumFailures], CHECKSUMS).await.unwrap_or_default() {
        let (database, count, last): (String, i64, Option<String>) =
            (row.get(0), row.get(1), row.get(2));
        let evidence =
            format!("{count} in {database}, the last at {}", last.as_deref().unwrap_or("?"));
        let finding = Finding::new(Check::ChecksumFailures, Severity::Critical, evidence).remedy(
            "The disk, or what is between, gives back other bytes than were written. Fail over to a \
             standby, or restore a backup on other hardware, and let `giro verify` look at it.",
        );
        patient.add(finding.sql(
            "SELECT datname, checksum_failures, checksum_last_failure FROM pg_stat_database \
             WHERE checksum_failures > 0;",
        ));
    }
}

fn settings_remedy(finding: Finding, name: &str, value: &str) -> Finding {
    let sql = format!("ALTER SYSTEM SET {name} = '{value}'; SELECT pg_reload_conf();");
    let restart = match name {
        "fsync" => {
            return finding
                .remedy(
                    "Set it to on; a value on PostgreSQL's command line goes before it. Then flush what the \
                     kernel still holds of what was written without it: `sync` on the host, or `initdb \
                     --sync-only` while PostgreSQL is down. Until then a crash of the machine corrupts as \
                     before. Then let `giro verify` look.",
                )
                .sql(format!(
                    "{sql}\n-- Not SQL, on PostgreSQL's host, once it is on: sync"
                ));
        }
        "data_sync_retry" => "; it takes a restart of PostgreSQL",
        _ => "; a value on PostgreSQL's command line goes before it",
    };
    finding.remedy(format!("Set it to {value}{restart}.")).sql(sql)
}

async fn synchronous_commit(patient: &mut Patient<'_>, standby_names: &str) {
    let checks = match standby_names {
        "" => &[Check::SynchronousCommitOff][..],
        _ => &[Check::SynchronousCommitOff, Check::StandbyNotAwaited],
    };
    for set in settings::read(patient, Whose::Servers, &[("synchronous_commit", checks)]).await {
        let (check, severity) = match set.value.as_str() {
            _ if set.is_off() => (Check::SynchronousCommitOff, Severity::Critical),
            "local" if !standby_names.is_empty() => (Check::StandbyNotAwaited, Severity::Warning),
            _ => continue,
        };
        let sql = match set.place {
            Place::Server => {
                "ALTER SYSTEM SET synchronous_commit = 'on'; SELECT pg_reload_conf();".into()
            }
            _ => set.reset(&patient.about.database),
        };
        let remedy =
            "Take it back, then restart the servers: their sessions have it until they end.";
        patient.add(Finding::new(check, severity, set.to_string()).remedy(remedy).sql(sql));
    }
}

async fn standbys(patient: &mut Patient<'_>, names: &str) {
    if !patient.about.sees_sessions {
        patient.skip_other_sessions(&[Check::StandbyAbsent]);
        return;
    }
    let needed = standbys_needed(names);
    for row in patient.ask(&[Check::StandbyAbsent], STANDBYS).await.unwrap_or_default() {
        let (awaited, all, list): (i64, i64, String) = (row.get(0), row.get(1), row.get(2));
        if awaited >= needed {
            continue;
        }
        let evidence = format!(
            "synchronous_standby_names = {names} needs {needed}, {awaited} follow(s); of {all} in all: {list}"
        );
        let finding = Finding::new(Check::StandbyAbsent, Severity::Critical, evidence).remedy(
            "Bring the standby back: everything that waits then commits. Or go on without it, and know that \
             what is applied from then on may be lost with the primary. Never cancel or terminate the \
             sessions that wait.",
        );
        patient.add(finding.sql(
            "-- Only to go on without:\n\
             ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();",
        ));
    }
}

/// How many standbys a commit waits for: `FIRST 2 (a, b)`, `ANY 1 (a, b)`, `2 (a, b)`, or a list of
/// which one is enough.
fn standbys_needed(names: &str) -> i64 {
    let Some((head, _)) = names.split_once('(') else { return 1 };
    head.split_whitespace().next_back().and_then(|count| count.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standbys_that_are_needed_are_counted() {
        for (names, needed) in [
            ("a", 1),
            ("a, b", 1),
            ("*", 1),
            ("2 (a, b)", 2),
            ("FIRST 2 (a, b, c)", 2),
            ("any 3(a,b,c)", 3),
        ] {
            assert_eq!(standbys_needed(names), needed, "{names}");
        }
    }
}
