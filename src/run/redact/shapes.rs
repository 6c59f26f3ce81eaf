//! Tokens that are known by their shape, whoever they belong to.

/// What a shape makes of the bytes after its beginning.
pub(super) enum Judgement {
    No,
    /// The next bytes decide.
    Undecided,
    /// It is a token; so many bytes after the beginning belong to it in any case.
    Yes(usize),
}

/// One shape: a beginning, what decides, and what else belongs to it.
pub(super) struct Shape {
    /// Tells that the beginning is no part of a longer word.
    alone: bool,
    judge: fn(&[u8]) -> Judgement,
    body: fn(u8) -> bool,
}

/// All shapes; [`STARTS`] leads to them.
pub(super) const SHAPES: [Shape; 9] = [
    Shape { alone: false, judge: |rest| at_least(20, dotted, rest), body: dotted },
    Shape { alone: true, judge: web_token, body: dotted },
    Shape { alone: true, judge: |rest| at_least(16, upper, rest), body: upper },
    Shape { alone: false, judge: |rest| at_least(10, dashed, rest), body: dashed },
    Shape { alone: true, judge: open_ai, body: word },
    Shape { alone: false, judge: private_key, body: pem },
    Shape { alone: true, judge: |rest| at_least(20, word, rest), body: word },
    Shape { alone: true, judge: |rest| at_least(36, plain, rest), body: plain },
    Shape { alone: true, judge: |rest| at_least(35, word, rest), body: word },
];

/// The beginnings with their shape: of GitHub (personal, OAuth, user, server, refresh, fine-grained
/// personal), JSON web tokens, AWS access keys, Slack, OpenAI and Anthropic, PEM private keys, GitLab,
/// npm and Google (each by its issuer's documentation of token formats).
pub(super) const STARTS: [(&str, usize); 23] = [
    ("ghp_", 0),
    ("gho_", 0),
    ("ghu_", 0),
    ("ghs_", 0),
    ("ghr_", 0),
    ("github_pat_", 0),
    ("eyJ", 1),
    ("AKIA", 2),
    ("ASIA", 2),
    ("xoxa-", 3),
    ("xoxb-", 3),
    ("xoxc-", 3),
    ("xoxd-", 3),
    ("xoxe-", 3),
    ("xoxo-", 3),
    ("xoxp-", 3),
    ("xoxr-", 3),
    ("xoxs-", 3),
    ("sk-", 4),
    ("-----BEGIN ", 5),
    ("glpat-", 6),
    ("npm_", 7),
    ("AIza", 8),
];

/// The most bytes of a beginning.
pub(super) const LONGEST_START: usize = 11;

/// The longest header of a JSON web token that is looked for, and of a PEM label, in bytes.
const LONGEST_HEADER: usize = 512;
const LONGEST_LABEL: usize = 40;

/// How many bytes of base64 after its label make a private key, so that a label alone is shown.
const LEAST_KEY: usize = 32;

/// A set of shapes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shapes(u16);

impl Shapes {
    pub(super) fn insert(&mut self, shape: usize) {
        self.0 |= 1 << shape;
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        (0..SHAPES.len()).filter(move |shape| self.0 & (1 << shape) != 0)
    }
}

impl Shape {
    /// Judges what follows a beginning; `last` is the byte before it.
    pub(super) fn judge(&self, last: Option<u8>, rest: &[u8]) -> Judgement {
        if self.alone && last.is_some_and(word) { Judgement::No } else { (self.judge)(rest) }
    }

    /// Counts the first bytes that a token goes on with.
    pub(super) fn run(&self, text: &[u8]) -> usize {
        run(self.body, text)
    }
}

fn run(body: fn(u8) -> bool, text: &[u8]) -> usize {
    text.iter().position(|byte| !body(*byte)).unwrap_or(text.len())
}

fn at_least(least: usize, body: fn(u8) -> bool, rest: &[u8]) -> Judgement {
    match run(body, &rest[..rest.len().min(least)]) {
        found if found == least => Judgement::Yes(least),
        found if found == rest.len() => Judgement::Undecided,
        _ => Judgement::No,
    }
}

/// Judges header and payload, which are both JSON objects, so that the second begins as the first does.
fn web_token(rest: &[u8]) -> Judgement {
    const PAYLOAD: &[u8] = b".eyJ";
    let header = run(word, &rest[..rest.len().min(LONGEST_HEADER)]);
    let next = &rest[header..];
    if next.starts_with(PAYLOAD) {
        Judgement::Yes(header + PAYLOAD.len())
    } else if header < LONGEST_HEADER && PAYLOAD.starts_with(next) {
        Judgement::Undecided
    } else {
        Judgement::No
    }
}

/// Judges 20 characters; names of CSS classes and the like have neither capitals nor digits.
fn open_ai(rest: &[u8]) -> Judgement {
    match at_least(20, word, rest) {
        Judgement::Yes(least)
            if !rest[..least].iter().any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) =>
        {
            Judgement::No
        }
        judgement => judgement,
    }
}

/// Judges the rest of a label and the beginning of what it labels.
fn private_key(rest: &[u8]) -> Judgement {
    const END: &[u8] = b"PRIVATE KEY-----";
    let label = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ';
    let most = &rest[..rest.len().min(LONGEST_LABEL)];
    let words = most.iter().position(|byte| !label(*byte)).unwrap_or(most.len());
    let Some(end) = most[..words].windows(11).rposition(|window| window == &END[..11]) else {
        let open = words == rest.len() && words < LONGEST_LABEL;
        return if open { Judgement::Undecided } else { Judgement::No };
    };
    let after = &rest[end..];
    if !after.starts_with(END) {
        return if END.starts_with(after) { Judgement::Undecided } else { Judgement::No };
    }
    let body = &after[END.len()..];
    let gap = body.iter().take(8).take_while(|byte| byte.is_ascii_whitespace() || **byte == b'\\').count();
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    match at_least(LEAST_KEY, base64, &body[gap..]) {
        Judgement::Yes(least) => Judgement::Yes(end + END.len() + gap + least),
        judgement => judgement,
    }
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn dashed(byte: u8) -> bool {
    plain(byte) || byte == b'-'
}

fn word(byte: u8) -> bool {
    dashed(byte) || byte == b'_'
}

fn dotted(byte: u8) -> bool {
    word(byte) || byte == b'.'
}

/// Tells what stands between a key's two labels, in a file or escaped on one line.
fn pem(byte: u8) -> bool {
    plain(byte) || b"+/=\\".contains(&byte) || byte.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::Redactor;

    fn shown(text: &str) -> String {
        let redactor = Redactor::new([""; 0]).unwrap();
        let whole = redactor.redact(text.as_bytes());
        for cut in 0..text.len() {
            let (one, other) = text.as_bytes().split_at(cut);
            let mut out = Vec::new();
            let mut stream = redactor.stream();
            stream.push(one, &mut out);
            stream.push(other, &mut out);
            stream.finish(&mut out);
            assert_eq!(out, whole, "cut at {cut}");
        }
        String::from_utf8(whole).unwrap()
    }

    #[rstest]
    #[case::aws(concat!("id AKIA", "IOSFODNN7EXAMPLE."), "id ***.")]
    #[case::slack(concat!("xoxb", "-1234567890-abcdef!"), "***!")]
    #[case::openai(concat!("OPENAI=sk-", "proj-AbC123dEf456GhI789"), "OPENAI=***")]
    #[case::web_token(concat!("Bearer eyJ", "hbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.c2ln-_x y"), "Bearer *** y")]
    #[case::gitlab(concat!("glpat", "-abcdefghij0123456789"), "***")]
    #[case::npm(concat!("=npm", "_abcdefghijklmnopqrstuvwxyz0123456789"), "=***")]
    #[case::google(concat!("AIza", "SyA-abcdefghijklmnopqrstuvwxyz01234"), "***")]
    #[case::two_at_once(concat!("xoxb", "-1111111111-ghp", "_AAAAAAAAAAAAAAAAAAAAAAAA x"), "*** x")]
    fn tokens_of_others_are_masked(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(shown(text), expected);
    }

    #[rstest]
    #[case::kebab("class=\"sk-folding-cube-with-a-long-name\"")]
    #[case::inside_a_word("task-0123456789abcdefghijklmn")]
    #[case::a_label_alone("a.pem:-----BEGIN RSA PRIVATE KEY-----\nb.pem: none")]
    #[case::a_public_key("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKC\n")]
    #[case::json_in_base64("eyJhbGciOiJSUzI1NiJ9eyJhbGciOiJSUzI1NiJ9 and more")]
    #[case::a_word_of_capitals("AKIAND AKIA0123456789abcdef")]
    fn what_only_looks_similar_is_shown(#[case] text: &str) {
        assert_eq!(shown(text), text);
    }

    #[test]
    fn private_keys_are_masked_as_they_stand_in_files_and_in_json() {
        let line = "MIIEowIBAAKCAQEAx+b/0123456789abcdefABCDEF0123456789abcdefABCDEF";
        let begin = concat!("-----BEGIN RSA PRIVATE", " KEY-----");
        let end = concat!("-----END RSA PRIVATE", " KEY-----");
        assert_eq!(shown(&format!("x\n{begin}\n{line}\n{line}=\n{end}\ny")), format!("x\n***{end}\ny"));
        assert_eq!(shown(&format!("{{\"{begin}\\n{line}\\n{end}\"}}")), format!("{{\"***{end}\"}}"));
    }
}
