//! `giro-chaos proxy`: the fault proxy by hand, in front of any PostgreSQL.

mod chances;

use bytesize::ByteSize;
use chances::Chances;
use giro_proxy::{Checked, Counts, Event, Fault, Proxy, Target};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep};

/// What the command line says.
#[derive(clap::Args)]
pub struct Arguments {
    /// Where to listen; port 0 is any that is free
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Listen although other machines can connect
    #[arg(long)]
    exposed: bool,
    /// PostgreSQL: a URL that names one host. Of one that is a directory, whoever connects to the proxy is let in
    /// as the rules for its Unix socket say
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    to: String,
    /// Sessions that are meant: part of their application_name, "" for all
    #[arg(long, value_name = "TEXT", default_value = Target::LANES.sessions)]
    sessions: String,
    /// Calls that are meant: part of the text of a prepared statement
    #[arg(long, value_name = "TEXT", default_value = Target::LANES.calls)]
    calls: String,
    /// Deliver every message so much later, in each direction
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    delay: Duration,
    /// Delay by up to so much more, at random
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    jitter: Duration,
    /// Deliver slices of so many bytes
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..))]
    slice: Option<u32>,
    /// Deliver so many bytes a second in each direction, such as 100KB
    #[arg(long, value_name = "BYTES")]
    rate: Option<ByteSize>,
    /// Deliver nothing for so long, --every so often
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    black_hole: Option<Duration>,
    /// Refuse new sessions for so long, --every so often
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    refuse: Option<Duration>,
    /// How often --black-hole and --refuse begin
    #[arg(long, value_name = "TIME", default_value = "30s",
          value_parser = humantime::parse_duration)]
    every: Duration,
    /// Makes what is random the same again [default: a new one, which is shown]
    #[arg(long)]
    seed: Option<u64>,
    /// End after so long
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    limit: Option<Duration>,
    #[command(flatten)]
    chances: Chances,
}

/// Runs until it is interrupted, or until the time is over.
#[tokio::main(flavor = "current_thread")]
pub async fn run(arguments: Arguments) -> ExitCode {
    match start(&arguments).await {
        Ok(proxy) => {
            let events = proxy.events();
            tokio::select! {
                () = show(events) => {}
                () = come_and_go(&proxy, &arguments) => {}
                () = ended(arguments.limit) => {}
            }
            print!("{}", summary(&proxy));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("giro-chaos proxy: {error}");
            ExitCode::from(2)
        }
    }
}

async fn start(arguments: &Arguments) -> Result<Proxy, String> {
    if !arguments.listen.ip().is_loopback() && !arguments.exposed {
        let listen = arguments.listen;
        return Err(format!(
            "other machines can connect to {listen}; add --exposed if they are meant to"
        ));
    }
    for (option, time) in [("black-hole", arguments.black_hole), ("refuse", arguments.refuse)] {
        if time.is_some_and(|time| time >= arguments.every) {
            return Err(format!(
                "--{option} does not end before the next: --every is to be longer"
            ));
        }
    }
    let proxy = Proxy::listen(arguments.listen, &arguments.to, arguments.target()).await;
    let proxy = proxy.map_err(|error| error.to_string())?;
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    proxy.seed(seed);
    proxy.delay(arguments.delay);
    proxy.jitter(arguments.jitter);
    proxy.slice(arguments.slice.unwrap_or(0) as usize);
    proxy.rate(arguments.rate.map_or(0, |rate| rate.as_u64()));
    for (fault, chance) in &arguments.chances.0 {
        proxy.at_random(*fault, *chance);
    }
    println!("{}", proxy.url());
    println!("is the URL for Giro; a password is to be added if there is one. --seed {seed}");
    Ok(proxy)
}

impl Arguments {
    fn target(&self) -> Target {
        const FIRST_COLUMN: &[Checked] = &[Checked { column: 0, from: 0 }];
        // Once for a process.
        let forever = |text: &str| &*text.to_owned().leak();
        let of_giro = self.calls == Target::LANES.calls;
        Target {
            sessions: forever(&self.sessions),
            calls: forever(&self.calls),
            checked: if of_giro { Target::LANES.checked } else { FIRST_COLUMN },
        }
    }
}

/// Prints each fault as it happens.
async fn show(mut events: Receiver<Event>) {
    let started = Instant::now();
    loop {
        match events.recv().await {
            Ok(Event { fault, session, calls }) => {
                let seconds = started.elapsed().as_secs_f64();
                println!("{seconds:10.3} s  {:<16} {session}, call {calls}", fault.name());
            }
            Err(RecvError::Lagged(missed)) => println!("… and {missed} more"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Lets black holes and refusals begin and end; warns when nothing can be read.
async fn come_and_go(proxy: &Proxy, arguments: &Arguments) {
    let every = arguments.every.max(Duration::from_millis(1));
    let hole = async {
        let Some(time) = arguments.black_hole else { return std::future::pending().await };
        let mut tick = interval_at(Instant::now() + every, every);
        loop {
            tick.tick().await;
            println!("nothing is delivered for {time:?}");
            proxy.black_hole();
            sleep(time).await;
            proxy.heal();
        }
    };
    let refusal = async {
        let Some(time) = arguments.refuse else { return std::future::pending().await };
        let mut tick = interval_at(Instant::now() + every, every);
        loop {
            tick.tick().await;
            println!("new sessions are refused for {time:?}");
            proxy.refuse(true);
            sleep(time).await;
            proxy.refuse(false);
        }
    };
    tokio::join!(hole, refusal, warn_of_encryption(proxy));
}

async fn warn_of_encryption(proxy: &Proxy) {
    let mut tick = interval(Duration::from_millis(100));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while proxy.counts().encrypted == 0 {
        tick.tick().await;
    }
    println!(
        "sessions are encrypted: their calls cannot be read, so only bytes are delayed or held"
    );
    std::future::pending().await
}

/// Until Ctrl-C, SIGTERM, or the end of the time.
async fn ended(limit: Option<Duration>) {
    let mut terminated = signal(SignalKind::terminate()).expect("a signal handler");
    let time = async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.expect("a signal handler"),
        _ = terminated.recv() => {}
        () = time => {}
    }
}

/// Every count that is not 0.
fn summary(proxy: &Proxy) -> String {
    let Counts { sessions, encrypted, calls, delayed, sliced, limited, held, refused, cancels } =
        proxy.counts();
    let mut counts = vec![
        ("sessions", sessions),
        ("encrypted sessions", encrypted),
        ("refused sessions", refused),
        ("requests to cancel", cancels),
        ("calls", calls),
        ("delayed messages", delayed),
        ("sliced messages", sliced),
        ("messages at a limited rate", limited),
        ("messages held", held),
    ];
    counts.extend(Fault::ALL.iter().map(|fault| (fault.name(), proxy.fired(*fault))));
    let happened = counts.iter().filter(|(_, count)| *count > 0);
    let lines: String = happened.map(|(name, count)| format!("{count:>10} {name}\n")).collect();
    if lines.is_empty() { "nothing has come\n".into() } else { lines }
}
