//! Looking for processes by a word in their arguments, without asking those who should have ended them.

use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::Instant;

/// How often it is looked again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until a process with an argument that begins so is there; tells whether it came in time.
pub(super) async fn appeared(word: &str, within: Duration) -> bool {
    until(within, || !find(word).is_empty()).await
}

/// Waits until no process with an argument that begins so is there; returns how many stayed. Those
/// are killed, so that a rehearsal leaves nothing behind.
pub(super) async fn left(word: &str, within: Duration) -> usize {
    if until(within, || find(word).is_empty()).await {
        return 0;
    }
    let stayed = find(word);
    for id in &stayed {
        // Bound to the process before it is looked at again: ids come back in use.
        let process = Pid::from_raw(*id).and_then(|id| pidfd_open(id, PidfdFlags::empty()).ok());
        if let (Some(process), true) = (process, is_it(*id, word)) {
            let _gone_already = pidfd_send_signal(&process, Signal::KILL);
        }
    }
    stayed.len()
}

async fn until(within: Duration, holds: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + within;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    true
}

fn find(word: &str) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|id| is_it(*id, word)).collect()
}

fn is_it(id: i32, word: &str) -> bool {
    let arguments = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    arguments.split(|byte| *byte == 0).any(|argument| argument.starts_with(word.as_bytes()))
}
