//! Who holds which lock, and who waits for it.

use super::check::Check;
use super::patient::Patient;
use super::report::{Finding, Severity};
use super::sessions::{COLUMNS, COLUMNS_COUNT, IS_GIRO, SessionSeen, TRANSACTION_SECONDS, span};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::sleep;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

/// Everybody who waits in this database, and everybody for whom they wait. Who waits for a row waits for
/// the transaction that has changed it, and holds or wants the lock of the row meanwhile.
///
/// To ask for whom one of them waits stops all of the lock manager for a moment: only the 100 who have waited
/// longest are asked about.
fn waits_sql() -> String {
    format!(
        "WITH RECURSIVE waiting AS MATERIALIZED (
             SELECT l.pid, pg_blocking_pids(l.pid) AS blockers, l.locktype, l.mode, l.relation,
                    extract(epoch FROM clock_timestamp() - l.waitstart)::float8 AS seconds
               FROM (SELECT * FROM pg_locks WHERE NOT granted ORDER BY waitstart LIMIT 100) AS l
         ), tree (pid) AS (
             SELECT w.pid FROM waiting w JOIN pg_stat_activity a USING (pid)
              WHERE a.datname = current_database()
             UNION
             SELECT unnest(w.blockers) FROM tree t JOIN waiting w USING (pid)
         )
         SELECT {COLUMNS}, t.pid, coalesce(w.blockers, '{{}}'), w.seconds, w.locktype,
                coalesce(r.relation, w.relation)::regclass::text,
                '(' || r.page || ',' || r.tuple || ')'
           FROM tree t
           LEFT JOIN waiting w USING (pid)
           LEFT JOIN pg_stat_activity a USING (pid)
           LEFT JOIN LATERAL (SELECT l.relation, l.page, l.tuple FROM pg_locks l
                               WHERE l.pid = w.pid AND l.locktype = 'tuple' LIMIT 1) AS r ON true"
    )
}

/// Locks that stand in a batch's way: a row of a table is locked under the second of these modes. From
/// SHARE on, all batches wait.
fn held_sql() -> String {
    format!(
        "SELECT {COLUMNS}, h.modes, h.relations, h.all_wait, h.transaction
           FROM (SELECT l.pid, min(l.virtualtransaction) AS transaction, string_agg(DISTINCT l.mode, ', ') AS modes,
                        string_agg(DISTINCT c.relname::text, ', ') AS relations,
                        bool_or(l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                                           'AccessExclusiveLock')) AS all_wait
                   FROM pg_locks l
                   JOIN pg_class c ON c.oid = l.relation AND c.relkind = 'r'
                   JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'giro'
                   JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
                  WHERE l.granted AND l.mode NOT IN ('AccessShareLock', 'ShareUpdateExclusiveLock')
                  GROUP BY l.pid) AS h
           JOIN pg_stat_activity a USING (pid)
          WHERE NOT {IS_GIRO} AND coalesce(a.backend_type, '') <> 'autovacuum worker'
            AND (a.xact_start IS NULL OR clock_timestamp() - a.xact_start >= $1 * interval '1 s')
          ORDER BY a.xact_start LIMIT 50"
    )
}

pub(super) async fn look(patient: &mut Patient<'_>) {
    let mut roots = BTreeSet::new();
    if let Some(rows) = patient.ask(&[Check::Blocking], &waits_sql()).await {
        let mut waits = Waits::default();
        let places: Vec<_> = rows.iter().filter_map(|row| waits.take(row).ok().flatten()).collect();
        name_accounts(patient, &mut waits, &places).await;
        for root in waits.roots() {
            patient.spared.extend(waits.spared(root));
            // Whoever waits has perhaps just begun to, after a batch gave up; the holder has not.
            if let Some(finding) = waits.finding(root, patient) {
                roots.insert(root);
                patient.findings.push(finding);
            }
        }
        patient.skip_other_sessions(&[Check::Blocking]);
    }
    for row in held(patient).await {
        let Ok(session) = SessionSeen::read(&row) else { continue };
        if !roots.contains(&session.pid) {
            patient.add(held_finding(session, &row, &patient.spared));
        }
    }
    patient.skip_other_sessions(&[Check::LockHeld]);
}

/// The holders of locks that have held them for long. Of other roles' sessions an ordinary role does not
/// see since when they are in their transaction: it looks twice whether it is the same one.
async fn held(patient: &mut Patient<'_>) -> Vec<Row> {
    let long = patient.limits.other_wait;
    let seconds = long.as_secs_f64();
    let parameters = [(&seconds as _, Type::FLOAT8)];
    let checks = [Check::LockHeld];
    let first = patient.ask_with(&checks, &held_sql(), &parameters).await.unwrap_or_default();
    if first.iter().all(|row| row.get::<_, Option<f64>>(TRANSACTION_SECONDS).is_some()) {
        return first;
    }
    sleep(long).await;
    let second = patient.ask_with(&checks, &held_sql(), &parameters).await.unwrap_or_default();
    let transaction =
        |row: &Row| (row.get::<_, Option<i32>>(0), row.get::<_, Option<String>>(COLUMNS_COUNT + 3));
    let same = |row: &Row| first.iter().any(|earlier| transaction(earlier) == transaction(row));
    second.into_iter().filter(same).collect()
}

fn held_finding(session: SessionSeen, row: &Row, spared: &BTreeSet<i32>) -> Finding {
    let (modes, relations): (String, String) = (row.get(COLUMNS_COUNT), row.get(COLUMNS_COUNT + 1));
    let all_wait: bool = row.get(COLUMNS_COUNT + 2);
    let severity = if all_wait { Severity::Critical } else { Severity::Warning };
    let who = if all_wait { "every batch" } else { "whoever needs the same rows" };
    let evidence = format!("{} holds {modes} on {relations}: {who} will wait", session.who());
    let remedy = match &session.work {
        Some(work) => &format!("It is {work}: let it end, or cancel it."),
        None => {
            "Find out whose it is, and have the transaction ended; else end the session, which rolls it \
             back. Never take locks in Giro's tables by hand: read from the views."
        }
    };
    let finding = Finding::new(Check::LockHeld, severity, evidence);
    finding.ends(&session, remedy, spared).sessions(vec![session])
}

/// Says which accounts the rows are, where the role may read them.
async fn name_accounts(patient: &mut Patient<'_>, waits: &mut Waits, places: &[String]) {
    if places.is_empty() || !patient.about.reads_tables {
        return;
    }
    // Only digits, commas and parentheses: PostgreSQL made them.
    let list: Vec<_> = places.iter().map(|place| format!("\"{place}\"")).collect();
    let sql = format!(
        "SELECT ctid::text, ledger, id::text FROM giro.account_state
          WHERE ctid = ANY ('{{{}}}'::tid[]) LIMIT 100",
        list.join(",")
    );
    // Whatever goes wrong here, the tree is known.
    let before = patient.not_looked_at.len();
    let rows = patient.ask(&[Check::Blocking], &sql).await.unwrap_or_default();
    patient.not_looked_at.truncate(before);
    for row in rows {
        let (place, ledger, id): (String, i32, String) = (row.get(0), row.get(1), row.get(2));
        waits.name(&place, &format!("account {id} of ledger {ledger}"));
    }
}

/// Who waits for whom.
#[derive(Default)]
struct Waits {
    sessions: BTreeMap<i32, SessionSeen>,
}

impl Waits {
    /// Gives the place of the row of `account_state` that it waits for.
    fn take(&mut self, row: &Row) -> Result<Option<String>, Error> {
        let mut session = SessionSeen::read(row)?;
        session.pid = row.try_get(COLUMNS_COUNT)?;
        session.blocked_by = row.try_get(COLUMNS_COUNT + 1)?;
        session.blocked_by.sort_unstable();
        session.blocked_by.dedup();
        session.waits_seconds = row.try_get(COLUMNS_COUNT + 2)?;
        let kind: Option<String> = row.try_get(COLUMNS_COUNT + 3)?;
        let relation: Option<String> = row.try_get(COLUMNS_COUNT + 4)?;
        let place: Option<String> = row.try_get(COLUMNS_COUNT + 5)?;
        let of_account = relation.as_deref() == Some("giro.account_state");
        session.waits_for = kind.map(|kind| match (&relation, &place) {
            (Some(relation), Some(place)) => format!("row {place} of {relation}"),
            (Some(relation), None) => format!("table {relation}"),
            _ if kind == "transactionid" => "the end of a transaction".into(),
            _ => format!("a lock of kind {kind}"),
        });
        self.sessions.insert(session.pid, session);
        Ok(place.filter(|_| of_account))
    }

    fn name(&mut self, place: &str, account: &str) {
        let row = format!("row {place} of giro.account_state");
        for session in self.sessions.values_mut() {
            if session.waits_for.as_ref() == Some(&row) {
                session.waits_for = Some(account.to_owned());
            }
        }
    }

    /// Those for whom others wait, and who wait for nobody.
    fn roots(&self) -> Vec<i32> {
        let blocking: BTreeSet<i32> =
            self.sessions.values().flat_map(|session| session.blocked_by.iter().copied()).collect();
        let waits = |pid: &i32| self.sessions.get(pid).is_some_and(|it| !it.blocked_by.is_empty());
        blocking.into_iter().filter(|pid| !waits(pid)).collect()
    }

    /// A session and all who wait for it, each after whom it waits for.
    fn tree(&self, root: i32) -> Vec<SessionSeen> {
        let (mut stack, mut seen, mut tree) = (vec![(root, 0)], BTreeSet::new(), Vec::new());
        while let Some((pid, depth)) = stack.pop() {
            if !seen.insert(pid) {
                continue;
            }
            let mut session = self.sessions.get(&pid).cloned().unwrap_or_default();
            (session.pid, session.depth) = (pid, Some(depth));
            tree.push(session);
            let waiters = self.sessions.values().filter(|it| it.blocked_by.contains(&pid));
            stack.extend(waiters.rev().map(|it| (it.pid, depth + 1)));
        }
        tree
    }

    /// A whole tree where nobody is to be ended, since its root has committed and waits for a standby, or
    /// may do so unseen.
    fn spared(&self, root: i32) -> Vec<i32> {
        let tree = self.tree(root);
        let spares = |it: &SessionSeen| it.pid != 0 && (it.waits_for_standby() || it.is_hidden());
        match tree.first() {
            Some(holder) if spares(holder) => tree.iter().map(|it| it.pid).collect(),
            _ => Vec::new(),
        }
    }

    /// Nothing where Giro's own batches wait for each other, as they do, or nobody for long.
    fn finding(&self, root: i32, patient: &Patient<'_>) -> Option<Finding> {
        let tree = self.tree(root);
        let (holder, waiters) = tree.split_first()?;
        let longest = |giro: bool| {
            let of = waiters.iter().filter(|it| it.is_giro() || !giro);
            of.filter_map(|it| it.waits_seconds).fold(0.0, f64::max)
        };
        let limits = patient.limits;
        let severity = match holder.is_giro() {
            true if waiters.iter().all(SessionSeen::is_giro) => return None,
            false if longest(true) >= limits.giro_wait.as_secs_f64() => Severity::Critical,
            _ if longest(false) >= limits.other_wait.as_secs_f64() => Severity::Warning,
            _ => return None,
        };
        let of_giro = waiters.iter().filter(|it| it.is_giro()).count();
        let evidence = format!(
            "{} holds up {} session(s), {of_giro} of them Giro's, the longest for {}",
            holder.who(),
            waiters.len(),
            span(longest(false)),
        );
        let finding = Finding::new(Check::Blocking, severity, evidence);
        Some(remedied(finding, holder).sessions(tree))
    }
}

fn remedied(finding: Finding, holder: &SessionSeen) -> Finding {
    if holder.pid == 0 {
        let list = "SELECT gid, prepared, owner FROM pg_prepared_xacts \
                    WHERE database = current_database() ORDER BY prepared;";
        return finding
            .remedy("Nobody ends a prepared transaction by itself: commit it or roll it back.")
            .sql(list);
    }
    if holder.kind.as_deref() == Some("autovacuum worker") {
        return finding.remedy(
            "Autovacuum gives way by itself, unless it prevents a wraparound: then let it end.",
        );
    }
    let remedy = match (holder.state.as_deref(), &holder.work) {
        (Some(state), _) if state.starts_with("idle in transaction") => {
            "Somebody left a transaction open. End that session, and only that: its transaction is rolled \
             back, its client gets an error."
        }
        (_, Some(work)) => &format!(
            "It is {work}, and ends by itself: let it, or cancel it. An index that was given up halfway stays \
             behind as invalid."
        ),
        _ => {
            "It is at work: find out what it does, and whether it will end. To end the session rolls its \
             transaction back."
        }
    };
    finding.ends(holder, remedy, &BTreeSet::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(edges: &[(i32, &[i32])]) -> Waits {
        let session = |&(pid, blockers): &(i32, &[i32])| {
            let blocked_by = blockers.to_vec();
            (pid, SessionSeen { pid, blocked_by, ..SessionSeen::default() })
        };
        Waits { sessions: edges.iter().map(session).collect() }
    }

    #[test]
    fn a_tree_begins_with_whom_all_wait_for_and_has_everybody_once() {
        let waits = waits(&[(1, &[]), (2, &[1]), (3, &[1, 2]), (4, &[3]), (5, &[9])]);
        assert_eq!(waits.roots(), [1, 9]);
        let shape = |root| -> Vec<_> {
            waits.tree(root).iter().map(|it| (it.pid, it.depth.unwrap())).collect()
        };
        assert_eq!(shape(1), [(1, 0), (2, 1), (3, 2), (4, 3)]);
        assert_eq!(shape(9), [(9, 0), (5, 1)]);
    }
}
