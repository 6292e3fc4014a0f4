//! TLS to PostgreSQL, by rustls: what each `sslmode` asks of the server's certificate.

use super::error::{ConnectError, UrlError};
use super::files::read_private;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SslMode {
    Disable,
    /// `prefer` and `allow`: without TLS on this machine, as `require` to another one.
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    pub(super) const NAMES: [(&str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Prefer),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];
}

/// What the URL says about TLS.
#[derive(Debug, Clone)]
pub(super) struct TlsParameters {
    /// `sslmode`, where it is said.
    pub(super) mode: Option<SslMode>,
    /// `sslrootcert`: a file, or `system`.
    pub(super) root: Option<PathBuf>,
    /// Where libpq looks for one that is not said.
    pub(super) usual_root: Option<PathBuf>,
    /// `sslcert`.
    pub(super) certificate: Option<PathBuf>,
    /// `sslkey`.
    pub(super) key: Option<PathBuf>,
    /// `sslsni`.
    pub(super) server_name: bool,
    /// `sslnegotiation=direct`.
    pub(super) direct: bool,
}

/// How sessions are encrypted.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) mode: SslMode,
    pub(super) direct: bool,
    /// The certificate is held against an authority; otherwise anybody's will do.
    pub(super) verified: bool,
    /// Nothing where `sslmode=disable`.
    pub(super) connector: Option<MakeRustlsConnect>,
}

/// Whom to believe.
enum Roots {
    Nobody,
    System,
    File(PathBuf),
}

impl Tls {
    /// Reads the certificates once: changed files count after a restart.
    pub(super) fn new(said: &TlsParameters) -> Result<Self, UrlError> {
        let system = said.root.as_deref() == Some(Path::new("system"));
        let mode = said.mode.unwrap_or(if system { SslMode::VerifyFull } else { SslMode::Prefer });
        if system && mode < SslMode::VerifyFull {
            return Err(UrlError::Contradiction(
                "has sslrootcert=system with a weak sslmode: anybody can have such a certificate, \
                 only sslmode=verify-full says whose it is",
            ));
        }
        if said.direct && mode < SslMode::Require {
            return Err(UrlError::Contradiction(
                "has sslnegotiation=direct with an sslmode below require",
            ));
        }
        if mode == SslMode::Disable {
            return Ok(Self { mode, direct: false, verified: false, connector: None });
        }
        let usual = said.usual_root.clone().filter(|path| path.exists());
        let roots = match said.root.clone().or(usual) {
            Some(_) if system => Roots::System,
            Some(path) => Roots::File(path),
            None if mode >= SslMode::VerifyCa => Roots::System,
            None => Roots::Nobody,
        };
        let verified = !matches!(roots, Roots::Nobody);
        let config = client_config(said, mode, roots)?;
        let connector = Some(MakeRustlsConnect::new(config));
        Ok(Self { mode, direct: said.direct, verified, connector })
    }
}

fn client_config(
    said: &TlsParameters,
    mode: SslMode,
    roots: Roots,
) -> Result<ClientConfig, UrlError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .dangerous()
        .with_custom_certificate_verifier(verifier(mode, roots, provider)?);
    let mut config = match (&said.certificate, &said.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain = certificates("sslcert", certificate)?;
            let own = PrivateKeyDer::from_pem_slice(read_private("sslkey", key)?.as_bytes())
                .map_err(|error| file("sslkey", key, &error))?;
            builder
                .with_client_auth_cert(chain, own)
                .map_err(|error| file("sslcert", certificate, &error))?
        }
        _ => {
            return Err(UrlError::Contradiction("has one of sslcert and sslkey without the other"));
        }
    };
    config.enable_sni = said.server_name;
    if said.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(config)
}

fn verifier(
    mode: SslMode,
    roots: Roots,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, UrlError> {
    let mut store = RootCertStore::empty();
    let path = match roots {
        Roots::Nobody => return Ok(Arc::new(Unverified(provider))),
        Roots::System => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            PathBuf::from("system")
        }
        Roots::File(path) => {
            for certificate in certificates("sslrootcert", &path)? {
                store.add(certificate).map_err(|error| file("sslrootcert", &path, &error))?;
            }
            path
        }
    };
    let web = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
        .build()
        .map_err(|error| file("sslrootcert", &path, &error))?;
    Ok(if mode == SslMode::VerifyFull { web } else { Arc::new(AnyName(web)) })
}

fn certificates(name: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, UrlError> {
    let found =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found.map_err(|error| file(name, path, &error))? {
        none if none.is_empty() => Err(file(name, path, &"it holds no certificate")),
        found => Ok(found),
    }
}

fn file(name: &'static str, path: &Path, why: &dyn std::fmt::Display) -> UrlError {
    UrlError::File { name, path: path.to_owned(), why: why.to_string() }
}

/// What went wrong in TLS, for a person; anything else as it was.
pub(super) fn explain(error: tokio_postgres::Error) -> ConnectError {
    let Some(source) = std::error::Error::source(&error) else { return error.into() };
    // The driver says this in words only.
    if source.to_string() == "server does not support TLS" {
        return ConnectError::NoTls;
    }
    let source = source.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let Some(reason) = source.and_then(|source| source.downcast_ref::<Error>()) else {
        return error.into();
    };
    ConnectError::Tls(match reason {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "the server's certificate is signed by none of the authorities in sslrootcert".into(),
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the server's certificate has expired".into(),
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("the server's certificate is not for this host name ({reason})"),
        other => other.to_string(),
    })
}

/// The certificate of an authority, whatever name it is for: `verify-ca`.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The name is looked at last, when everything else has been found right.
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Anybody's certificate: `require` and `prefer` without an authority, as in libpq. That the peer has
/// its key is still checked, on which channel binding rests.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
