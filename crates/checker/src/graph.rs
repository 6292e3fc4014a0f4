//! A directed graph, and whether it has a cycle.

/// Nodes are numbers from 0.
pub(crate) struct Graph {
    nodes: usize,
    edges: Vec<(u32, u32)>,
}

impl Graph {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { nodes, edges: Vec::new() }
    }

    /// One more node.
    pub(crate) fn node(&mut self) -> u32 {
        self.nodes += 1;
        self.nodes as u32 - 1
    }

    /// `from` comes before `to`.
    pub(crate) fn edge(&mut self, from: u32, to: u32) {
        self.edges.push((from, to));
    }

    /// The nodes of a cycle, if there is one: what is left when everything without a predecessor is taken
    /// away until nothing more can be (Kahn).
    pub(crate) fn cycle(self) -> Option<Vec<u32>> {
        let Self { nodes, edges } = self;
        // The successors of node n are `next[starts[n]..starts[n + 1]]`.
        let mut starts = vec![0u32; nodes + 1];
        let mut before = vec![0u32; nodes];
        for (from, to) in &edges {
            starts[*from as usize + 1] += 1;
            before[*to as usize] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut next = vec![0u32; edges.len()];
        let mut free = starts.clone();
        for (from, to) in &edges {
            let slot = &mut free[*from as usize];
            next[*slot as usize] = *to;
            *slot += 1;
        }
        drop((edges, free));

        let mut ready: Vec<u32> =
            (0..nodes as u32).filter(|node| before[*node as usize] == 0).collect();
        let mut taken = 0;
        while let Some(node) = ready.pop() {
            taken += 1;
            let node = node as usize;
            for after in &next[starts[node] as usize..starts[node + 1] as usize] {
                before[*after as usize] -= 1;
                if before[*after as usize] == 0 {
                    ready.push(*after);
                }
            }
        }
        (taken < nodes).then(|| walk_back(&starts, &next, &before))
    }
}

/// Everything that is left has a predecessor that is left: going back leads into a cycle.
fn walk_back(starts: &[u32], next: &[u32], before: &[u32]) -> Vec<u32> {
    let is_left = |node: usize| before[node] > 0;
    let mut previous = vec![u32::MAX; before.len()];
    for node in (0..before.len()).filter(|node| is_left(*node)) {
        for after in &next[starts[node] as usize..starts[node + 1] as usize] {
            previous[*after as usize] = node as u32;
        }
    }
    let mut path = Vec::new();
    let mut place = vec![usize::MAX; before.len()];
    let mut node = (0..before.len()).find(|node| is_left(*node)).expect("something is left");
    while place[node] == usize::MAX {
        place[node] = path.len();
        path.push(node as u32);
        node = previous[node] as usize;
    }
    let mut cycle = path.split_off(place[node]);
    cycle.reverse();
    cycle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: usize, edges: &[(u32, u32)]) -> Graph {
        let mut graph = Graph::new(nodes);
        edges.iter().for_each(|(from, to)| graph.edge(*from, *to));
        graph
    }

    #[test]
    fn what_has_an_order_has_no_cycle() {
        assert_eq!(graph(0, &[]).cycle(), None);
        assert_eq!(graph(4, &[(3, 1), (1, 0), (3, 0), (0, 2), (3, 0)]).cycle(), None);
    }

    #[test]
    fn a_cycle_is_found_without_what_leads_to_it_and_what_follows() {
        let mut cycle =
            graph(6, &[(0, 1), (1, 2), (2, 3), (3, 1), (3, 4), (4, 5)]).cycle().unwrap();
        let first = cycle.iter().position(|node| *node == 1).unwrap();
        cycle.rotate_left(first);
        assert_eq!(cycle, [1, 2, 3]);
        assert_eq!(graph(2, &[(1, 1)]).cycle(), Some(vec![1]));
    }
}
