//! How briefs are named: the SHA-256 of a block's text, and the identity made from it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::source::Source;

/// Names this way of hashing; another way of hashing gets another word, so that ids never mix.
const BRIEF_ID_DOMAIN: &str = "codex-brief/brief-id/v1";

/// The error of reading a digest from text: it is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: 64 lower-case hexadecimal digits are wanted")]
pub struct NotADigest;

macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Returns the 32 bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Returns the first 12 hexadecimal digits, the form that people are shown.
            pub fn short(&self) -> String {
                hex::encode(&self.0[..6])
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = NotADigest;

            /// Reads 64 lower-case hexadecimal digits; one digest has one spelling.
            fn from_str(text: &str) -> Result<Self, NotADigest> {
                if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    return Err(NotADigest);
                }
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| NotADigest)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest_type! {
    /// The SHA-256 of a block's exact text; approvals and edits are told apart by it.
    Digest
}

digest_type! {
    /// The identity of a brief: repository, source, block index and exact text.
    BriefId
}

/// Hashes a block's exact text, with its line endings as [`super::extract::Fence::text`] has them.
pub fn text_digest(text: &str) -> Digest {
    Digest(Sha256::digest(text.as_bytes()).into())
}

impl BriefId {
    /// Makes the identity of the block at `block_index` of `source` whose text has `text`.
    ///
    /// Each part goes in behind its length, so no two different lists of parts hash the same bytes.
    pub fn new(source: &Source, block_index: usize, text: Digest) -> Self {
        let mut hash = Sha256::new();
        let index = block_index as u64;
        let parts: [&[u8]; 6] = [
            BRIEF_ID_DOMAIN.as_bytes(),
            &source.repository_id.to_be_bytes(),
            source.kind.as_str().as_bytes(),
            &source.id.to_be_bytes(),
            &index.to_be_bytes(),
            text.as_bytes(),
        ];
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::SourceKind;
    use super::*;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_text_digest_is_plain_sha_256() {
        let digest = text_digest("abc");
        assert_eq!(digest.to_string(), ABC);
        assert_eq!(digest.short(), &ABC[..12]);
        assert_eq!(ABC.parse(), Ok(digest));
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"{ABC}\""));
        assert_eq!(serde_json::from_str::<Digest>(&format!("\"{ABC}\"")).unwrap(), digest);
    }

    #[test]
    fn only_one_spelling_is_a_digest() {
        for wrong in ["", "ab", &ABC.to_uppercase(), &ABC[1..], &format!("{ABC}0"), &ABC.replace('b', "g")] {
            assert_eq!(wrong.parse::<Digest>(), Err(NotADigest), "{wrong}");
        }
    }

    #[test]
    fn every_part_of_the_identity_counts() {
        let source = Source { repository_id: 1, kind: SourceKind::IssueBody, id: 2 };
        let text = text_digest("abc");
        let id = BriefId::new(&source, 0, text);
        let others = [
            BriefId::new(&Source { repository_id: 3, ..source }, 0, text),
            BriefId::new(&Source { kind: SourceKind::IssueComment, ..source }, 0, text),
            BriefId::new(&Source { id: 3, ..source }, 0, text),
            BriefId::new(&source, 1, text),
            BriefId::new(&source, 0, text_digest("abd")),
        ];
        for other in others {
            assert_ne!(id, other);
        }
        // Held, because stored ids must stay valid over releases; worked out apart from this code.
        assert_eq!(id, BriefId::new(&source, 0, text));
        assert_eq!(id.to_string(), "df313e6a6a90aeb297fef7ecf448cf1b15aaafc202a06f55c1bf176919077f01");
    }
}
