use crate::outcome::Outcome;
use giro_batcher::Pressure;
use giro_ledger::Load;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};
use std::sync::OnceLock;
use std::time::Duration;

/// What the server itself tells Prometheus. Each field's first sentence is its help text.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Requests answered, by route and status.
    http_requests: IntCounterVec,
    /// Seconds from a request's header to its answer, by route.
    http_request_seconds: HistogramVec,
    /// Open connections of the API listener.
    pub(crate) http_connections: IntGauge,
    /// Transfers answered, by outcome and reason.
    pub(crate) transfers: IntCounterVec,
    /// Accounts answered, by outcome and reason.
    pub(crate) accounts: IntCounterVec,
    /// Sessions that should apply batches: the lanes, and one for accounts.
    pub(crate) lanes: IntGauge,
    /// Those of them that are there.
    pub(crate) lanes_connected: IntGauge,
    /// Sessions for reads, by state.
    pub(crate) read_sessions: IntGaugeVec,
    /// What the database's own state allows: 0 everything, 1 half the queue, 2 nothing new.
    database_pressure: IntGauge,
    /// Sessions of the server's login that wait for somebody else, by what for.
    database_waits: IntGaugeVec,
    /// Sessions of all clients of PostgreSQL.
    database_connections: IntGauge,
    /// Sessions that ordinary clients of PostgreSQL may open.
    database_connections_max: IntGauge,
    /// Seconds for which rows have been kept that nobody may clean up yet, because of the oldest snapshot.
    oldest_snapshot: IntGauge,
}

impl Metrics {
    /// Registers the metrics, prefixed with `giro_`, and those of the process.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(format!("giro_{name}"), help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            prometheus::Result::Ok(counters)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(format!("giro_{name}"), help)?;
            registry.register(Box::new(gauge.clone()))?;
            prometheus::Result::Ok(gauge)
        };
        let http_request_seconds = HistogramVec::new(
            HistogramOpts::new(
                "giro_http_request_seconds",
                "Seconds from a request's header to its answer, by route.",
            )
            // 100 µs to 13 s by doubling: from one local round trip to past every time-out.
            .buckets((0..18).map(|i| 1e-4 * f64::from(1 << i)).collect()),
            &["route"],
        )?;
        registry.register(Box::new(http_request_seconds.clone()))?;
        let read_sessions = IntGaugeVec::new(
            Opts::new("giro_read_sessions", "Sessions for reads, by state."),
            &["state"],
        )?;
        registry.register(Box::new(read_sessions.clone()))?;
        let database_waits = IntGaugeVec::new(
            Opts::new(
                "giro_database_sessions",
                "Sessions of the server's login that wait for somebody else, by what for.",
            ),
            &["state"],
        )?;
        registry.register(Box::new(database_waits.clone()))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let build_info = IntGaugeVec::new(
            Opts::new("giro_build_info", "Always 1; the labels say what runs."),
            &["version"],
        )?;
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build_info))?;
        const ANSWER: [&str; 2] = ["outcome", "reason"];
        let transfers =
            counters("transfers_total", "Transfers answered, by outcome and reason.", &ANSWER)?;
        let accounts =
            counters("accounts_total", "Accounts answered, by outcome and reason.", &ANSWER)?;
        // Every outcome appears from the start, so that a rate over them is never missing.
        for outcome in Outcome::ALL {
            transfers.with_label_values(&[outcome.label(), ""]);
            accounts.with_label_values(&[outcome.label(), ""]);
        }
        Ok(Self {
            http_requests: counters(
                "http_requests_total",
                "Requests answered, by route and status.",
                &["route", "status"],
            )?,
            http_request_seconds,
            http_connections: gauge("http_connections", "Open connections of the API listener.")?,
            transfers,
            accounts,
            lanes: gauge(
                "lanes",
                "Sessions that should apply batches: the lanes, and one for accounts.",
            )?,
            lanes_connected: gauge("lanes_connected", "Those of them that are there.")?,
            read_sessions,
            database_pressure: gauge(
                "database_pressure",
                "What the database's own state allows: 0 everything, 1 half the queue, 2 nothing new.",
            )?,
            database_waits,
            database_connections: gauge(
                "database_connections",
                "Sessions of all clients of PostgreSQL.",
            )?,
            database_connections_max: gauge(
                "database_connections_max",
                "Sessions that ordinary clients of PostgreSQL may open.",
            )?,
            oldest_snapshot: gauge(
                "db_oldest_snapshot_seconds",
                "Seconds for which rows have been kept that nobody may clean up yet, because of the oldest snapshot.",
            )?,
        })
    }

    /// How the database was found, if it could be looked at.
    pub(crate) fn database(&self, load: Option<&Load>, pressure: Pressure) {
        self.database_pressure.set(match pressure {
            Pressure::Accept => 0,
            Pressure::Throttle => 1,
            Pressure::Reject => 2,
        });
        let Some(load) = load else { return };
        self.database_waits.with_label_values(&["lock_wait"]).set(load.lock_waits);
        self.database_waits.with_label_values(&["standby_wait"]).set(load.standby_waits);
        self.database_connections.set(load.connections);
        self.database_connections_max.set(load.connections_max);
    }

    /// For how long rows have been kept.
    pub(crate) fn horizon(&self, age: Duration) {
        self.oldest_snapshot.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    }

    /// Those of the requests for one route.
    pub(crate) fn of_route<'a>(&self, route: &'a str) -> RouteMetrics<'a> {
        RouteMetrics {
            route,
            requests: self.http_requests.clone(),
            ok: OnceLock::new(),
            seconds: self.http_request_seconds.with_label_values(&[route]),
        }
    }
}

/// What is told of the requests for one route. Who keeps it looks up no label but those of failures.
pub(crate) struct RouteMetrics<'a> {
    pub(crate) route: &'a str,
    requests: IntCounterVec,
    ok: OnceLock<IntCounter>,
    seconds: Histogram,
}

impl RouteMetrics<'_> {
    pub(crate) fn answered(&self, status: u16, seconds: f64) {
        let mut digits = [0; 3];
        let label = three_digits(status, &mut digits);
        let counter = || self.requests.with_label_values(&[self.route, label]);
        match status {
            200 => self.ok.get_or_init(counter).inc(),
            _ => counter().inc(),
        }
        self.seconds.observe(seconds);
    }
}

/// Items answered, by outcome and reason.
pub(crate) struct Outcomes {
    all: IntCounterVec,
    /// Looked up once: most are.
    applied: IntCounter,
}

impl Outcomes {
    pub(crate) fn new(all: &IntCounterVec) -> Self {
        let applied = all.with_label_values(&[Outcome::Applied.label(), ""]);
        Self { all: all.clone(), applied }
    }

    pub(crate) fn count(&self, outcome: Outcome, reason: &str, items: usize) {
        match outcome {
            Outcome::Applied => self.applied.inc_by(items as u64),
            _ => self.all.with_label_values(&[outcome.label(), reason]).inc_by(items as u64),
        }
    }
}

/// A status as a label, without an allocation.
fn three_digits(status: u16, digits: &mut [u8; 3]) -> &str {
    *digits = [status / 100, status / 10 % 10, status % 10].map(|digit| b'0' + (digit % 10) as u8);
    std::str::from_utf8(digits).unwrap_or_default()
}
