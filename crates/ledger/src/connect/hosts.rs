//! Several hosts, each with its share of the time.

use super::error::ConnectError;
use super::url::{Host, Place};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::Instant;

/// The hosts of a URL, and what trying them has shown.
pub(super) struct Hosts {
    hosts: Vec<Tried>,
    /// In random order, whatever has been seen.
    shuffle: bool,
}

pub(super) struct Tried {
    pub(super) host: Host,
    /// It used up its share of the time when it was last tried.
    slow: AtomicBool,
}

impl Tried {
    pub(super) fn note(&self, slow: bool) {
        self.slow.store(slow, Ordering::Relaxed);
    }
}

impl Hosts {
    pub(super) fn new(hosts: Vec<Host>, shuffle: bool) -> Self {
        let tried = |host| Tried { host, slow: AtomicBool::new(false) };
        Self { hosts: hosts.into_iter().map(tried).collect(), shuffle }
    }

    /// In the order of the URL, those last that did not answer in time when they were last tried.
    pub(super) fn in_order(&self) -> Vec<&Tried> {
        let mut order: Vec<_> = self.hosts.iter().collect();
        if self.shuffle {
            fastrand::shuffle(&mut order);
        }
        order.sort_by_key(|tried| tried.slow.load(Ordering::Relaxed));
        order
    }

    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }
}

/// How long one of `left` may take, so that each after it has as much.
pub(super) fn share(deadline: Instant, left: usize) -> Duration {
    deadline.saturating_duration_since(Instant::now())
        / u32::try_from(left.max(1)).unwrap_or(u32::MAX)
}

/// Where a host is: one address or several for a name, nothing for a Unix socket.
pub(super) async fn addresses(host: &Host) -> Result<Vec<Option<IpAddr>>, ConnectError> {
    match &host.place {
        Place::Unix(_) => Ok(vec![None]),
        Place::Tcp { address: Some(address), .. } => Ok(vec![Some(*address)]),
        Place::Tcp { name, .. } => {
            let found = lookup_host((name.as_str(), host.port)).await;
            let found = found.map_err(ConnectError::Name)?;
            Ok(found.map(|address| Some(address.ip())).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Host {
        Host { place: Place::Tcp { name: name.into(), address: None }, port: 5432 }
    }

    fn order(hosts: &Hosts) -> Vec<String> {
        hosts.in_order().iter().map(|tried| tried.host.to_string()).collect()
    }

    #[test]
    fn a_host_that_hangs_is_tried_last_until_it_answers() {
        let hosts = Hosts::new(vec![host("a"), host("b"), host("c")], false);
        assert_eq!(order(&hosts), ["a:5432", "b:5432", "c:5432"]);
        hosts.hosts[0].note(true);
        assert_eq!(order(&hosts), ["b:5432", "c:5432", "a:5432"]);
        hosts.hosts[0].note(false);
        assert_eq!(order(&hosts), ["a:5432", "b:5432", "c:5432"]);
    }
}
