use super::{Claim, Size};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// A request in the queue, and later in a batch.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    pub(crate) entry: T,
    pub(crate) claim: Claim,
    pub(crate) admitted: Instant,
}

/// Admitted requests, the oldest first, and what they and each client hold.
pub(super) struct Queue<T> {
    /// By admission number, so that the first is the oldest and any can leave.
    entries: BTreeMap<u64, Waiting<T>>,
    next: u64,
    held: Size,
    /// By client; only of those who hold some.
    by_client: BTreeMap<u64, Size>,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let held = Size { items: 0, bytes: 0 };
        Self { entries: BTreeMap::new(), next: 0, held, by_client: BTreeMap::new() }
    }

    /// Returns the admission number.
    pub(super) fn push(&mut self, waiting: Waiting<T>) -> u64 {
        let number = self.next;
        self.next += 1;
        let Claim { size, client, .. } = waiting.claim;
        self.held.items += size.items;
        self.held.bytes += size.bytes;
        let own = self.by_client.entry(client.0).or_insert(Size { items: 0, bytes: 0 });
        own.items += size.items;
        own.bytes += size.bytes;
        self.entries.insert(number, waiting);
        number
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Waiting<T>> {
        let waiting = self.entries.remove(&number)?;
        self.release(&waiting.claim);
        Some(waiting)
    }

    /// The oldest, if it takes no more than this.
    pub(super) fn pop_within(&mut self, room: Size) -> Option<Waiting<T>> {
        let first = self.entries.first_entry()?;
        let size = first.get().claim.size;
        if size.items > room.items || size.bytes > room.bytes {
            return None;
        }
        let waiting = first.remove();
        self.release(&waiting.claim);
        Some(waiting)
    }

    pub(super) fn take_all(&mut self) -> Vec<Waiting<T>> {
        let rest = std::mem::replace(self, Self { next: self.next, ..Self::new() });
        rest.entries.into_values().collect()
    }

    pub(super) fn oldest(&self) -> Option<&Waiting<T>> {
        self.entries.first_key_value().map(|(_, waiting)| waiting)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn held(&self) -> Size {
        self.held
    }

    /// What this client holds, and whether nobody else holds any.
    pub(super) fn share(&self, client: super::Client) -> (Size, bool) {
        let own = self.by_client.get(&client.0).copied();
        let others = self.by_client.len() - usize::from(own.is_some());
        (own.unwrap_or(Size { items: 0, bytes: 0 }), others == 0)
    }

    fn release(&mut self, claim: &Claim) {
        self.held.items -= claim.size.items;
        self.held.bytes -= claim.size.bytes;
        if let Some(held) = self.by_client.get_mut(&claim.client.0) {
            held.items -= claim.size.items;
            held.bytes -= claim.size.bytes;
            if held.items == 0 {
                self.by_client.remove(&claim.client.0);
            }
        }
    }
}
