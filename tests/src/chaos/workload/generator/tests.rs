use super::super::Arrivals;
use super::*;
use std::collections::{HashMap, HashSet};

const REQUESTS: usize = 40_000;

fn generator(seed: u64) -> Generator {
    Generator::new(&WorkloadPlan {
        seed,
        servers: 2,
        rate: 400.0,
        arrivals: Arrivals::Fixed,
        bulk_max: 6,
        callers: 256,
        hot: 16,
        cold: 500,
    })
}

fn requests(seed: u64) -> Vec<Request> {
    let mut memory = Memory::default();
    let mut generator = generator(seed);
    (0..REQUESTS)
        .flat_map(|_| {
            let (request, twin) = generator.next(&mut memory);
            std::iter::once(request).chain(twin)
        })
        .collect()
}

#[test]
fn a_seed_is_a_workload() {
    assert_eq!(requests(7), requests(7));
    assert_ne!(requests(7), requests(8));
}

#[test]
fn what_callers_learn_changes_only_what_depends_on_it() {
    let kinds = |learns: bool| {
        let mut memory = Memory::default();
        let mut generator = generator(3);
        let mut kinds = Vec::new();
        for _ in 0..2000 {
            let (request, _) = generator.next(&mut memory);
            if learns {
                let unknown = giro_checker::history::Told::Unknown;
                let told = vec![unknown; request.items().len()];
                memory.learn(&request.asked, &giro_checker::history::Answer::Told(told));
            }
            kinds.push(request.kind);
        }
        kinds
    };
    assert_eq!(kinds(false), kinds(true));
}

#[test]
fn the_proportions_are_those_that_the_gates_need() {
    let requests = requests(1);
    let of = |is: &dyn Fn(&Request) -> bool| {
        requests.iter().filter(|request| is(request)).count() as f64 / requests.len() as f64
    };
    let near = |what: &str, part: f64, wanted: f64| {
        assert!((part / wanted - 1.0).abs() < 0.15, "{what}: {part}, not {wanted}");
    };
    near("reads", of(&|request| request.kind == Kind::Read), 0.05);
    near("repeats", of(&|request| request.kind.is_repeat()), 0.20);
    near("identical", of(&|request| request.kind == Kind::Identical), 0.10);
    near("invalid", of(&|request| request.kind == Kind::Invalid), 0.04);
    near("rude", of(&|request| request.manner != Manner::Wait), 0.01);
    near("to the first", of(&|request| request.server == 0), 0.5);
    let chains = of(&|request| request.kind == Kind::Chain);
    assert!(chains > 0.04, "chains: {chains}");
}

#[test]
fn identical_repeats_are_identical_and_altered_ones_are_not() {
    let mut sent: HashMap<u64, HashSet<String>> = HashMap::new();
    let mut counts = [0; 2];
    for request in requests(2) {
        let text = format!("{:?}", request.items());
        let Some(first) = request.items().first() else { continue };
        let known = sent.entry(first.id).or_default();
        match request.kind {
            Kind::Identical => {
                assert!(known.contains(&text), "was not sent before: {text}");
                counts[0] += 1;
            }
            Kind::Altered => {
                assert!(!known.is_empty(), "its id was not sent before: {text}");
                counts[1] += usize::from(!known.contains(&text));
            }
            _ => assert!(known.is_empty(), "its id was sent before: {text}"),
        }
        known.insert(text);
    }
    assert!(counts.iter().all(|count| *count > REQUESTS / 15), "{counts:?}");
}

#[test]
fn chains_end_and_name_their_own_holds() {
    let mut posted_within = 0;
    for request in requests(4).into_iter().filter(|request| request.kind == Kind::Chain) {
        let (last, linked) = request.items().split_last().unwrap();
        assert!((1..=3).contains(&linked.len()));
        assert!(linked.iter().all(|item| item.flags & LINKED != 0));
        assert_eq!(last.flags & LINKED, 0);
        let hold = linked.first().filter(|item| item.flags & PENDING != 0);
        let second = &request.items()[1];
        posted_within += u32::from(hold.is_some_and(|hold| second.pending_id == Some(hold.id)));
    }
    assert!(posted_within > 100, "{posted_within}");
}

#[test]
fn holds_are_resolved_once_they_are_known() {
    let mut memory = Memory::default();
    let mut generator = generator(5);
    let (mut resolved, mut expire) = (0, 0);
    for _ in 0..REQUESTS {
        let (request, _) = generator.next(&mut memory);
        expire += request.items().iter().filter(|item| item.timeout > 0).count();
        resolved += usize::from(request.kind == Kind::Resolve && request.items()[0].debit == 0);
        let told = vec![giro_checker::history::Told::Unknown; request.items().len()];
        memory.learn(&request.asked, &giro_checker::history::Answer::Told(told));
    }
    assert!(resolved > REQUESTS / 20, "{resolved}");
    assert!(expire > REQUESTS / 20, "{expire}");
}
