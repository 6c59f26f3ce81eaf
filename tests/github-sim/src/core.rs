//! The one shared value: the world behind a lock, and a counter that wakes whoever waits for a change.

use crate::world::World;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

pub(crate) type Shared = Arc<Core>;

pub(crate) struct Core {
    world: Mutex<World>,
    changes: watch::Sender<u64>,
    /// Folder of the bare repositories.
    pub(crate) root: PathBuf,
}

impl Core {
    pub(crate) fn new(world: World, root: PathBuf) -> Self {
        Self { world: Mutex::new(world), changes: watch::Sender::new(0), root }
    }

    pub(crate) fn read(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the world for a change; waiters wake when the guard goes.
    pub(crate) fn write(&self) -> Writing<'_> {
        Writing { world: Some(self.read()), changes: &self.changes }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Holds the lock for a change and tells the waiters after it is released.
pub(crate) struct Writing<'a> {
    // Always there until drop; an Option so that drop can release before it notifies.
    world: Option<MutexGuard<'a, World>>,
    changes: &'a watch::Sender<u64>,
}

impl Deref for Writing<'_> {
    type Target = World;
    fn deref(&self) -> &World {
        match &self.world {
            Some(world) => world,
            None => unreachable!("the guard is taken only in drop"),
        }
    }
}

impl DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut World {
        match &mut self.world {
            Some(world) => world,
            None => unreachable!("the guard is taken only in drop"),
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        drop(self.world.take());
        self.changes.send_modify(|count| *count += 1);
    }
}
