//! The keys of receipts: Ed25519, written as PEM, each named by the SHA-256 of its public half.

use std::fmt::Write as _;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

/// What comes before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Bounds a file of public keys, in bytes; a key takes some 110.
pub const MAX_KEYS_BYTES: usize = 64 << 10;

/// The key that signs receipts. What it shows for debugging is its public half.
#[derive(Debug)]
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

/// The public half of a key that signs receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    raw: [u8; 32],
}

impl SigningKey {
    /// Makes the key of 32 random bytes; `None` where the library refuses them.
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(|pair| Self { pair })
    }

    /// Reads what [`Self::pem`] wrote, or `openssl genpkey -algorithm ed25519`.
    ///
    /// Fails with what is wrong, for people; never with a part of the key.
    pub fn read(pem: &SecretString) -> Result<Self, String> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose_secret().as_bytes())
            .map_err(|_| "it holds no `PRIVATE KEY` in PEM".to_owned())?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map_err(|_| "its `PRIVATE KEY` is no Ed25519 key".to_owned())?;
        Ok(Self { pair })
    }

    /// Returns the key as PKCS#8 in PEM; `None` where the library cannot write it.
    pub fn pem(&self) -> Option<SecretString> {
        let der = self.pair.to_pkcs8v1().ok()?;
        Some(SecretString::from(pem("PRIVATE KEY", der.as_ref())))
    }

    /// Returns the public half.
    pub fn public(&self) -> PublicKey {
        let mut raw = [0; 32];
        raw.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey { raw }
    }

    /// Signs; the same bytes get the same signature, 64 bytes.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).as_ref().to_vec()
    }
}

impl PublicKey {
    /// Reads every `PUBLIC KEY` of a PEM text, in its order.
    ///
    /// Fails with what is wrong, for people.
    pub fn read_all(text: &[u8]) -> Result<Vec<Self>, String> {
        if text.len() > MAX_KEYS_BYTES {
            return Err(format!("it has more than {MAX_KEYS_BYTES} bytes"));
        }
        let mut keys = Vec::new();
        for der in SubjectPublicKeyInfoDer::pem_slice_iter(text) {
            let der = der.map_err(|_| "it is no PEM".to_owned())?;
            let raw = der.as_ref().strip_prefix(&SPKI_PREFIX).and_then(|raw| raw.try_into().ok());
            keys.push(Self { raw: raw.ok_or_else(|| "it holds a key that is not Ed25519".to_owned())? });
        }
        if keys.is_empty() { Err("it holds no `PUBLIC KEY` in PEM".to_owned()) } else { Ok(keys) }
    }

    /// Returns the key's name: the SHA-256 of its SubjectPublicKeyInfo, 64 lower-case hex digits.
    pub fn id(&self) -> String {
        hex::encode(Sha256::digest(self.spki()))
    }

    /// Returns the key in PEM.
    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki())
    }

    /// Tells whether this key signed these bytes.
    pub fn signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.raw).verify(bytes, signature).is_ok()
    }

    fn spki(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.raw[..]].concat()
    }
}

/// Writes PEM: base64 in lines of 64 characters (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let base64 = STANDARD.encode(der);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{line}");
        rest = after;
    }
    text + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 7.1, test 2 of RFC 8032.
    const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    fn key() -> SigningKey {
        SigningKey::from_seed(&hex::decode(SEED).unwrap().try_into().unwrap()).unwrap()
    }

    #[test]
    fn a_signature_is_that_of_the_standard() {
        let key = key();
        assert_eq!(hex::encode(key.public().raw), PUBLIC);
        assert_eq!(hex::encode(key.sign(&[0x72])), SIGNATURE);
        assert!(key.public().signed(&[0x72], &hex::decode(SIGNATURE).unwrap()));
        assert!(!key.public().signed(&[0x73], &hex::decode(SIGNATURE).unwrap()));
        assert!(!key.public().signed(&[0x72], &[]));
    }

    #[test]
    fn keys_come_back_as_they_were_written() {
        let key = key();
        let again = SigningKey::read(&key.pem().unwrap()).unwrap();
        assert_eq!(again.public(), key.public());
        let other = SigningKey::from_seed(&[7; 32]).unwrap().public();
        let both = format!("{}{}", key.public().pem(), other.pem());
        assert_eq!(PublicKey::read_all(both.as_bytes()), Ok(vec![key.public(), other.clone()]));
        assert_ne!(key.public().id(), other.id());
        assert_eq!(key.public().id().len(), 64);
    }

    #[test]
    fn what_is_no_key_is_told() {
        let public = key().public().pem();
        assert!(SigningKey::read(&SecretString::from(public.as_str())).unwrap_err().contains("PRIVATE KEY"));
        let private = key().pem().unwrap();
        let told = PublicKey::read_all(private.expose_secret().as_bytes()).unwrap_err();
        assert!(told.contains("no `PUBLIC KEY`"), "{told}");
        let cut = pem("PUBLIC KEY", &key().public().spki()[..40]);
        assert!(PublicKey::read_all(cut.as_bytes()).unwrap_err().contains("not Ed25519"));
        assert!(PublicKey::read_all(&vec![b' '; MAX_KEYS_BYTES + 1]).unwrap_err().contains("bytes"));
    }
}
