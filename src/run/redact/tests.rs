use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

fn redactor(secrets: &[&str]) -> Redactor {
    Redactor::new(secrets).unwrap()
}

fn in_pieces(redactor: &Redactor, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut stream = redactor.stream();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(text.len());
    let mut at = 0;
    for cut in cuts {
        stream.push(&text[at..cut], &mut out);
        at = cut;
    }
    stream.finish(&mut out);
    out
}

#[test]
fn a_secret_is_masked_wherever_the_writes_cut_it() {
    let redactor = redactor(&["canary-4711"]);
    let text = b"before canary-4711 after canary-471 end";
    for cut in 0..text.len() {
        let out = in_pieces(&redactor, text, &[cut]);
        assert_eq!(String::from_utf8(out).unwrap(), "before *** after canary-471 end", "cut at {cut}");
    }
}

#[test]
fn overlapping_secrets_leave_no_rest() {
    let redactor = redactor(&["abcdef", "defghi"]);
    assert_eq!(redactor.redact(b"xabcdefghix"), b"x***x");
}

#[test]
fn each_line_of_a_key_is_a_secret() {
    let redactor = redactor(&["-----BEGIN KEY-----\r\nMIIabcdef\nxyz\n"]);
    assert_eq!(redactor.redact(b"  MIIabcdef xyz"), b"  *** xyz");
}

/// Returns a secret in every encoding that shows each of its bytes.
fn encoded(secret: &str) -> Vec<String> {
    let url = |space: &str, hex: fn(u8) -> String| {
        let one = |byte: u8| match byte {
            b' ' => space.to_owned(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => hex(byte),
        };
        secret.bytes().map(one).collect::<String>()
    };
    let json = serde_json::to_string(secret).unwrap();
    let json = &json[1..json.len() - 1];
    let xml = secret.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    vec![
        secret.to_owned(),
        json.to_owned(),
        json.replace('/', "\\/"),
        json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e"),
        url("%20", |byte| format!("%{byte:02X}")),
        url("%20", |byte| format!("%{byte:02x}")),
        url("+", |byte| format!("%{byte:02X}")),
        url("+", |byte| format!("%{byte:02x}")),
        xml.replace('\'', "&apos;"),
        xml.replace('>', "&gt;").replace('\'', "&#39;"),
        secret.replace('\'', "'\\''"),
        secret.replace('\'', "'\"'\"'"),
        hex::encode(secret),
        hex::encode_upper(secret),
    ]
}

const AWKWARD: &str = "p4ss wörd/+&<\"'$x~";

#[test]
fn each_encoding_is_masked_at_any_split() {
    let redactor = redactor(&[AWKWARD]);
    for text in encoded(AWKWARD) {
        let line = format!("before {text} after\n");
        for cut in 0..=line.len() {
            let out = in_pieces(&redactor, line.as_bytes(), &[cut]);
            assert_eq!(String::from_utf8_lossy(&out), "before *** after\n", "{text} cut at {cut}");
        }
    }
}

#[test]
fn base64_is_masked_wherever_the_secret_stands_in_it_and_however_it_is_wrapped() {
    let secret = "s3cret-of-a-lane-9f8e7d6c5b4a";
    let redactor = redactor(&[secret]);
    for before in 0..80 {
        let text = format!("{}{secret}{}", "?".repeat(before), "?".repeat(90 - before));
        for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text), hex::encode(&text)] {
            for (width, end) in [(1000, "\n"), (76, "\n"), (76, "\r\n"), (64, "\n"), (60, "\n")] {
                let lines: Vec<&str> =
                    encoded.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap()).collect();
                let wrapped = lines.join(end);
                let whole = redactor.redact(wrapped.as_bytes());
                for cut in (0..wrapped.len()).step_by(7) {
                    assert_eq!(in_pieces(&redactor, wrapped.as_bytes(), &[cut]), whole, "cut at {cut}");
                }
                // What is left of the secret is at most the bits that share a character with its neighbours.
                let masked = String::from_utf8(whole).unwrap();
                let shown = masked.replace(MASK, "").replace(end, "");
                let whole_chars =
                    if encoded.len() > 200 { secret.len() * 2 } else { (secret.len() * 8 - 10) / 6 };
                assert!(masked.contains(MASK), "{wrapped}");
                assert!(encoded.len() - shown.len() >= whole_chars, "{wrapped}\n{masked}");
            }
        }
    }
}

#[test]
fn a_line_that_ends_in_the_beginning_of_a_secret_is_not_held_back() {
    let redactor = redactor(&["canary-4711"]);
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    stream.push(b"a word that ends in can\n", &mut out);
    assert_eq!(out, b"a word that ends in can\n");
}

#[test]
fn a_watch_tells_of_honeytokens_and_of_nothing_else() {
    let redactor = Redactor::watching(["a-secret-of-the-server"], ["gho_aDecoyOfThisRun01"]).unwrap();
    let watch = redactor.watch();
    assert_eq!(redactor.redact(b"a-secret-of-the-server"), b"***");
    assert!(!watch.saw(b"a-secret-of-the-server gho_anotherTokenThatIsReal012345") && !watch.is_seen());
    let encoded = STANDARD.encode("x gho_aDecoyOfThisRun01 y");
    let mut stream = watch.stream();
    assert!(!stream.saw(&encoded.as_bytes()[..15]));
    assert!(stream.saw(&encoded.as_bytes()[15..]) && stream.saw(b"later"));
    assert!(watch.is_seen() && !watch.is_printed());
    assert_eq!(redactor.redact(b"<gho_aDecoyOfThisRun01>"), b"<***>");
    assert!(watch.is_printed());
    let other = Redactor::watching([""; 0], ["gho_aDecoyOfThisRun02"]).unwrap();
    assert!(!other.watch().is_seen(), "each run has its own");
}

#[test]
fn short_values_are_ignored() {
    assert_eq!(redactor(&["abc", "a\nb"]).redact(b"abc a\nb"), b"abc a\nb");
}

#[test]
fn tokens_are_known_by_their_shape() {
    let redactor = redactor(&[]);
    let long = format!("ghs_{}.{}-{}", "A".repeat(170), "b".repeat(170), "C".repeat(170));
    let text = format!("x={long}; ghp_short github_pat_{} ghx_{}", "9".repeat(30), "a".repeat(30));
    let expected = format!("x=***; ghp_short *** ghx_{}", "a".repeat(30));
    for cut in 0..text.len() {
        let out = in_pieces(&redactor, text.as_bytes(), &[cut, cut + 7]);
        assert_eq!(String::from_utf8(out).unwrap(), expected, "cut at {cut}");
    }
}

#[test]
fn only_what_may_become_a_secret_is_held_back() {
    let redactor = redactor(&["canary-4711"]);
    let mut stream = redactor.stream();
    let mut out = Vec::new();
    stream.push(b"Password? ", &mut out);
    assert_eq!(out, b"Password? ");
    stream.push(b"It is can", &mut out);
    assert_eq!(out, b"Password? It is ");
    stream.push(b"ned", &mut out);
    assert_eq!(out, b"Password? It is canned");
}

#[test]
fn many_beginnings_of_tokens_cost_no_square_time() {
    let text = "ghp_".repeat(250_000);
    let started = std::time::Instant::now();
    assert_eq!(redactor(&[]).redact(text.as_bytes()), b"***");
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
}

proptest! {
    // A small alphabet makes overlaps and false beginnings likely. `*` is left out: a secret
    // made of the mask itself could be put together by masking.
    #[test]
    fn no_split_shows_a_secret(
        secrets in proptest::collection::vec("[abgh_p\n]{6,14}", 1..5),
        parts in proptest::collection::vec("[abgh_p\n]{0,9}", 0..6),
        picks in proptest::collection::vec(0usize..5, 0..6),
        cuts in proptest::collection::vec(0usize..200, 0..8),
    ) {
        let mut text = String::new();
        for (at, part) in parts.iter().enumerate() {
            text.push_str(part);
            if let Some(pick) = picks.get(at) {
                text.push_str(&secrets[pick % secrets.len()]);
            }
        }
        let redactor = Redactor::new(&secrets).unwrap();
        let whole = redactor.redact(text.as_bytes());
        let split = in_pieces(&redactor, text.as_bytes(), &cuts);
        prop_assert_eq!(&whole, &split);
        let shown = String::from_utf8(split).unwrap();
        for secret in &secrets {
            for piece in encodings::pieces(secret.as_bytes()) {
                let piece = String::from_utf8(piece).unwrap();
                prop_assert!(!shown.contains(&piece), "{shown:?} shows {piece:?}");
            }
        }
    }

    #[test]
    fn tokens_are_masked_at_any_split(
        before in "[ a-z_]{0,12}",
        body in "[A-Za-z0-9_.-]{20,600}",
        after in "[ \n]{1}[a-z ]{0,12}",
        cuts in proptest::collection::vec(0usize..700, 0..12),
    ) {
        let text = format!("{before} ghs_{body}{after}");
        let out = in_pieces(&redactor(&[]), text.as_bytes(), &cuts);
        prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{before} ***{after}"));
    }

    #[test]
    fn other_text_stays_as_it_is(
        text in proptest::collection::vec(any::<u8>(), 0..400),
        cuts in proptest::collection::vec(0usize..400, 0..8),
    ) {
        let redactor = redactor(&["\u{1F511}-a-secret-that-chance-does-not-make"]);
        prop_assert_eq!(in_pieces(&redactor, &text, &cuts), text);
    }
}

proptest! {
    #[test]
    fn no_encoding_survives_any_split(
        secret in "[a-zA-Z0-9/+&<>\"'$\\\\ ]{8,24}[a-z]{2}",
        pick in 0usize..14,
        cuts in proptest::collection::vec(0usize..300, 0..6),
    ) {
        let secret = secret.trim_start();
        prop_assume!(secret.len() >= SHORTEST_SECRET);
        let text = &encoded(secret)[pick];
        let out = in_pieces(&redactor(&[secret]), format!("<<{text}>>").as_bytes(), &cuts);
        prop_assert_eq!(String::from_utf8(out).unwrap(), "<<***>>");
    }

    #[test]
    fn wraps_and_splits_do_not_matter(
        text in "[QUJD=\r\n x-]{0,300}",
        secret in "[QUJD]{6,12}",
        cuts in proptest::collection::vec(0usize..300, 0..6),
    ) {
        let redactor = redactor(&[&secret]);
        let line = format!("{}\n{text}", "QUJD".repeat(12));
        prop_assert_eq!(in_pieces(&redactor, line.as_bytes(), &cuts), redactor.redact(line.as_bytes()));
    }
}

#[test]
fn building_and_a_flood_take_bounded_time() {
    let lines: Vec<String> = (0..27u8).map(|line| STANDARD.encode([line.wrapping_mul(37); 48])).collect();
    let tokens = ["gho_aDecoyOfThisRun0123456789abcdefghijk", "anotherDecoyOfThisRun0123456789abcdefghi"];
    let started = std::time::Instant::now();
    let redactor = Redactor::watching([lines.join("\n")], tokens).unwrap();
    assert!(redactor.rules.all.memory_usage() < 4 << 20, "{}", redactor.rules.all.memory_usage());
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    for piece in STANDARD.encode(vec![7; 1 << 20]).as_bytes().chunks(64 << 10) {
        out.clear();
        stream.push(piece, &mut out);
        assert!(stream.pending.len() <= redactor.rules.longest, "{} bytes are held", stream.pending.len());
    }
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
}
