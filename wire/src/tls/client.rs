//! TLS towards next hops and directories: which certificates are believed. Opportunistic TLS
//! believes any, since the other choice is clear text; required TLS believes roots, authorities or
//! one fingerprint, and never falls back.

use super::key;
use crate::server::{NextHopTls, Trust};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::BuilderVerifierExt;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error as ThisError;

/// Why TLS towards a next hop cannot be set up.
#[derive(Debug, ThisError)]
pub enum TrustError {
    /// The file of authorities cannot be read.
    #[error("{0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// It holds none, or the provider refuses.
    #[error("{0}")]
    Tls(#[from] Error),
}

/// What handshakes with a next hop go by; `None` where there are none.
/// # Errors
/// When the authorities cannot be loaded.
pub fn client_config(tls: &NextHopTls) -> Result<Option<Arc<ClientConfig>>, TrustError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let believed = match tls {
        NextHopTls::None => return Ok(None),
        NextHopTls::Opportunistic => Believed::Any,
        NextHopTls::Require { trust: Trust::Fingerprint(sha256), .. } => {
            Believed::Fingerprint(*sha256)
        }
        NextHopTls::Require { trust: Trust::Authorities(path), .. } => {
            Believed::named(path, &provider)?
        }
        NextHopTls::Require { trust: Trust::SystemRoots, .. } => {
            let builder = builder.with_platform_verifier()?;
            return Ok(Some(Arc::new(builder.with_no_client_auth())));
        }
    };
    let verifier = Arc::new(Verifier { provider, believed });
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    Ok(Some(Arc::new(builder.with_no_client_auth())))
}

/// Which certificates are believed.
#[derive(Debug)]
enum Believed {
    /// All: whoever is in between could as well take TLS out.
    Any,
    /// The one with this SHA-256.
    Fingerprint([u8; 32]),
    /// Those that a file holds, and what the authorities among them have signed.
    Named { certificates: Vec<CertificateDer<'static>>, chain: Option<Arc<WebPkiServerVerifier>> },
}

impl Believed {
    /// A server's own certificate in the file need not be fit to be an authority.
    fn named(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Self, TrustError> {
        let certificates: Vec<CertificateDer<'static>> =
            CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?;
        let mut roots = RootCertStore::empty();
        let (fit, _) = roots.add_parsable_certificates(certificates.iter().cloned());
        let chain = (fit > 0).then(|| {
            WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider)).build()
        });
        let chain = chain.transpose().map_err(|error| Error::General(error.to_string()))?;
        Ok(Self::Named { certificates, chain })
    }
}

/// Believes what it is told to. The handshake's own signature is verified wherever a certificate
/// is, by nothing but its key: neither its version nor the size of its key counts.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    believed: Believed,
}

impl Verifier {
    fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if matches!(self.believed, Believed::Any) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        key::verify(&self.provider, message, certificate, signature)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.believed {
            Believed::Any => Ok(ServerCertVerified::assertion()),
            Believed::Fingerprint(fingerprint) if key::sha256(end_entity) == *fingerprint => {
                Ok(ServerCertVerified::assertion())
            }
            Believed::Fingerprint(_) => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            Believed::Named { certificates, .. } if certificates.contains(end_entity) => {
                Ok(ServerCertVerified::assertion())
            }
            Believed::Named { chain: Some(chain), .. } => {
                chain.verify_server_cert(end_entity, intermediates, name, ocsp, now)
            }
            Believed::Named { chain: None, .. } => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, certificate, signature)
    }

    /// Those first that a short RSA key can be verified by, where TLS 1.2 leaves a choice.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.provider.signature_verification_algorithms.supported_schemes();
        schemes.sort_by_key(|scheme| !key::takes_short_keys(*scheme));
        schemes
    }
}
