//! The envelope of a receipt: DSSE version 1, with exactly one signature.
//!
//! What is signed is `DSSEv1 LEN(type) type LEN(payload) payload` over the payload's bytes as they stand, so
//! that nothing has to be written anew to be checked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::key::{PublicKey, SigningKey};
use super::statement::Statement;

/// The type of the payload, by in-toto.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Bounds an envelope, in bytes: 50 steps with the longest names stay well below.
pub const MAX_ENVELOPE: usize = 256 << 10;

/// A receipt that was read; nothing is known of its signature before [`Receipt::signed_by`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Holds what it says.
    pub statement: Statement,
    /// Names the key that it says it is signed by: 64 lower-case hex digits.
    pub key_id: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    keyid: String,
    sig: String,
}

/// Signs a statement.
///
/// Fails only when the statement cannot be written as JSON.
pub fn seal(statement: &Statement, key: &SigningKey) -> Result<Receipt, serde_json::Error> {
    let payload = serde_json::to_vec(statement)?;
    let signature = key.sign(&signed_bytes(&payload));
    Ok(Receipt { statement: statement.clone(), key_id: key.public().id(), payload, signature })
}

impl Receipt {
    /// Reads an envelope; fails with what is wrong, for people.
    pub fn read(json: &str) -> Result<Self, String> {
        if json.len() > MAX_ENVELOPE {
            return Err(format!("it has more than {MAX_ENVELOPE} bytes"));
        }
        let envelope: Envelope = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(format!("its `payloadType` is not `{PAYLOAD_TYPE}`"));
        }
        let [Signature { keyid, sig }] = &envelope.signatures[..] else {
            return Err(format!("it has {} signatures, and not one", envelope.signatures.len()));
        };
        let decode = |field: &str, text: &str| {
            STANDARD.decode(text).map_err(|_| format!("its `{field}` is not base64"))
        };
        let (payload, signature) = (decode("payload", &envelope.payload)?, decode("sig", sig)?);
        let hex = keyid.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if keyid.len() != 64 || !hex || signature.len() != 64 {
            return Err("its signature has not the shape of Ed25519's, or its key no name".to_owned());
        }
        let statement = Statement::read(&payload)?;
        Ok(Self { statement, key_id: keyid.clone(), payload, signature })
    }

    /// Returns the envelope as one line of JSON.
    pub fn json(&self) -> String {
        let envelope = Envelope {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: STANDARD.encode(&self.payload),
            signatures: vec![Signature { keyid: self.key_id.clone(), sig: STANDARD.encode(&self.signature) }],
        };
        serde_json::to_string(&envelope).unwrap_or_default()
    }

    /// Returns what names the receipt: the SHA-256 of the signed payload, 64 lower-case hex digits.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(&self.payload))
    }

    /// Tells whether this key signed it, whatever key it names.
    pub fn signed_by(&self, key: &PublicKey) -> bool {
        key.signed(&signed_bytes(&self.payload), &self.signature)
    }
}

/// Returns DSSE's pre-authentication encoding of a payload.
fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::receipt::statement::*;

    pub(in crate::receipt) fn key() -> SigningKey {
        SigningKey::from_seed(&[7; 32]).unwrap()
    }

    pub(in crate::receipt) fn statement() -> Statement {
        let account = |login: &str, id| Account { login: login.to_owned(), id };
        let time = || "2026-11-21T18:00:00.000Z".to_owned();
        let text = "executor: devbox-codex\n";
        let step = |name: &str, log: Option<&str>| StepFacts {
            name: name.to_owned(),
            status: if log.is_some() { "succeeded" } else { "skipped" }.to_owned(),
            exit_code: log.map(|_| 0),
            signal: None,
            log: log.map(|log| Sha256Digest { sha256: hex::encode(Sha256::digest(log)) }),
        };
        let predicate = Predicate {
            brief: BriefFacts {
                id: "3f".repeat(32),
                sha256: hex::encode(Sha256::digest(text)),
                block: 0,
                url: "https://github.com/octo/example/issues/1".to_owned(),
            },
            repository: RepositoryFacts { id: 7, name: "octo/example".to_owned() },
            base: Base { branch: "main".to_owned(), git_commit: "b".repeat(40), onto: None },
            branch: "codex-brief/1-reports-add-it-3f3f3f3f3f3f".to_owned(),
            run: RunFacts {
                id: "019aa6a0-0000-7000-8000-000000000000".to_owned(),
                epoch: 1,
                lane: "devbox-codex".to_owned(),
                queued_at: time(),
                started_at: time(),
                ended_at: time(),
            },
            steps: vec![step("count", Some("one\n")), step("clean up", None)],
            policy: Sha256Digest { sha256: "d".repeat(64) },
            approval: Some(ApprovalFacts { digest: "e".repeat(32), by: account("olga", 3), at: time() }),
            requested_by: account("maria", 2),
            author: account("maria", 2),
            server: ServerFacts { name: "codex-brief".to_owned(), version: "0.1.0".to_owned() },
            issued_at: time(),
        };
        let commit = CommitDigest { git_commit: "c".repeat(40), git_tree: "a".repeat(40) };
        Statement::about("https://github.com/octo/example".to_owned(), commit, predicate)
    }

    #[test]
    fn a_receipt_comes_back_as_it_was_and_only_its_key_signed_it() {
        let receipt = seal(&statement(), &key()).unwrap();
        let read = Receipt::read(&receipt.json()).unwrap();
        assert_eq!(read, receipt);
        assert!(read.signed_by(&key().public()));
        assert!(!read.signed_by(&SigningKey::from_seed(&[8; 32]).unwrap().public()));
        assert_eq!(read.digest().len(), 64);
    }

    /// What other programs read must stay as it is; this one was signed by `openssl pkeyutl -sign -rawin`.
    #[test]
    fn a_receipt_of_the_first_version_can_be_checked_for_ever() {
        let kept = include_str!("../../fixtures/fuzz/receipt/signed.json");
        assert_eq!(seal(&statement(), &key()).unwrap().json(), kept.trim_end());
        let digest = "ec19b23ba43ee6a134903a3a211eef3ab055c8c7c1f04520de2ab6c32fb93fe3";
        let read = Receipt::read(kept).unwrap();
        assert!(read.signed_by(&key().public()));
        assert_eq!(read.digest(), digest);
    }

    #[test]
    fn what_is_signed_is_dsses_encoding() {
        // The example of DSSE's protocol.md, with in-toto's type.
        assert_eq!(signed_bytes(b"hello world"), b"DSSEv1 28 application/vnd.in-toto+json 11 hello world");
    }

    #[test]
    fn each_field_is_held_to_its_shape() {
        let sealed = |change: &dyn Fn(&mut Statement)| {
            let mut statement = statement();
            change(&mut statement);
            Receipt::read(&seal(&statement, &key()).unwrap().json()).unwrap_err()
        };
        for (told, change) in [
            (
                "gitCommit",
                &(|s: &mut Statement| s.subject[0].digest.git_commit.clear()) as &dyn Fn(&mut Statement),
            ),
            ("gitCommit", &|s| s.subject[0].digest.git_commit = "C".repeat(40)),
            ("gitTree", &|s| s.subject[0].digest.git_tree.clear()),
            ("base.gitCommit", &|s| s.predicate.base.git_commit.push('0')),
            ("base.onto", &|s| s.predicate.base.onto = Some("d".repeat(39))),
            ("brief.id", &|s| s.predicate.brief.id.clear()),
            ("brief.sha256", &|s| s.predicate.brief.sha256 = "é".repeat(32)),
            ("policy.sha256", &|s| s.predicate.policy.sha256.clear()),
            ("approval.digest", &|s| s.predicate.approval.as_mut().unwrap().digest.clear()),
            ("steps.log.sha256", &|s| s.predicate.steps[0].log.as_mut().unwrap().sha256.clear()),
            ("times", &|s| s.predicate.issued_at = "2026-11-21".to_owned()),
            ("times", &|s| s.predicate.run.ended_at = "2026-11-21T18:00:00+01:00".to_owned()),
            ("steps", &|s| s.predicate.steps = vec![s.predicate.steps[0].clone(); 201]),
            ("texts", &|s| s.predicate.steps[0].name = "x".repeat(5_000)),
            ("predicateType", &|s| s.predicate_type = "urn:codex-brief:receipt:v2".to_owned()),
            ("_type", &|s| s.kind.clear()),
        ] {
            assert!(sealed(change).contains(told), "{told}: {}", sealed(change));
        }
        let json = serde_json::to_string(&statement()).unwrap();
        let one = serde_json::to_string(&statement().subject[0]).unwrap();
        for (from, to) in [
            (one.as_str(), String::new()),
            (&one, format!("{one},{one}")),
            ("\"brief\":", "\"more\":1,\"brief\":".to_owned()),
            ("\"epoch\":1", "\"epoch\":1,\"epoch\":2".to_owned()),
        ] {
            assert!(Statement::read(json.as_bytes()).is_ok() && json.contains(from));
            assert!(Statement::read(json.replacen(from, &to, 1).as_bytes()).is_err(), "{to}");
        }
    }

    #[test]
    fn an_envelope_says_one_thing_in_one_way() {
        let json = seal(&statement(), &key()).unwrap().json();
        let without = |from: &str, to: &str| Receipt::read(&json.replacen(from, to, 1)).unwrap_err();
        assert!(without("vnd.in-toto+json", "json").contains("payloadType"));
        assert!(without("\"payload\":\"", "\"payload\":\"*").contains("base64"));
        assert!(without("{\"payloadType\"", "{\"more\":1,\"payloadType\"").contains("unknown field"));
        assert!(without("{\"payloadType\"", "{\"payload\":\"\",\"payloadType\"").contains("duplicate field"));
        assert!(without("\"keyid\":\"", "\"keyid\":\"0").contains("shape"));
        let twice = json.replace("\"signatures\":[", "\"signatures\":[{\"keyid\":\"\",\"sig\":\"\"},");
        assert!(Receipt::read(&twice).unwrap_err().contains("2 signatures"));
        assert!(Receipt::read(&" ".repeat(MAX_ENVELOPE + 1)).unwrap_err().contains("bytes"));
        assert!(Receipt::read("").is_err());
    }

    proptest! {
        #[test]
        fn no_changed_byte_is_signed(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let receipt = seal(&statement(), &key()).unwrap();
            let mut json = receipt.json().into_bytes();
            let at = at.index(json.len());
            json[at] = to;
            if let Ok(json) = String::from_utf8(json)
                && let Ok(read) = Receipt::read(&json)
                && read.signed_by(&key().public())
            {
                prop_assert_eq!(&read.payload, &receipt.payload);
                prop_assert_eq!(&read.statement, &receipt.statement);
            }
        }
    }
}
