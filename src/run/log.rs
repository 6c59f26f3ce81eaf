//! A step's log: the head goes to the file as it comes, the tail is kept and written at the end, the
//! middle is counted. Memory stays constant whatever a step prints.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::config::Limits;
use crate::run::report::LogSummary;

/// One step's log while it is written. The bytes must have been redacted before.
#[derive(Debug)]
pub struct StepLog {
    file: Hashed,
    head_left: usize,
    total: u64,
    head: u64,
    tail: Ring,
    /// Holds the last bytes whether they went to head or tail, for comments.
    last: Ring,
}

impl StepLog {
    /// Creates the log's file, readable by the server's user only.
    ///
    /// # Errors
    /// Fails when the file exists already or cannot be made.
    pub fn create(path: &Path, limits: &Limits) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self {
            file: Hashed { file, hash: Sha256::new() },
            head_left: limits.log_head_bytes,
            total: 0,
            head: 0,
            tail: Ring::new(limits.log_tail_bytes),
            last: Ring::new(limits.comment_tail_bytes),
        })
    }

    /// Takes the next output.
    ///
    /// # Errors
    /// Fails when the file cannot be written, such as on a full disk.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.total += bytes.len() as u64;
        self.last.push(bytes);
        let (head, tail) = bytes.split_at(bytes.len().min(self.head_left));
        if !head.is_empty() {
            // At most `log_head_bytes` a step into the page cache: no reason to leave the thread.
            self.file.write_all(head)?;
            self.head_left -= head.len();
            self.head += head.len() as u64;
        }
        self.tail.push(tail);
        Ok(())
    }

    /// Writes the tail and tells what was kept.
    ///
    /// # Errors
    /// Fails when the file cannot be written.
    pub fn finish(mut self) -> io::Result<LogSummary> {
        let omitted = self.total - self.head - self.tail.bytes.len() as u64;
        if omitted > 0 {
            write!(self.file, "\n… {omitted} bytes omitted …\n")?;
        }
        let (first, second) = self.tail.bytes.as_slices();
        self.file.write_all(first)?;
        self.file.write_all(second)?;
        let tail = self.last_lines();
        let sha256 = hex::encode(self.file.hash.finalize());
        Ok(LogSummary { total_bytes: self.total, omitted_bytes: omitted, tail, sha256 })
    }

    fn last_lines(&mut self) -> String {
        let cut = self.total > self.last.bytes.len() as u64;
        last_lines(self.last.bytes.make_contiguous(), cut, self.last.room)
    }
}

/// A file of which is known what was written to it.
#[derive(Debug)]
struct Hashed {
    file: File,
    hash: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Returns `bytes` as text of at most `room` bytes; where something was cut off before it, the text
/// starts with a whole line, if the last line leaves room for one.
fn last_lines(bytes: &[u8], cut: bool, room: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    // A byte that is no UTF-8 became three.
    let mut from = text.len().saturating_sub(room);
    let cut = cut || from > 0;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let mut text = &text[from..];
    if cut {
        let trimmed = text.trim_start_matches('\u{FFFD}');
        text = match trimmed.split_once('\n') {
            Some((_, rest)) if !rest.is_empty() => rest,
            _ => trimmed,
        };
    }
    text.to_owned()
}

/// The last bytes of a stream.
#[derive(Debug)]
struct Ring {
    bytes: VecDeque<u8>,
    room: usize,
}

impl Ring {
    fn new(room: usize) -> Self {
        Self { bytes: VecDeque::new(), room }
    }

    fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.room)..];
        let over = (self.bytes.len() + bytes.len()).saturating_sub(self.room);
        self.bytes.drain(..over);
        self.bytes.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(head: usize, tail: usize, comment: usize) -> Limits {
        Limits {
            log_head_bytes: head,
            log_tail_bytes: tail,
            comment_tail_bytes: comment,
            ..Limits::default()
        }
    }

    fn written(limits: &Limits, pieces: &[&[u8]]) -> (String, LogSummary) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("step.log");
        let mut log = StepLog::create(&path, limits).unwrap();
        for piece in pieces {
            log.write(piece).unwrap();
        }
        let summary = log.finish().unwrap();
        (String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned(), summary)
    }

    #[test]
    fn a_short_log_is_kept_whole() {
        let (file, summary) = written(&limits(8, 8, 100), &[b"one\ntw", b"o\nthree\n"]);
        assert_eq!(file, "one\ntwo\nthree\n");
        // By `printf 'one\ntwo\nthree\n' | sha256sum`.
        let sha256 = "b6285c57e8797db5d4c51c80d6f11938afda9b11c6a003549709189e9b4b92a2".into();
        assert_eq!(
            summary,
            LogSummary { total_bytes: 14, omitted_bytes: 0, tail: "one\ntwo\nthree\n".into(), sha256 }
        );
    }

    #[test]
    fn the_middle_is_counted() {
        let (file, summary) = written(&limits(4, 4, 100), &[b"head", b"middle", b"tail"]);
        assert_eq!(file, "head\n… 6 bytes omitted …\ntail");
        assert_eq!((summary.total_bytes, summary.omitted_bytes), (14, 6));
        assert_eq!(summary.sha256, hex::encode(Sha256::digest(&file)));
    }

    #[test]
    fn the_tail_spans_head_and_ring() {
        let (_, summary) = written(&limits(10, 10, 9), &[b"one\ntwo\nthree\nfour\n"]);
        assert_eq!(summary.tail, "four\n");
    }

    #[test]
    fn an_endless_line_is_cut_at_a_character() {
        assert_eq!(last_lines("\u{e9}".repeat(10).as_bytes(), false, 5), "\u{e9}\u{e9}");
        assert_eq!(last_lines(b"\xa9abc", true, 8), "abc");
    }

    #[test]
    fn bytes_that_are_no_text_stay_within_the_bound() {
        let tail = last_lines(&[0xff; 300], true, 300);
        assert!(tail.len() <= 300, "{}", tail.len());
    }

    #[test]
    fn a_ring_of_no_room_keeps_nothing() {
        let (file, summary) = written(&limits(2, 0, 0), &[b"abc"]);
        assert_eq!(file, "ab\n… 1 bytes omitted …\n");
        assert_eq!(summary.tail, "");
    }

    #[test]
    fn memory_stays_within_the_bounds() {
        let mut ring = Ring::new(1000);
        for _ in 0..1000 {
            ring.push(&[b'x'; 999]);
        }
        assert!(ring.bytes.capacity() <= 4096, "{}", ring.bytes.capacity());
    }
}
