use super::*;

fn blobs() -> (tempfile::TempDir, Blobs) {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path().join("blobs")).unwrap();
    (dir, blobs)
}

#[test]
fn content_comes_back_under_its_sha_256() {
    let (_dir, blobs) = blobs();
    let (id, size) = blobs.put(&b"hello\n"[..], 6).unwrap();
    assert_eq!(id.to_string(), "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    assert_eq!((size, id), (6, BlobId::of(b"hello\n")));
    assert_eq!(blobs.get(&id, 6).unwrap(), b"hello\n");
    assert!(blobs.contains(&id));
    let json = serde_json::to_string(&id).unwrap();
    assert_eq!(serde_json::from_str::<BlobId>(&json).unwrap(), id);
}

#[test]
fn content_beyond_the_limit_leaves_nothing() {
    let (dir, blobs) = blobs();
    let error = blobs.put(io::repeat(7), 1 << 20).unwrap_err();
    assert!(matches!(error, BlobError::TooLarge { limit: 1_048_576 }), "{error}");
    let tmp = fs::read_dir(dir.path().join("blobs/tmp")).unwrap().count();
    assert_eq!(tmp, 0);
}

#[test]
fn a_damaged_blob_is_noticed_and_repaired_by_storing_it_again() {
    let (_dir, blobs) = blobs();
    let (id, _) = blobs.put(&b"one"[..], 9).unwrap();
    fs::write(blobs.path(&id), "two").unwrap();
    assert!(matches!(blobs.get(&id, 9), Err(BlobError::Damaged(_))));
    assert!(matches!(blobs.copy_to(&id, &mut io::sink()), Err(BlobError::Damaged(_))));
    blobs.put(&b"one"[..], 9).unwrap();
    assert_eq!(blobs.get(&id, 9).unwrap(), b"one");
}

#[test]
fn what_a_killed_server_left_goes_after_a_day() {
    let (dir, blobs) = blobs();
    let tmp = dir.path().join("blobs/tmp");
    for (name, age) in [("put-old", 25), ("put-new", 1)] {
        let file = File::create(tmp.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_hours(age)).unwrap();
    }
    Blobs::open(&blobs.root).unwrap();
    assert!(!tmp.join("put-old").exists() && tmp.join("put-new").exists());
}

#[test]
fn the_one_process_that_stores_blobs_clears_everything_half_written() {
    let (dir, blobs) = blobs();
    let left = dir.path().join("blobs/tmp/put-new");
    File::create(&left).unwrap();
    Blobs::open_alone(&blobs.root).unwrap();
    assert!(!left.exists());
}

fn aged(blobs: &Blobs, content: &[u8]) -> BlobId {
    let (id, _) = blobs.put(content, 99).unwrap();
    let file = File::options().write(true).open(blobs.path(&id)).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_hours(25)).unwrap();
    id
}

#[test]
fn sweeping_spares_what_is_named_what_is_young_and_what_was_stored_again() {
    let (_dir, blobs) = blobs();
    let [old, named, again] = [&b"old"[..], b"named", b"again"].map(|content| aged(&blobs, content));
    let (young, _) = blobs.put(&b"young"[..], 9).unwrap();
    blobs.put(&b"again"[..], 9).unwrap();
    let day = Duration::from_hours(24);
    let kept = blobs.keep_all().unwrap();
    assert_eq!(blobs.sweep(&HashSet::from([named]), day).unwrap(), 0, "a backup copies them");
    drop(kept);
    assert_eq!(blobs.sweep(&HashSet::from([named]), day).unwrap(), 1);
    assert!(!blobs.contains(&old));
    assert!([named, again, young].iter().all(|id| blobs.contains(id)));
}

#[test]
fn a_damaged_blob_is_not_copied() {
    let (_dir, from) = blobs();
    let (_other, to) = blobs();
    let (id, _) = from.put(&b"one"[..], 9).unwrap();
    assert_eq!(to.copy_from(&from, &id).unwrap(), 3);
    fs::remove_file(to.path(&id)).unwrap();
    fs::write(from.path(&id), "two").unwrap();
    assert!(matches!(to.copy_from(&from, &id), Err(BlobError::Damaged(_))));
    assert!(!to.contains(&id) && !to.contains(&BlobId::of(b"two")));
}

#[test]
fn a_reader_that_fails_stores_nothing() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let (dir, blobs) = blobs();
    assert!(blobs.put((&b"abc"[..]).chain(Failing), 99).is_err());
    assert_eq!(fs::read_dir(dir.path().join("blobs")).unwrap().count(), 1);
}
