//! TLS towards next hops: which certificates are believed. Opportunistic TLS believes any, since
//! the other choice is clear text; required TLS believes roots, authorities or one fingerprint,
//! and never falls back.

use crate::server::{NextHopTls, Trust};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::BuilderVerifierExt;
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
    let builder = match tls {
        NextHopTls::None => return Ok(None),
        NextHopTls::Opportunistic => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { provider, fingerprint: None })),
        NextHopTls::Require { trust: Trust::Fingerprint(sha256), .. } => {
            let pinned = Pinned { provider, fingerprint: Some(*sha256) };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned))
        }
        NextHopTls::Require { trust: Trust::Authorities(path), .. } => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path)? {
                roots.add(certificate?)?;
            }
            builder.with_root_certificates(roots)
        }
        NextHopTls::Require { trust: Trust::SystemRoots, .. } => {
            builder.with_platform_verifier()?
        }
    };
    Ok(Some(Arc::new(builder.with_no_client_auth())))
}

/// Believes one certificate by its SHA-256, or any when none is named. The handshake's own
/// signature is verified in either case.
#[derive(Debug)]
struct Pinned {
    provider: Arc<CryptoProvider>,
    fingerprint: Option<[u8; 32]>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(fingerprint) = &self.fingerprint else {
            return Ok(ServerCertVerified::assertion());
        };
        let digest = aws_lc_rs_digest(end_entity);
        if digest.as_ref() == fingerprint {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn aws_lc_rs_digest(certificate: &CertificateDer<'_>) -> ::aws_lc_rs::digest::Digest {
    ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, certificate)
}
