//! A proxy between a server and PostgreSQL that delays, breaks and falsifies sessions at a chosen message.
//!
//! It knows where one message ends and which call of the array function it belongs to, so a fault happens
//! at the moment that matters and not "somewhere around it"; and it counts what it did, so that a
//! test can assert that its fault has happened. Sessions that are not its target pass untouched.
//!
//! What is encrypted it cannot read: such a session is always its target, and has delays, slices, a
//! limited bandwidth, black holes and refusals, but no [`Fault`], because its calls cannot be told apart.
//!
//! | file | holds |
//! | --- | --- |
//! | `fault` | the faults, and which sessions and calls they happen to |
//! | `control` | what is to happen, and the counts of what has |
//! | `session` | one session, from its first packet to its end |
//! | `pumps` | the two directions of a session, and the faults in them |
//! | `pipeline` | which request a message belongs to |
//! | `line`, `timer` | the time that a message is under way |
//! | `message`, `garble` | the messages of the protocol, and how they are falsified |
//! | `upstream` | where PostgreSQL is |

mod control;
mod fault;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
mod garble;
mod line;
mod message;
mod pipeline;
mod pumps;
mod session;
mod timer;
mod upstream;

pub use control::{Counts, Event};
pub use fault::{Checked, Fault, Target};

use control::Control;
use session::Session;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use tokio_postgres::Config;
use upstream::Upstream;

/// A running proxy; dropping it closes every session through it.
pub struct Proxy {
    url: String,
    control: Arc<Control>,
    accepting: AbortHandle,
}

impl Proxy {
    /// In front of the database of this URL, which names one host; on a free port of this machine.
    ///
    /// # Panics
    ///
    /// When that is not possible: see [`listen`](Self::listen).
    pub async fn start(url: &str, target: Target) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::listen(free, url, target).await.unwrap_or_else(|error| panic!("the proxy: {error}"))
    }

    /// The same at an address of the caller's choice.
    pub async fn listen(at: SocketAddr, url: &str, target: Target) -> io::Result<Self> {
        let invalid = |problem| io::Error::new(io::ErrorKind::InvalidInput, problem);
        let config: Config = url.parse().map_err(|_| invalid("not a URL of PostgreSQL".into()))?;
        let upstream = Upstream::of(&config).map_err(invalid)?;
        let listener = TcpListener::bind(at).await?;
        let url = upstream::url(&config, listener.local_addr()?);
        let control = Arc::new(Control::default());
        let session = Session { upstream, target, control: control.clone() };
        let accepting = tokio::spawn(accept(listener, session)).abort_handle();
        Ok(Self { url, control, accepting })
    }

    /// The same database through the proxy, without a password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets a fault happen at the next call that can have it, once.
    pub fn arm(&self, fault: Fault) {
        self.control.arm(fault);
    }

    /// Takes back what was armed and has not happened; how many that were.
    pub fn disarm(&self, fault: Fault) -> usize {
        self.control.disarm(fault)
    }

    /// Lets a fault happen at each call with this probability; 0 for never.
    pub fn at_random(&self, fault: Fault, probability: f64) {
        self.control.set_chance(fault, probability);
    }

    /// Makes random numbers repeatable: of faults at random, of jitter, and of which bits are flipped.
    pub fn seed(&self, seed: u64) {
        self.control.seed(seed);
    }

    /// Delivers every message so much later, in each direction: a round trip takes twice as long. Delays do
    /// not add up, and no message waits for the one before it.
    pub fn delay(&self, delay: Duration) {
        self.control.change(|link| link.delay = delay);
    }

    /// Delays each message by up to so much more, at random; their order stays.
    pub fn jitter(&self, jitter: Duration) {
        self.control.change(|link| link.jitter = jitter);
    }

    /// Delivers messages in slices of so many bytes; 0 for whole.
    pub fn slice(&self, bytes: usize) {
        self.control.change(|link| link.slice = bytes);
    }

    /// Delivers so many bytes a second in each direction, of all sessions together; 0 for any number.
    pub fn rate(&self, bytes_per_second: u64) {
        self.control.change(|link| link.rate = bytes_per_second);
    }

    /// Delivers nothing from now on, in both directions, and keeps the connections open.
    pub fn black_hole(&self) {
        self.control.change(|link| link.held = true);
    }

    /// Delivers what a black hole has held back, and all that follows.
    pub fn heal(&self) {
        self.control.change(|link| link.held = false);
    }

    /// Closes new sessions at their first packet, or lets them in.
    pub fn refuse(&self, refuse: bool) {
        self.control.change(|link| link.refusing = refuse);
    }

    /// Ends everything that was set, armed or left to chance.
    pub fn calm(&self) {
        self.control.calm();
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        self.control.counts()
    }

    /// How often a fault has happened.
    pub fn fired(&self, fault: Fault) -> u64 {
        self.control.fired(fault)
    }

    /// Each fault from now on as it happens.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.control.events()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The sessions end with this task.
async fn accept(listener: TcpListener, session: Session) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    sessions.spawn(session.clone().run(client));
                }
                // Too many open files, or the client has left: neither is a reason to stop or to spin.
                Err(_) => sleep(Duration::from_millis(20)).await,
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}
