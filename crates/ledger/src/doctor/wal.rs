//! What fills the disk: WAL that somebody keeps.

use super::check::Check;
use super::patient::Patient;
use super::quote::literal;
use super::report::{Finding, Severity};
use super::sessions::span;

/// On a standby, what it has received counts.
const SLOTS: &str = "
SELECT slot_name::text, slot_type, active, coalesce(wal_status, '?'),
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()
                            ELSE pg_current_wal_lsn() END, restart_lsn)::bigint,
       greatest(age(xmin), 0), greatest(age(catalog_xmin), 0)
  FROM pg_replication_slots WHERE NOT temporary ORDER BY restart_lsn LIMIT 100";

const FOLLOWERS: &str = "
SELECT coalesce(application_name, '?'), age(backend_xmin) FROM pg_stat_replication
 WHERE age(backend_xmin) >= $1 LIMIT 100";

const ARCHIVER: &str = "
SELECT current_setting('archive_mode'), failed_count, last_failed_wal,
       extract(epoch FROM clock_timestamp() - last_archived_time)::float8,
       last_failed_time > coalesce(last_archived_time, '-infinity')
  FROM pg_stat_archiver";

const WAL: &str = "
SELECT sum(size)::bigint, count(*),
       (SELECT setting::bigint * 1048576 FROM pg_settings WHERE name = 'max_wal_size'),
       (SELECT setting::bigint * 1048576 FROM pg_settings WHERE name = 'wal_keep_size')
  FROM pg_ls_waldir()";

/// From PostgreSQL 17 on they are in a view of their own.
const CHECKPOINTS_17: &str = "
SELECT num_timed, num_requested, coalesce(stats_reset::text, 'the beginning'),
       current_setting('max_wal_size'),
       (SELECT 2 * setting::bigint FROM pg_settings WHERE name = 'max_wal_size')
  FROM pg_stat_checkpointer";
const CHECKPOINTS_16: &str = "
SELECT checkpoints_timed, checkpoints_req, coalesce(stats_reset::text, 'the beginning'),
       current_setting('max_wal_size'),
       (SELECT 2 * setting::bigint FROM pg_settings WHERE name = 'max_wal_size')
  FROM pg_stat_bgwriter";

pub(super) async fn look(patient: &mut Patient<'_>) {
    slots(patient).await;
    followers(patient).await;
    archiver(patient).await;
    size(patient).await;
    checkpoints(patient).await;
    let level = "SELECT current_setting('wal_level')";
    let rows = patient.ask(&[Check::WalLevelMinimal], level).await.unwrap_or_default();
    if rows.first().is_some_and(|row| row.get::<_, &str>(0) == "minimal") {
        let finding =
            Finding::new(Check::WalLevelMinimal, Severity::Warning, "wal_level = minimal").remedy(
                "With it, a lost disk loses everything since the last dump. Set it, restart PostgreSQL, and \
                 have a standby or an archive.",
            );
        patient
            .add(finding.sql("ALTER SYSTEM SET wal_level = 'replica'; -- then restart PostgreSQL"));
    }
}

async fn slots(patient: &mut Patient<'_>) {
    let checks = [Check::ReplicationSlot, Check::ReplicaHoldsXmin];
    for row in patient.ask(&checks, SLOTS).await.unwrap_or_default() {
        let (name, kind, active): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        let (status, kept): (String, Option<i64>) = (row.get(3), row.get(4));
        let (xmin, catalog_xmin): (Option<i32>, Option<i32>) = (row.get(5), row.get(6));
        let drop = format!(
            "-- Only if nobody needs it:\nSELECT pg_drop_replication_slot({});",
            literal(&name)
        );
        let kept = kept.unwrap_or_default();
        let limits = patient.limits;
        let severity = match kept {
            much if much >= limits.slot_wal_critical => Some(Severity::Critical),
            much if much >= limits.slot_wal || !active => Some(Severity::Warning),
            _ => None,
        };
        if let Some(severity) = severity {
            let state = if active { "active" } else { "used by nobody" };
            let evidence =
                format!("{name} ({kind}) is {state} and keeps {}, {status}", bytes(kept));
            let finding = Finding::new(Check::ReplicationSlot, severity, evidence).remedy(
                "What it keeps grows until the disk is full, and then nothing commits. Bring its standby \
                 or subscriber back, or drop the slot: a standby without it may have to be rebuilt.",
            );
            patient.add(finding.sql(format!(
                "{drop}\n-- A bound for all slots: ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; \
                 SELECT pg_reload_conf();"
            )));
        }
        let xids = i64::from(xmin.unwrap_or_default().max(catalog_xmin.unwrap_or_default()));
        if xids >= limits.xmin_age.max(1) {
            let evidence = format!("slot {name} holds back {xids} transaction ids");
            patient.add(replica_holds(evidence).sql(drop));
        }
    }
}

async fn followers(patient: &mut Patient<'_>) {
    let check = [Check::ReplicaHoldsXmin];
    let age = i32::try_from(patient.limits.xmin_age).unwrap_or(i32::MAX).max(1);
    let parameters = [(&age as _, tokio_postgres::types::Type::INT4)];
    for row in patient.ask_with(&check, FOLLOWERS, &parameters).await.unwrap_or_default() {
        let (name, xids): (String, i32) = (row.get(0), row.get(1));
        patient.add(replica_holds(format!("standby {name} holds back {xids} transaction ids")));
    }
    patient.skip_other_sessions(&check);
}

fn replica_holds(evidence: String) -> Finding {
    Finding::new(Check::ReplicaHoldsXmin, Severity::Warning, evidence).remedy(
        "With hot_standby_feedback, an old transaction on the standby stops the cleaning here. End it there, \
         or turn the feedback off there and let max_standby_streaming_delay decide; a slot that nobody uses \
         is to be dropped.",
    )
}

async fn archiver(patient: &mut Patient<'_>) {
    for row in patient.ask(&[Check::ArchiveFails], ARCHIVER).await.unwrap_or_default() {
        let (mode, failed, last): (String, i64, Option<String>) =
            (row.get(0), row.get(1), row.get(2));
        let (since, failing): (Option<f64>, Option<bool>) = (row.get(3), row.get(4));
        if mode == "off" || failing != Some(true) {
            continue;
        }
        let silent =
            since.is_none_or(|since| since >= patient.limits.archive_silence.as_secs_f64());
        let severity = if silent { Severity::Critical } else { Severity::Warning };
        let evidence = format!(
            "archiving {} fails, {failed} failures so far; the last success was {}",
            last.as_deref().unwrap_or("?"),
            since.map_or_else(|| "never".into(), |since| format!("{} ago", span(since))),
        );
        patient.add(
            Finding::new(Check::ArchiveFails, severity, evidence)
                .remedy(
                    "PostgreSQL's log has the words of archive_command. Until it succeeds all WAL stays on \
                     this disk, and no backup reaches further than the last success.",
                )
                .sql("SELECT * FROM pg_stat_archiver; SHOW archive_command; SHOW archive_library;"),
        );
    }
}

async fn size(patient: &mut Patient<'_>) {
    for row in patient.ask(&[Check::WalKept], WAL).await.unwrap_or_default() {
        let (kept, files): (Option<i64>, i64) = (row.get(0), row.get(1));
        let (max, keep): (Option<i64>, Option<i64>) = (row.get(2), row.get(3));
        let (kept, max, keep) =
            (kept.unwrap_or_default(), max.unwrap_or_default(), keep.unwrap_or_default());
        if kept as f64 <= max as f64 * patient.limits.wal_kept_times + keep as f64 {
            continue;
        }
        let evidence = format!(
            "{} in {files} files, with max_wal_size = {} and wal_keep_size = {}",
            bytes(kept),
            bytes(max),
            bytes(keep)
        );
        patient.add(
            Finding::new(Check::WalKept, Severity::Warning, evidence)
                .remedy(
                    "A slot, an archive that fails, or a standby that is far behind keeps it: see those \
                     findings. When that disk is full, PostgreSQL stops and cannot start again.",
                )
                .sql(
                    "SELECT slot_name, active, restart_lsn, wal_status FROM pg_replication_slots;\n\
                     SELECT * FROM pg_stat_archiver;",
                ),
        );
    }
}

async fn checkpoints(patient: &mut Patient<'_>) {
    let sql = if patient.about.version >= 170_000 { CHECKPOINTS_17 } else { CHECKPOINTS_16 };
    for row in patient.ask(&[Check::CheckpointsForced], sql).await.unwrap_or_default() {
        let (timed, forced): (i64, i64) = (row.get(0), row.get(1));
        let (since, max): (String, String) = (row.get(2), row.get(3));
        if forced >= patient.limits.checkpoints && forced > timed {
            let evidence =
                format!("{forced} of {} since {since}, with max_wal_size = {max}", forced + timed);
            let finding = Finding::new(Check::CheckpointsForced, Severity::Warning, evidence).remedy(
                "After each, the first change of every page is written as a whole: more WAL, slower \
                 batches. Let it have more, until checkpoint_timeout comes first, if the disk has room. \
                 CHECKPOINT by hand and backups count as well.",
            );
            let twice: i64 = row.get(4);
            patient.add(finding.sql(format!(
                "ALTER SYSTEM SET max_wal_size = '{twice}MB'; SELECT pg_reload_conf();\n\
                 -- To count anew, up to PostgreSQL 16: SELECT pg_stat_reset_shared('bgwriter'); \
                 from 17: SELECT pg_stat_reset_shared('checkpointer');"
            )));
        }
    }
}

/// A size for people.
pub(super) fn bytes(count: i64) -> String {
    let mut size = count as f64;
    for unit in ["B", "kB", "MB"] {
        if size.abs() < 1024.0 {
            return format!("{size:.0} {unit}");
        }
        size /= 1024.0;
    }
    format!("{size:.1} GB")
}
