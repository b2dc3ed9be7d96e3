//! A certificate's key, whatever else the certificate is: of version 1, of an authority, or with a
//! key that is too short for today. Whoever believes a certificate by its fingerprint, or because
//! it was named, needs no more than that the server has its key.

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RsaParameters, UnparsedPublicKey,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use std::sync::Arc;
use thiserror::Error as ThisError;
use webpki::RawPublicKeyEntity;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The server has not shown that it has the key of its certificate.
#[derive(Clone, Copy, Debug, ThisError)]
#[error(
    "it has not shown that it has the key of its certificate, or by a method that is not \
     supported: an RSA key under 2,048 bits needs TLS 1.2"
)]
pub(super) struct NotShown;

/// The SHA-256 of a certificate's DER.
pub(super) fn sha256(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    digest.as_ref().try_into().unwrap_or_default()
}

/// Whether the certificate's key has signed the message.
/// # Errors
/// When it has not, or by a method that is not known.
pub(super) fn verify(
    provider: &CryptoProvider,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let malformed = || Error::from(CertificateError::BadEncoding);
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| malformed())?;
    let key = &parsed.tbs_certificate.subject_pki;
    let info = SubjectPublicKeyInfoDer::from(key.raw);
    let entity = RawPublicKeyEntity::try_from(&info).map_err(|_| malformed())?;
    let methods = provider.signature_verification_algorithms.mapping.iter();
    let methods = methods.filter(|(scheme, _)| *scheme == signature.scheme);
    let is_signed = methods
        .flat_map(|(_, methods)| methods.iter())
        .any(|method| entity.verify_signature(*method, message, signature.signature()).is_ok());
    if is_signed || is_signed_by_short_key(&key.subject_public_key.data, message, signature) {
        return Ok(HandshakeSignatureValid::assertion());
    }
    Err(CertificateError::Other(OtherError(Arc::new(NotShown))).into())
}

/// Whether a signature by an RSA key under 2,048 bits can be verified.
pub(super) fn takes_short_keys(scheme: SignatureScheme) -> bool {
    short_key_method(scheme).is_some()
}

/// RSA of 1,024 bits and more, as TLS 1.2 uses it; for TLS 1.3 (RSA-PSS) there is none.
fn is_signed_by_short_key(key: &[u8], message: &[u8], signature: &DigitallySignedStruct) -> bool {
    short_key_method(signature.scheme).is_some_and(|method| {
        UnparsedPublicKey::new(method, key).verify(message, signature.signature()).is_ok()
    })
}

fn short_key_method(scheme: SignatureScheme) -> Option<&'static RsaParameters> {
    match scheme {
        SignatureScheme::RSA_PKCS1_SHA256 => Some(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
        SignatureScheme::RSA_PKCS1_SHA512 => Some(&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
        _ => None,
    }
}
