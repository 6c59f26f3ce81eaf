//! SQLite's write-ahead log, as far as its soundness goes (<https://www.sqlite.org/fileformat2.html#walformat>).
//!
//! SQLite reads the log up to the first frame whose checksum is wrong, and drops the rest without a
//! word. That is right for what a crash left half written. It is wrong for a log that was damaged
//! later: transactions that were confirmed would be gone.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Tells whether whole transactions follow the first wrong frame. Each commit is on the disk before the
/// next one begins, so a crash leaves at most one transaction behind such a frame.
pub(super) fn is_broken(log: &Path) -> io::Result<bool> {
    let looks_broken = || match File::open(log) {
        Ok(file) => Ok(commits_lost(&mut BufReader::new(file))? > 1),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    // Another command may have begun the log anew while it was read; it looks right the second time.
    Ok(looks_broken()? && looks_broken()?)
}

/// Counts the commits of this log's generation from the first wrong frame on.
fn commits_lost(log: &mut impl Read) -> io::Result<u64> {
    let mut header = [0; HEADER];
    if !filled(log, &mut header)? {
        return Ok(0);
    }
    let big_endian = match number(&header, 0) {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return Ok(0),
    };
    let (page, salts) = (number(&header, 8) as usize, &header[16..24]);
    let mut sum = checksum((0, 0), &header[..24], big_endian);
    if sum != (number(&header, 24), number(&header, 28)) || !(512..=65_536).contains(&page) {
        return Ok(0);
    }
    let mut frame = vec![0; FRAME_HEADER + page];
    let (mut sound, mut lost) = (true, 0);
    while filled(log, &mut frame)? {
        let of_this_log = frame[8..16] == *salts;
        if sound {
            sum = checksum(checksum(sum, &frame[..8], big_endian), &frame[FRAME_HEADER..], big_endian);
            sound = of_this_log && sum == (number(&frame, 16), number(&frame, 20));
        }
        // A frame that ends a transaction holds the size of the database after it.
        lost += u64::from(!sound && of_this_log && number(&frame, 4) > 0);
    }
    Ok(lost)
}

/// Fills the buffer, or tells that what is left does not.
fn filled(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_be_bytes)
}

fn checksum((mut a, mut b): (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let read = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    for pair in bytes.as_chunks::<8>().0 {
        let [x0, x1, x2, x3, y0, y1, y2, y3] = *pair;
        a = a.wrapping_add(read([x0, x1, x2, x3])).wrapping_add(b);
        b = b.wrapping_add(read([y0, y1, y2, y3])).wrapping_add(a);
    }
    (a, b)
}
