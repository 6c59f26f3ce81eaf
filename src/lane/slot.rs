//! Slots: one for each run that goes on at a time, and the user that its steps are.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use super::give::Owner;

/// The first user id of slots. Ids from 1,879,048,192 to 2,147,483,647 are given to nobody (systemd's
/// table of user ids), so no file or process of the machine belongs to a slot by chance.
const FIRST_ID: u32 = 2_000_000_000;

/// The numbers that are in use in this process, whichever lane uses them.
#[derive(Debug, Default)]
pub(super) struct SlotPool {
    used: Mutex<BTreeSet<u32>>,
}

static POOL: LazyLock<Arc<SlotPool>> = LazyLock::new(Arc::default);

impl SlotPool {
    /// Returns the pool of this process.
    pub(super) fn of_process() -> Arc<Self> {
        Arc::clone(&POOL)
    }

    /// Takes the lowest free number.
    pub(super) fn take(self: &Arc<Self>, permit: Option<OwnedSemaphorePermit>) -> Slot {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (0..).find(|number| !used.contains(number)).unwrap_or(u32::MAX - FIRST_ID);
        used.insert(number);
        Slot { number, pool: Arc::clone(self), _permit: permit }
    }
}

/// One run's place in a lane; dropping it gives the place back.
#[derive(Debug)]
pub struct Slot {
    number: u32,
    pool: Arc<SlotPool>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Slot {
    /// Returns the slot's number; no other run of this process has it now.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns the user and group that the steps are on this machine, if they are not the server's
    /// own: a server that is root gives each slot a user that owns nothing but its run's folders.
    pub fn owner(&self) -> Option<Owner> {
        let id = FIRST_ID.saturating_add(self.number);
        rustix::process::geteuid().is_root().then_some(Owner { uid: id, gid: id })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.used.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_given_once_until_it_comes_back() {
        let pool = Arc::new(SlotPool::default());
        let (first, second) = (pool.take(None), pool.take(None));
        assert_eq!((first.number(), second.number()), (0, 1));
        drop(first);
        assert_eq!(pool.take(None).number(), 0);
    }
}
