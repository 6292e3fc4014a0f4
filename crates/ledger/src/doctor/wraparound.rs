//! Numbers that run out: of transactions, of shared row locks, of batches.

use super::check::Check;
use super::patient::Patient;
use super::quote::quoted_in;
use super::report::{Finding, Severity};

const DATABASES: &str = "
SELECT datname::text, age(datfrozenxid)::bigint, mxid_age(datminmxid)::bigint,
       datname = current_database()
  FROM pg_database WHERE datfrozenxid <> '0' ORDER BY 2 DESC LIMIT 50";

const TABLES: &str = "
SELECT n.nspname::text, c.relname::text, age(c.relfrozenxid)::bigint, mxid_age(c.relminmxid)::bigint
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm', 't') AND c.relfrozenxid <> '0'
 ORDER BY greatest(age(c.relfrozenxid), mxid_age(c.relminmxid)) DESC LIMIT 1";

/// A bound that the servers' role may see as well.
const NUMBERS: &str = "SELECT giro.settled_seq() >> 16";
/// As the migration makes the sequence, so that a seq fits its type.
const NUMBERS_MAX: i64 = (1 << 47) - 1;

pub(super) async fn look(patient: &mut Patient<'_>) {
    let checks = [Check::XidAge, Check::MultixactAge];
    let databases = patient.ask(&checks, DATABASES).await.unwrap_or_default();
    let table = patient.ask(&checks, TABLES).await.unwrap_or_default();
    let table = table.first().map(|row| quoted_in(row.get(0), row.get(1)));
    for (check, column, what) in
        [(Check::XidAge, 1, "transaction"), (Check::MultixactAge, 2, "multixact")]
    {
        let oldest = databases.iter().max_by_key(|row| row.get::<_, i64>(column));
        let Some(row) = oldest else { continue };
        let (database, age, own): (String, i64, bool) = (row.get(0), row.get(column), row.get(3));
        let severity = match age {
            high if high >= patient.limits.xid_age_critical => Severity::Critical,
            high if high >= patient.limits.xid_age => Severity::Warning,
            _ => continue,
        };
        let table = table.as_deref().filter(|_| own);
        let place = table.map_or_else(String::new, |table| format!(", above all {table}"));
        let evidence = format!(
            "{age} {what} ids since the oldest in {database}{place}; PostgreSQL stops at about 2,147 million"
        );
        let finding = Finding::new(check, severity, evidence).remedy(
            "Autovacuum freezes tables, unless something old stops it: old_snapshot, prepared_transaction, \
             replica_holds_xmin, autovacuum_off. End that first, then vacuum the oldest tables by hand, in \
             that database.",
        );
        let vacuum = match table {
            Some(table) => format!("VACUUM (FREEZE, VERBOSE) {table};"),
            None => "-- In that other database:\nVACUUM (FREEZE);".into(),
        };
        patient.add(finding.sql(vacuum));
    }
    if !patient.about.has_schema {
        return; // said already
    }
    for row in patient.ask(&[Check::SequenceUsed], NUMBERS).await.unwrap_or_default() {
        let used: i64 = row.get(0);
        let (limits, share) = (patient.limits, used as f64 / NUMBERS_MAX as f64);
        let severity = match share {
            high if high >= limits.sequence_share_critical => Severity::Critical,
            high if high >= limits.sequence_share => Severity::Warning,
            _ => continue,
        };
        let evidence = format!("{used} of {NUMBERS_MAX} batches, {:.1} %", share * 100.0);
        let finding = Finding::new(Check::SequenceUsed, severity, evidence).remedy(
            "At 1,000 batches a second they last for 4,400 years, so somebody has set the sequence: find out \
             who. When they are used up no batch can be written. It cannot be set back: what was written has \
             the high numbers.",
        );
        patient.add(finding.sql("SELECT last_value, is_called FROM giro.batch_id;"));
    }
}
