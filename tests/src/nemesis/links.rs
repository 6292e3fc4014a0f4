//! The network between a server and PostgreSQL.

use super::moments::{self, Counting};
use super::{Healed, Wound};
use crate::chaos::Stage;
use crate::chaos::witness::PATIENCE;
use fastrand::Rng;
use giro_proxy::{Counts, Fault, Proxy};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How often a proxy is asked whether it has happened.
const TICK: Duration = Duration::from_millis(3);

pub(super) async fn cut_before_sync(stage: &mut Stage, random: &mut Rng) -> Wound {
    at_calls(stage, random, Fault::CutBeforeSync).await
}

pub(super) async fn cut_after_sync(stage: &mut Stage, random: &mut Rng) -> Wound {
    at_calls(stage, random, Fault::CutAfterSync).await
}

pub(super) async fn cut_before_ready(stage: &mut Stage, random: &mut Rng) -> Wound {
    at_calls(stage, random, Fault::CutBeforeReady).await
}

pub(super) async fn half_close(stage: &mut Stage, random: &mut Rng) -> Wound {
    at_calls(stage, random, Fault::HalfClose).await
}

pub(super) async fn reset(stage: &mut Stage, random: &mut Rng) -> Wound {
    at_calls(stage, random, Fault::Reset).await
}

pub(super) async fn garble_reply(stage: &mut Stage, random: &mut Rng) -> Wound {
    at_calls(stage, random, Fault::GarbleReply).await
}

pub(super) async fn shift_reply(stage: &mut Stage, random: &mut Rng) -> Wound {
    at_calls(stage, random, Fault::ShiftReply).await
}

pub(super) async fn black_hole(stage: &mut Stage, random: &mut Rng) -> Wound {
    // A server finds no way around it by another cluster.
    let links = links(stage, random, |proxies, _| proxies.to_vec());
    let servers: Vec<_> = links.iter().map(|(server, _)| *server).collect();
    let counting = Counting::given_up(stage).await;
    let lost = "met a black hole".into();
    let wound = on_links(links, lost, |counts| counts.held, Proxy::black_hole, Proxy::heal).await;
    Wound::judged_by(move |stage| {
        Box::pin(async move {
            let given_up = counting.risen(stage, |server| servers.contains(&server)).await;
            let healed = wound.heal(stage).await;
            let evidence = format!("{}; {given_up} sessions were given up", healed.evidence);
            Healed { evidence, hit: given_up > 0.0, ..healed }
        })
    })
}

pub(super) async fn delay(stage: &mut Stage, random: &mut Rng) -> Wound {
    let (delay, jitter) = (random.u64(5..=100), random.u64(0..=50));
    let links = links(stage, random, |proxies, _| proxies.to_vec());
    let set = move |proxy: &Proxy| {
        proxy.delay(Duration::from_millis(delay));
        proxy.jitter(Duration::from_millis(jitter));
    };
    let end = |proxy: &Proxy| {
        proxy.delay(Duration::ZERO);
        proxy.jitter(Duration::ZERO);
    };
    let late = format!("were late by {delay} to {} ms", delay + jitter);
    on_links(links, late, |counts| counts.delayed, set, end).await
}

pub(super) async fn slice(stage: &mut Stage, random: &mut Rng) -> Wound {
    let links = links(stage, random, |proxies, _| proxies.to_vec());
    let sliced = "came byte by byte".into();
    let end = |proxy: &Proxy| proxy.slice(0);
    on_links(links, sliced, |counts| counts.sliced, |proxy| proxy.slice(1), end).await
}

/// Proxies with the number of the server that they are in front of.
type Links = Vec<(usize, Arc<Proxy>)>;

/// Some of the proxies of a server; it gets all of them, and which leads to the primary.
type Choose = fn(&[Arc<Proxy>], usize) -> Vec<Arc<Proxy>>;

/// The proxies of one server or of all.
fn links(stage: &Stage, random: &mut Rng, choose: Choose) -> Links {
    let primary = stage.primary_number();
    let servers = moments::one_or_all(stage, random);
    assert!(!servers.is_empty(), "no server runs");
    let of = |server: usize| {
        let proxies = choose(&stage.servers[server].proxies, primary);
        proxies.into_iter().map(move |proxy| (server, proxy))
    };
    servers.into_iter().flat_map(of).collect()
}

/// What every message meets while it lasts, in words and as a proxy counts it; it has begun when one has.
async fn on_links(
    links: Links,
    what: String,
    count: fn(Counts) -> u64,
    begin: impl Fn(&Proxy),
    end: impl Fn(&Proxy) + Send + 'static,
) -> Wound {
    let total =
        move |links: &Links| -> u64 { links.iter().map(|(_, proxy)| count(proxy.counts())).sum() };
    let before = total(&links);
    links.iter().for_each(|(_, proxy)| begin(proxy));
    until("no message met it", async || total(&links) > before).await;
    Wound::healed_by(move |_| {
        Box::pin(async move {
            links.iter().for_each(|(_, proxy)| end(proxy));
            let messages = total(&links) - before;
            format!("{messages} messages of {} {what}", names(&links))
        })
    })
}

/// What happens to single calls: at once, and again and again until it is healed.
async fn at_calls(stage: &mut Stage, random: &mut Rng, fault: Fault) -> Wound {
    let links = links(stage, random, |proxies, primary| vec![proxies[primary].clone()]);
    let total =
        move |links: &Links| -> u64 { links.iter().map(|(_, proxy)| proxy.fired(fault)).sum() };
    let before = total(&links);
    let pause = Duration::from_millis(random.u64(50..400));
    // Ends when it is dropped.
    let mut repeating = JoinSet::new();
    for (_, proxy) in &links {
        repeating.spawn(again(proxy.clone(), fault, pause));
    }
    until("no call met it", async || total(&links) > before).await;
    Wound::judged_by(move |_| {
        Box::pin(async move {
            repeating.shutdown().await;
            for (_, proxy) in &links {
                proxy.disarm(fault);
            }
            let times = total(&links) - before;
            let evidence =
                format!("{} happened to {times} calls of {}", fault.name(), names(&links));
            Healed { evidence, hit: times > 0, zombie: false }
        })
    })
}

async fn again(proxy: Arc<Proxy>, fault: Fault, pause: Duration) {
    loop {
        let before = proxy.fired(fault);
        proxy.arm(fault);
        while proxy.fired(fault) == before {
            sleep(TICK).await;
        }
        sleep(pause).await;
    }
}

async fn until(otherwise: &str, condition: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < PATIENCE, "after {PATIENCE:?}, {otherwise}");
        sleep(TICK).await;
    }
}

fn names(links: &Links) -> String {
    let mut servers: Vec<_> = links.iter().map(|(server, _)| server).collect();
    servers.dedup();
    let servers: Vec<_> = servers.into_iter().map(|number| format!("server {number}")).collect();
    servers.join(" and ")
}
