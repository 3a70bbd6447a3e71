//! The user of a client certificate: the common name is the user's, each organization is a group.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::user::User;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// 2.5.4.3 and 2.5.4.10.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
/// `UTF8String`, `PrintableString` and `IA5String`: texts that are UTF-8 as they stand.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];

/// The user of a certificate that the TLS handshake has checked; `None` if it names none
/// (`CommonNameUserConversion` in `k8s.io/apiserver/pkg/authentication/request/x509`).
pub(crate) fn user(certificate: &CertificateDer<'_>) -> Option<User> {
    // The parser of certificates that TLS has anyhow; nothing is trusted by this.
    let mut parsed = RootCertStore::empty();
    parsed.add(certificate.clone().into_owned()).ok()?;
    let names = names(parsed.roots.first()?.subject.as_ref())?;
    let of = |wanted: &[u8]| {
        let own = names.iter().filter(|(kind, _)| kind == wanted);
        own.map(|(_, text)| text.clone()).collect::<Vec<_>>()
    };
    let name = of(COMMON_NAME).pop().filter(|name| !name.is_empty())?;
    Some(User::named(&name, of(ORGANIZATION)))
}

/// The parts of a subject: object identifiers with their texts.
fn names(mut subject: &[u8]) -> Option<Vec<(Vec<u8>, String)>> {
    let mut names = Vec::new();
    while !subject.is_empty() {
        let (mut set, rest) = element(subject, |tag| tag == SET)?;
        subject = rest;
        while !set.is_empty() {
            let (pair, rest) = element(set, |tag| tag == SEQUENCE)?;
            set = rest;
            let (kind, value) = element(pair, |tag| tag == OBJECT_IDENTIFIER)?;
            // Other texts are in no name that this server or its administrator gives.
            if let Some((text, _)) = element(value, |tag| TEXTS.contains(&tag)) {
                names.push((kind.to_vec(), String::from_utf8(text.to_vec()).ok()?));
            }
        }
    }
    Some(names)
}

/// The content of the first element in DER, and what follows it.
fn element(bytes: &[u8], is_wanted: impl Fn(u8) -> bool) -> Option<(&[u8], &[u8])> {
    let (_, bytes) = bytes.split_first().filter(|(tag, _)| is_wanted(**tag))?;
    let (&first, bytes) = bytes.split_first()?;
    let (length, bytes) = match first {
        0..=0x7f => (usize::from(first), bytes),
        0x81 => bytes.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => bytes
            .split_first_chunk()
            .map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        _ => return None,
    };
    bytes.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn user_of(parts: &[(DnType, &str)]) -> Option<User> {
        let mut params = CertificateParams::default();
        let mut subject = DistinguishedName::new();
        parts.iter().for_each(|(kind, text)| subject.push(kind.clone(), *text));
        params.distinguished_name = subject;
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        user(certificate.der())
    }

    #[test]
    fn the_subject_names_the_user() {
        let long = "ä".repeat(150);
        let found =
            user_of(&[(DnType::OrganizationName, "system:nodes"), (DnType::CommonName, &long)]).unwrap();
        assert_eq!(found.name, long);
        assert_eq!(found.groups, ["system:nodes", "system:authenticated"]);
        assert_eq!(user_of(&[(DnType::OrganizationName, "system:masters")]), None, "a group is no user");
        assert_eq!(user_of(&[(DnType::CommonName, "")]), None);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bytes in [&[0x31][..], &[0x31, 5, 0], &[0x31, 0x83, 0, 0, 0], &[0x30, 0], &[0x31, 2, 0x30, 9]] {
            assert!(names(bytes).is_none(), "{bytes:?}");
        }
    }
}
