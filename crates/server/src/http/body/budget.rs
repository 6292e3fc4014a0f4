//! Room for bodies, shared fairly by those who send them.

use crate::http::client_key::ClientKey;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much of what is free one client may hold: four times as much. Alone it can fill 80 %, two can fill
/// 89 % together, and whoever comes next finds room.
///
/// A dynamic threshold, after Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory
/// packet switches", 1998.
const ALPHA: usize = 4;

/// Bytes of bodies that may be held at the same moment, over all connections. The queue's bound counts
/// only what has been read.
#[derive(Clone)]
pub(crate) struct BodyBudget(Arc<Budget>);

struct Budget {
    /// Bytes that any client may hold while there is room: one body.
    one: usize,
    room: Mutex<Room>,
}

struct Room {
    free: usize,
    /// Nobody is kept who holds nothing.
    held: BTreeMap<ClientKey, usize>,
}

/// What one body has taken of the budget; given back when it is dropped.
pub(crate) struct Share {
    budget: BodyBudget,
    client: ClientKey,
    bytes: usize,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// For nobody.
    Full,
    /// For this client, which holds more than its share.
    ForClient,
}

impl BodyBudget {
    /// `bytes` for all, of which a client may hold `one` without regard to its share.
    pub(crate) fn new(bytes: usize, one: usize) -> Self {
        let room = Mutex::new(Room { free: bytes, held: BTreeMap::new() });
        Self(Arc::new(Budget { one, room }))
    }

    /// A share of nothing, to grow as bytes arrive.
    pub(crate) fn share(&self, client: ClientKey) -> Share {
        Share { budget: self.clone(), client, bytes: 0 }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes room for `bytes` more.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if bytes == 0 {
            return Ok(());
        }
        let mut room = self.budget.room();
        let held = room.held.get(&self.client).copied().unwrap_or(0) + bytes;
        if bytes > room.free {
            return Err(NoRoom::Full);
        }
        if held > self.budget.0.one.max(room.free.saturating_mul(ALPHA)) {
            return Err(NoRoom::ForClient);
        }
        room.free -= bytes;
        room.held.insert(self.client, held);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut room = self.budget.room();
        room.free += self.bytes;
        if let Some(held) = room.held.get_mut(&self.client) {
            *held -= self.bytes;
            if *held == 0 {
                room.held.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyBudget, NoRoom, Share};
    use crate::http::client_key::ClientKey;

    /// Takes single bytes until there is no room.
    fn fill(budget: &BodyBudget, client: u64) -> (Vec<Share>, NoRoom) {
        let mut shares = Vec::new();
        loop {
            let mut share = budget.share(ClientKey(client));
            match share.grow(1) {
                Ok(()) => shares.push(share),
                Err(why) => return (shares, why),
            }
        }
    }

    #[test]
    fn one_client_leaves_room_for_the_next_ones() {
        let budget = BodyBudget::new(1000, 1);
        let (first, why) = fill(&budget, 1);
        assert_eq!((first.len(), why), (800, NoRoom::ForClient));
        let (second, why) = fill(&budget, 2);
        assert_eq!((second.len(), why), (160, NoRoom::ForClient));
        assert_eq!(budget.share(ClientKey(3)).grow(1), Ok(()));
        drop(first);
        assert!(fill(&budget, 2).0.len() > 500, "a share grows with what is free");
    }

    #[test]
    fn everything_is_given_back() {
        let budget = BodyBudget::new(1000, 1);
        let mut share = budget.share(ClientKey(1));
        assert_eq!(share.grow(300), Ok(()));
        assert_eq!(share.grow(1001), Err(NoRoom::Full));
        assert_eq!(share.grow(600), Ok(()));
        assert_eq!(share.grow(1), Err(NoRoom::ForClient));
        drop(share);
        let room = budget.room();
        assert_eq!((room.free, room.held.len()), (1000, 0));
    }

    #[test]
    fn one_body_always_fits_while_there_is_room() {
        let budget = BodyBudget::new(1000, 1000);
        let mut share = budget.share(ClientKey(1));
        assert_eq!(share.grow(999), Ok(()));
        assert_eq!(share.grow(1), Ok(()));
        assert_eq!(share.grow(1), Err(NoRoom::Full));
    }
}
