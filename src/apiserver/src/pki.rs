//! The server's own certificates: a CA and a certificate for the server, made at the first start, and kept.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use crate::auth::{ADMIN, MASTERS};
use sys::fs::files::{self, FileError, LastLink};
use sys::fs::state_dir;

/// Largest file with certificates.
const FILE_MAX: usize = 1 << 20;
/// How long certificates are valid. They are not renewed while the server runs.
const VALIDITY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// At its start the server replaces certificates that end sooner than this.
const RENEWAL: Duration = Duration::from_secs(365 * 24 * 3600);
/// A new certificate is valid for clients whose clock is this much behind.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);
/// The CA's name in the first line of its file, and in errors.
const CA: &str = "the CA";
/// Beginning of the first line of a certificate's file; PEM follows on the next line.
const HEADER: &str = "# podhosts-apiserver: ";
/// What version 0.1.0 wrote there.
const OLD_HEADER: &str = "# podhosts-cni serve: ";

/// Certificates that cannot be used or made.
#[derive(Debug, Error)]
pub(crate) enum PkiError {
    #[error(transparent)]
    File(#[from] FileError),
    /// A file has the wrong content.
    #[error("cannot use {path}: expected {expected}: {cause}")]
    Content { path: PathBuf, expected: &'static str, cause: String },
    #[error("cannot make a certificate for {subject}: {cause}")]
    Make { subject: String, cause: rcgen::Error },
}

/// A certificate with its chain and key.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The certificate, then its signers.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// The server's TLS files.
#[derive(Debug)]
pub(crate) struct Pki {
    pub(crate) server: Identity,
    /// The CA of client certificates.
    pub(crate) client_ca: CertificateDer<'static>,
    /// The certificates that clients have to trust, as PEM.
    pub(crate) trusted_pem: String,
}

/// A name or an address of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    Host(String),
    Address(IpAddr),
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// The CA and the server's certificate in `dir`. Makes what is missing, and replaces the server's certificate if it has
/// other names or ends soon.
///
/// # Errors
/// [`PkiError`] naming the file.
pub(crate) fn own(dir: &Path, names: &[Name]) -> Result<Pki, PkiError> {
    let _lock = state_dir::lock(&dir.join("lock"), state_dir::LockKind::Exclusive)?;
    let ca_path = dir.join("ca.crt");
    let (issuer, end) = authority(dir)?;
    server_certificate(dir, names, &issuer, end)?;
    client_certificate(dir, &issuer, end)?;
    let ca = load_chain(&ca_path)?;
    let mut server = load(&dir.join("server.crt"), &dir.join("server.key"))?;
    server.chain.extend(ca.iter().cloned());
    let trusted_pem = ca.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect();
    let client_ca = ca.into_iter().next().ok_or_else(|| empty(&ca_path, "a certificate"))?;
    Ok(Pki { server, client_ca, trusted_pem })
}

/// The CA and its end; makes a new CA if there is none or it ends soon.
fn authority(dir: &Path) -> Result<(Issuer<'static, KeyPair>, SystemTime), PkiError> {
    let (path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
    let (now, params) = (SystemTime::now(), ca_params());
    // A CA that an administrator put there has no such line.
    let end = text(&path)?.and_then(|text| Some(header(&text)?.1)).unwrap_or(now + VALIDITY);
    if text(&key_path)?.is_some() && end > now + RENEWAL {
        return Ok((Issuer::new(params, load_key(&key_path)?), end));
    }
    let (key, end) = (new_key(CA)?, now + VALIDITY);
    let certificate = params.self_signed(&key).map_err(failed(CA))?;
    // Certificates of the old CA are useless with the new one. The CA is made again while its key is missing.
    for path in [dir.join("server.crt"), dir.join("admin.crt"), key_path.clone()] {
        state_dir::remove(&path)?;
    }
    state_dir::replace(&path, with_header(CA, end, certificate.der()).as_bytes())?;
    state_dir::replace(&key_path, pem("PRIVATE KEY", key.serialized_der()).as_bytes())?;
    Ok((Issuer::new(params, key), end))
}

/// The certificate and key that the command line names.
///
/// # Errors
/// [`PkiError`] naming the file.
pub(crate) fn load(certificate: &Path, key: &Path) -> Result<Identity, PkiError> {
    let chain = load_chain(certificate)?;
    let text = files::read(key, FILE_MAX, LastLink::Follow)?;
    let key = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|cause| unreadable(key, "a private key in PEM", &cause))?;
    Ok(Identity { chain, key })
}

/// The certificates of a file, as PEM.
pub fn to_pem(chain: &[CertificateDer<'static>]) -> String {
    chain.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect()
}

fn server_certificate(
    dir: &Path,
    names: &[Name],
    issuer: &Issuer<'_, KeyPair>,
    end: SystemTime,
) -> Result<(), PkiError> {
    let names_text: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = leaf_params("podhosts-apiserver", ExtendedKeyUsagePurpose::ServerAuth);
    for name in names {
        params.subject_alt_names.push(match name {
            Name::Address(address) => SanType::IpAddress(*address),
            Name::Host(name) => SanType::DnsName(name.as_str().try_into().map_err(failed("the server"))?),
        });
    }
    leaf(dir, "server", &names_text.join(","), params, issuer, end)
}

/// A certificate for clients that authenticate with one instead of a token.
fn client_certificate(dir: &Path, issuer: &Issuer<'_, KeyPair>, end: SystemTime) -> Result<(), PkiError> {
    let mut params = leaf_params(ADMIN, ExtendedKeyUsagePurpose::ClientAuth);
    params.distinguished_name.push(DnType::OrganizationName, MASTERS);
    leaf(dir, "admin", &format!("{ADMIN},{MASTERS}"), params, issuer, end)
}

/// Makes a certificate and its key, unless there is one for the same names that does not end soon. It ends with the CA,
/// at `end`: a client would refuse it after that anyway, and not say why.
fn leaf(
    dir: &Path,
    name: &str,
    names: &str,
    mut params: CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
    end: SystemTime,
) -> Result<(), PkiError> {
    let (path, key_path) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    let now = SystemTime::now();
    let has_key = text(&key_path)?.is_some();
    let old = text(&path)?;
    if has_key && old.is_some_and(|text| is_current(&text, names, now)) {
        return Ok(());
    }
    let key = new_key(names)?;
    params.not_after = end.into();
    let certificate = params.signed_by(&key, issuer).map_err(failed(names))?;
    let text = with_header(names, end, certificate.der());
    state_dir::remove(&path)?;
    state_dir::replace(&key_path, pem("PRIVATE KEY", key.serialized_der()).as_bytes())?;
    // Last, because a certificate means that its key is there.
    Ok(state_dir::replace(&path, text.as_bytes())?)
}

/// A certificate in PEM after a line with its names and its end.
fn with_header(names: &str, end: SystemTime, der: &[u8]) -> String {
    let end = humantime::format_rfc3339_seconds(end);
    format!("{HEADER}{names} until {end}\n{}", pem("CERTIFICATE", der))
}

/// The names and the end of a file's certificate; `None` if this server did not write the file.
fn header(text: &str) -> Option<(&str, SystemTime)> {
    let line = text.lines().next()?;
    let about = [HEADER, OLD_HEADER].iter().find_map(|header| line.strip_prefix(header))?;
    let (names, end) = about.split_once(" until ")?;
    Some((names, humantime::parse_rfc3339(end).ok()?))
}

/// The text of a file; `None` if it is missing, or empty, as a crash can leave it.
fn text(path: &Path) -> Result<Option<String>, PkiError> {
    let text = files::read_text_if_present(path, FILE_MAX, LastLink::Follow)?;
    Ok(text.filter(|text| !text.trim().is_empty()))
}

/// Whether a file has a certificate for these names that does not end soon.
fn is_current(text: &str, names: &str, now: SystemTime) -> bool {
    header(text).is_some_and(|(found, end)| found == names && end > now + RENEWAL)
}

fn ca_params() -> CertificateParams {
    let mut params = base_params("podhosts-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn leaf_params(name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = base_params(name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params
}

fn base_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    let now = SystemTime::now();
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + VALIDITY).into();
    params
}

fn new_key(subject: &str) -> Result<KeyPair, PkiError> {
    KeyPair::generate().map_err(failed(subject))
}

fn load_key(path: &Path) -> Result<KeyPair, PkiError> {
    let text = files::read(path, FILE_MAX, LastLink::Follow)?;
    let key = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|cause| unreadable(path, "a private key in PEM", &cause))?;
    KeyPair::try_from(&key).map_err(|cause| unreadable(path, "a private key for ECDSA", &cause))
}

fn load_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let text = files::read(path, FILE_MAX, LastLink::Follow)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|cause| unreadable(path, "certificates in PEM", &cause))?;
    if chain.is_empty() { Err(empty(path, "certificates in PEM")) } else { Ok(chain) }
}

fn failed(subject: &str) -> impl Fn(rcgen::Error) -> PkiError {
    move |cause| PkiError::Make { subject: subject.to_owned(), cause }
}

fn unreadable(path: &Path, expected: &'static str, cause: &dyn std::fmt::Display) -> PkiError {
    PkiError::Content { path: path.to_owned(), expected, cause: cause.to_string() }
}

fn empty(path: &Path, expected: &'static str) -> PkiError {
    unreadable(path, expected, &"there is none")
}

fn pem(label: &str, der: &[u8]) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(label, der), config)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(names: &[&str]) -> Vec<Name> {
        let name = |name: &&str| name.parse().map_or_else(|_| Name::Host((*name).to_owned()), Name::Address);
        names.iter().map(name).collect()
    }

    #[test]
    fn certificates_are_made_once_and_again_for_other_names() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("pki");
        let first = own(&dir, &names(&["localhost", "127.0.0.1", "::1"])).unwrap();
        let second = own(&dir, &names(&["localhost", "127.0.0.1", "::1"])).unwrap();
        assert_eq!(first.server.chain, second.server.chain);
        assert_eq!(first.trusted_pem, second.trusted_pem);
        let third = own(&dir, &names(&["localhost", "node", "127.0.0.1", "::1"])).unwrap();
        assert_ne!(first.server.chain[0], third.server.chain[0]);
        assert_eq!(first.server.chain[1], third.server.chain[1]);
        for entry in dir.read_dir().unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
    }

    #[test]
    fn certificates_of_an_earlier_version_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = names(&["localhost"]);
        let first = own(dir.path(), &wanted).unwrap();
        for name in ["ca.crt", "server.crt"] {
            let path = dir.path().join(name);
            let old = text(&path).unwrap().unwrap().replacen(HEADER, OLD_HEADER, 1);
            state_dir::replace(&path, old.as_bytes()).unwrap();
        }
        assert_eq!(own(dir.path(), &wanted).unwrap().server.chain, first.server.chain);
    }

    #[test]
    fn nothing_outlives_the_ca_which_is_made_anew_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, wanted) = (dir.path(), names(&["localhost"]));
        let read = |name: &str| text(&dir.join(name)).unwrap().unwrap();
        let end = |name: &str| header(&read(name)).unwrap().1;
        let first = own(dir, &wanted).unwrap();
        let now = SystemTime::now();
        for (left, is_kept) in [(2 * RENEWAL, true), (RENEWAL / 2, false)] {
            let pem = read("ca.crt").split_once('\n').unwrap().1.to_owned();
            let line = format!("{HEADER}{CA} until {}", humantime::format_rfc3339_seconds(now + left));
            state_dir::replace(&dir.join("ca.crt"), format!("{line}\n{pem}").as_bytes()).unwrap();
            state_dir::remove(&dir.join("server.crt")).unwrap();
            let next = own(dir, &wanted).unwrap();
            assert_eq!(next.client_ca == first.client_ca, is_kept, "{left:?}");
            assert_eq!((end("server.crt"), end("ca.crt") > now + RENEWAL), (end("ca.crt"), true));
            assert_eq!(next.server.chain[1], next.client_ca);
        }
        assert_eq!(own(dir, &wanted).unwrap().server.chain, own(dir, &wanted).unwrap().server.chain);
    }

    #[test]
    fn an_interrupted_start_is_made_up_for() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = names(&["localhost"]);
        own(dir.path(), &wanted).unwrap();
        for name in ["server.crt", "server.key", "admin.key", "ca.key"] {
            state_dir::remove(&dir.path().join(name)).unwrap();
            own(dir.path(), &wanted).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn what_is_no_certificate_is_named() {
        let dir = tempfile::tempdir().unwrap();
        own(dir.path(), &names(&["localhost"])).unwrap();
        state_dir::replace(&dir.path().join("ca.crt"), b"nonsense").unwrap();
        let error = own(dir.path(), &names(&["localhost"])).unwrap_err().to_string();
        assert!(error.contains("ca.crt") && error.contains("certificates in PEM"), "{error}");
        assert!(own(dir.path(), &names(&["exämple"])).is_err());
    }
}
