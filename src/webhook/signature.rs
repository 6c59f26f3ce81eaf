//! The signature of a delivery.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Checks `X-Hub-Signature-256` over the raw body, in constant time.
///
/// `header` is the header's whole value, `sha256=` and 64 hex digits; anything else is wrong.
pub fn is_valid(secret: &SecretString, body: &[u8], header: Option<&[u8]>) -> bool {
    let Some(digits) = header.and_then(|header| header.strip_prefix(b"sha256=")) else {
        return false;
    };
    let Ok(signature) = hex::decode(digits) else {
        return false;
    };
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
        return false;
    };
    mac.chain_update(body).verify_slice(&signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn githubs_published_vector_is_valid() {
        assert!(is_valid(&SECRET.into(), BODY, Some(SIGNATURE.as_bytes())));
    }

    #[test]
    fn any_other_body_secret_or_signature_is_not() {
        let secret = SecretString::from(SECRET);
        assert!(!is_valid(&secret, b"Hello, World?", Some(SIGNATURE.as_bytes())));
        assert!(!is_valid(&"another".into(), BODY, Some(SIGNATURE.as_bytes())));
        for at in 7..SIGNATURE.len() {
            let mut wrong = SIGNATURE.as_bytes().to_vec();
            wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
            assert!(!is_valid(&secret, BODY, Some(&wrong)));
        }
    }

    #[test]
    fn a_missing_cut_or_sha1_signature_is_not() {
        let secret = SecretString::from(SECRET);
        assert!(!is_valid(&secret, BODY, None));
        assert!(!is_valid(&secret, BODY, Some(b"")));
        assert!(!is_valid(&secret, BODY, Some(&SIGNATURE.as_bytes()[..39])));
        assert!(!is_valid(&secret, BODY, Some(b"sha256=")));
        assert!(!is_valid(&secret, BODY, Some(b"sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59")));
    }
}
