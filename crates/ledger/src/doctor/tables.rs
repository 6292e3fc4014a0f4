//! Whether the tables stay small: autovacuum, HOT updates, dead rows, size.

use super::check::Check;
use super::patient::Patient;
use super::quote::{briefly, quoted_in};
use super::report::{Finding, Severity};
use super::settings::{self, Place, Whose};
use super::wal::bytes;

/// Storage settings that the migrations make; all other tables have none.
const SETTINGS: [(&str, &[&str]); 3] = [
    (
        "account_state",
        &[
            "autovacuum_vacuum_cost_delay=0",
            "autovacuum_vacuum_scale_factor=0.01",
            "autovacuum_vacuum_threshold=1000",
            "fillfactor=50",
        ],
    ),
    ("decisions", &["autovacuum_vacuum_insert_scale_factor=0.02"]),
    (
        "open_holds",
        &[
            "autovacuum_vacuum_cost_delay=0",
            "autovacuum_vacuum_scale_factor=0.01",
            "autovacuum_vacuum_threshold=1000",
        ],
    ),
];

/// Bytes of a row of `account_state` with its header, at most about so many, in half-full pages.
const ROW_BYTES: f64 = 2.0 * 160.0;

const OPTIONS: &str = "
SELECT c.relname::text, coalesce(c.reloptions, '{}')::text[]
  FROM pg_class c WHERE c.relnamespace = to_regnamespace('giro') AND c.relkind = 'r' ORDER BY 1";

/// The counters begin anew with a crash, a promotion and a reset; what the last vacuum or ANALYZE has counted stays.
const STATISTICS: &str = "
SELECT s.relname::text, s.n_tup_upd, s.n_tup_hot_upd, s.n_live_tup, s.n_dead_tup,
       s.last_analyze IS NOT NULL OR s.last_autoanalyze IS NOT NULL,
       coalesce(greatest(s.last_vacuum, s.last_autovacuum)::text, 'never'),
       CASE WHEN s.relname = 'account_state' THEN pg_table_size(s.relid) ELSE 0 END,
       CASE WHEN c.reltuples >= 0 AND greatest(c.reltuples, s.n_live_tup) > 0
            THEN greatest(c.reltuples, s.n_live_tup)::bigint END
  FROM pg_stat_all_tables s JOIN pg_class c ON c.oid = s.relid WHERE s.schemaname = 'giro' ORDER BY 1";

const AUTOVACUUM: &str = "SELECT current_setting('autovacuum')";

/// Tables whose rows come and go, or change.
const HOT: [&str; 2] = ["account_state", "open_holds"];

pub(super) async fn look(patient: &mut Patient<'_>) {
    let off = |evidence: String, sql: String| {
        let finding = Finding::new(Check::AutovacuumOff, Severity::Critical, evidence);
        finding.remedy(NEVER_OFF).sql(sql)
    };
    let on = |name| format!("ALTER SYSTEM SET {name} = 'on'; SELECT pg_reload_conf();");
    for row in patient.ask(&[Check::AutovacuumOff], AUTOVACUUM).await.unwrap_or_default() {
        if row.get::<_, &str>(0) != "on" {
            patient.add(off("autovacuum = off".into(), on("autovacuum")));
        }
    }
    // Each session counts what it changes, if it is set to.
    let counts = [("track_counts", &[Check::AutovacuumOff][..])];
    for set in settings::read(patient, Whose::Servers, &counts).await {
        if set.is_off() {
            let sql = match set.place {
                Place::Server => on("track_counts"),
                _ => set.reset(&patient.about.database),
            };
            patient.add(off(set.to_string(), sql));
        }
    }
    let checks = [Check::AutovacuumOff, Check::TableSettings];
    for row in patient.ask(&checks, OPTIONS).await.unwrap_or_default() {
        options(patient, row.get(0), row.get(1));
    }
    let checks = [Check::HotShare, Check::DeadRows, Check::Bloat, Check::NeverAnalyzed];
    for row in patient.ask(&checks, STATISTICS).await.unwrap_or_default() {
        let table = Table {
            name: row.get(0),
            updates: row.get(1),
            hot_updates: row.get(2),
            live: row.get(3),
            dead: row.get(4),
            analyzed: row.get(5),
            vacuumed: row.get(6),
            bytes: row.get(7),
            rows: row.get(8),
        };
        table.look(patient);
    }
}

const NEVER_OFF: &str = "Turn it on. Without it hot rows slow down within seconds. PostgreSQL then vacuums only \
                         against wraparound: late, and all that has piled up at once.";

fn options(patient: &mut Patient<'_>, table: String, options: Vec<String>) {
    let wanted = SETTINGS.iter().find(|(name, _)| *name == table).map_or(&[][..], |(_, all)| all);
    let (off, mut found): (Vec<_>, Vec<_>) = options.into_iter().partition(|option| {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        name == "autovacuum_enabled" && !matches!(value, "on" | "true" | "1" | "yes")
    });
    let table = quoted_in("giro", &table);
    if !off.is_empty() {
        let evidence = format!("{table} has {}", off.join(", "));
        let finding = Finding::new(Check::AutovacuumOff, Severity::Critical, evidence);
        patient.add(
            finding
                .remedy(NEVER_OFF)
                .sql(format!("ALTER TABLE {table} RESET (autovacuum_enabled);")),
        );
    }
    found.retain(|option| !option.starts_with("autovacuum_enabled="));
    found.sort_unstable();
    if found == wanted {
        return;
    }
    let shown = |all: &[String]| if all.is_empty() { "none".into() } else { all.join(", ") };
    let wanted_text: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let evidence =
        format!("{table} has {}; the migrations make {}", shown(&found), shown(&wanted_text));
    let extra: Vec<_> = found
        .iter()
        .filter_map(|option| option.split('=').next())
        .filter(|name| !wanted.iter().any(|option| option.split('=').next() == Some(name)))
        .collect();
    let mut sql = Vec::new();
    if !wanted.is_empty() {
        sql.push(format!("ALTER TABLE {table} SET ({});", wanted.join(", ")));
    }
    if !extra.is_empty() {
        let reset = format!("ALTER TABLE {table} RESET ({});", extra.join(", "));
        // Of all settings of a table, only this one locks everybody out.
        let locks = extra.contains(&"user_catalog_table");
        sql.push(if locks { briefly(&reset) } else { reset });
    }
    let finding = Finding::new(Check::TableSettings, Severity::Warning, evidence).remedy(
        "They keep updates on their page, and autovacuum ahead of them. If it was done on purpose, compare \
         hot_share and dead_rows before and after. A fillfactor counts for pages that are written from now on.",
    );
    patient.add(finding.sql(sql.join("\n")));
}

struct Table {
    name: String,
    updates: i64,
    hot_updates: i64,
    live: i64,
    dead: i64,
    analyzed: bool,
    vacuumed: String,
    bytes: i64,
    /// Nothing where they have never been counted.
    rows: Option<i64>,
}

impl Table {
    fn look(&self, patient: &mut Patient<'_>) {
        let name = &quoted_in("giro", &self.name);
        if !self.analyzed && self.live >= patient.limits.unanalyzed_rows {
            let evidence = format!("{name} has about {} rows and no statistics", self.live);
            let finding = Finding::new(Check::NeverAnalyzed, Severity::Warning, evidence);
            let remedy = "The planner takes it for almost empty, and may choose the wrong index. After a \
                          restore or an upgrade, analyze by hand: it locks nobody out.";
            patient.add(finding.remedy(remedy).sql(format!("ANALYZE {name};")));
        }
        if !HOT.contains(&self.name.as_str()) {
            return;
        }
        self.dead_rows(patient);
        if self.name == "account_state" {
            self.hot_share(patient);
            self.bloat(patient);
        }
    }

    fn hot_share(&self, patient: &mut Patient<'_>) {
        let share = self.hot_updates as f64 / self.updates.max(1) as f64;
        let limits = patient.limits;
        if self.updates < limits.hot_updates || share >= limits.hot_share {
            return;
        }
        let critical = share < limits.hot_share_critical;
        let severity = if critical { Severity::Critical } else { Severity::Warning };
        let evidence = format!(
            "{:.1} % of {} updates of giro.account_state stayed on their page (HOT)",
            share * 100.0,
            self.updates
        );
        let finding = Finding::new(Check::HotShare, severity, evidence).remedy(
            "Each other one writes every index, and leaves a row that only a vacuum removes. The cause is \
             an index on a balance (index_extra), full pages (table_settings), or a transaction that keeps \
             dead rows (old_snapshot). Since the counters began: reset them to see whether it is over, and \
             analyze, since autovacuum goes by them as well.",
        );
        patient.add(finding.sql(
            "SELECT pg_stat_reset_single_table_counters('giro.account_state'::regclass);\n\
             ANALYZE giro.account_state;",
        ));
    }

    fn dead_rows(&self, patient: &mut Patient<'_>) {
        // As the migrations set it.
        let rows = self.rows.unwrap_or(self.live);
        let begin = 1000.0 + 0.01 * rows as f64;
        if (self.dead as f64) < patient.limits.dead_times * begin {
            return;
        }
        let evidence = format!(
            "giro.{} has {} dead rows beside {rows} live ones; autovacuum is to begin at {begin:.0}, and \
             last came: {}",
            self.name, self.dead, self.vacuumed
        );
        let finding = Finding::new(Check::DeadRows, Severity::Warning, evidence).remedy(
            "Either nothing may be removed yet (old_snapshot, idle_in_transaction, prepared_transaction, \
             replica_holds_xmin), or autovacuum does not come (autovacuum_off, or all its workers are busy). \
             A vacuum by hand is safe, and says how many rows cannot be removed yet.",
        );
        patient.add(finding.sql(format!("VACUUM (VERBOSE) giro.{};", self.name)));
    }

    fn bloat(&self, patient: &mut Patient<'_>) {
        let limits = patient.limits;
        if self.bytes < limits.bloat_bytes {
            return;
        }
        let Some(rows) = self.rows else {
            let because =
                "how many rows giro.account_state has is not known: it was never analyzed";
            let analyze = "ANALYZE giro.account_state;".to_owned();
            return patient.skip(&[Check::Bloat], because, Some(analyze));
        };
        let needed = rows as f64 * ROW_BYTES;
        if (self.bytes as f64) < needed * limits.bloat_times {
            return;
        }
        let evidence = format!(
            "giro.account_state has {} for {rows} rows, which need about {}",
            bytes(self.bytes),
            bytes(needed as i64)
        );
        let finding = Finding::new(Check::Bloat, Severity::Warning, evidence).remedy(
            "What made it large is over or is another finding. The room is used again; to give it back, \
             stop the servers and rewrite the table, or use pg_repack while they run.",
        );
        let vacuum = briefly("VACUUM (FULL, ANALYZE) giro.account_state;");
        patient.add(
            finding.sql(format!(
                "-- With the servers stopped, since it locks everybody out:\n{vacuum}"
            )),
        );
    }
}
