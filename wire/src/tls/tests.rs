//! Certificates as they are found inside companies, shown by OpenSSL's server: who is believed, and
//! what is said where one is not.

use super::cause::of_handshake;
use super::client::client_config;
use super::key;
use crate::server::{NextHopTls, Trust};
use kit::process::Daemon;
use kit::{Folder, find_program, has, lasting_port};
use nix::sys::signal::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::net::TcpStream;

/// A certificate that signs itself, made by these arguments of `openssl req -x509`.
fn certificate(folder: &Folder, name: &str, arguments: &[&str]) -> PathBuf {
    let path = folder.file(&format!("{name}.pem"));
    openssl(
        Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-subj", &format!("/CN={name}"), "-keyout"])
            .arg(path.with_extension("key"))
            .arg("-out")
            .arg(&path)
            .args(arguments),
    );
    path
}

/// One of version 1: without extensions.
fn of_version_1(folder: &Folder) -> PathBuf {
    let path = certificate(folder, "v1", &["-newkey", "rsa:2048"]);
    let (key, request) = (path.with_extension("key"), folder.file("v1.csr"));
    openssl(
        Command::new("openssl")
            .args(["req", "-new", "-subj", "/CN=v1", "-key"])
            .arg(&key)
            .arg("-out")
            .arg(&request),
    );
    openssl(
        Command::new("openssl")
            .args(["x509", "-req", "-days", "9", "-in"])
            .arg(&request)
            .arg("-signkey")
            .arg(&key)
            .arg("-out")
            .arg(&path),
    );
    path
}

fn openssl(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// OpenSSL's server with that certificate.
fn server(certificate: &Path, version: &str) -> (Daemon, SocketAddr) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, lasting_port()));
    let mut command = Command::new(find_program("openssl").unwrap());
    command
        .args(["s_server", "-www", "-quiet", "-cipher", "DEFAULT@SECLEVEL=0", version, "-accept"])
        .arg(address.to_string())
        .arg("-cert")
        .arg(certificate)
        .arg("-key")
        .arg(certificate.with_extension("key"))
        .stdin(Stdio::null());
    let mut daemon = Daemon::new(command, Signal::SIGTERM);
    daemon.start(|_| std::net::TcpStream::connect(address).is_ok());
    (daemon, address)
}

async fn shake(address: SocketAddr, tls: &NextHopTls) -> io::Result<()> {
    let connector = tokio_rustls::TlsConnector::from(client_config(tls).unwrap().unwrap());
    let name = ServerName::try_from("127.0.0.1").unwrap();
    connector.connect(name, TcpStream::connect(address).await?).await.map(drop)
}

/// What is said where it is not believed.
async fn refusal(address: SocketAddr, tls: &NextHopTls) -> String {
    let cause = of_handshake(&shake(address, tls).await.unwrap_err()).unwrap();
    assert!(cause.remedy.contains("tls_"), "{cause:?}");
    cause.what
}

fn require(trust: Trust) -> NextHopTls {
    NextHopTls::Require { trust, name: None }
}

fn fingerprint(path: &Path) -> Trust {
    Trust::Fingerprint(key::sha256(&CertificateDer::from_pem_file(path).unwrap()))
}

#[tokio::test]
async fn whoever_is_named_is_believed_whatever_his_certificate_is() {
    if !has(&["openssl"]) {
        return;
    }
    let folder = Folder::new();
    let other = fingerprint(&certificate(&folder, "other", &["-newkey", "rsa:2048"]));
    let shapes = [
        ("authority", certificate(&folder, "authority", &["-newkey", "rsa:2048"])),
        ("short", certificate(&folder, "short", &["-newkey", "rsa:1024"])),
        (
            "end entity without a name",
            certificate(
                &folder,
                "bare",
                &["-newkey", "rsa:2048", "-addext", "basicConstraints=critical,CA:FALSE"],
            ),
        ),
        ("version 1", of_version_1(&folder)),
    ];
    for (shape, path) in &shapes {
        for version in ["-tls1_2", "-tls1_3"] {
            let (_server, address) = server(path, version);
            let of = format!("{shape} {version}");
            shake(address, &NextHopTls::Opportunistic).await.expect(&of);
            let named = [fingerprint(path), Trust::Authorities(path.clone())];
            for trust in named {
                let shaken = shake(address, &require(trust)).await;
                // TLS 1.3 has no signature by a short key that anybody here could verify.
                assert_eq!(shaken.is_ok(), (*shape, version) != ("short", "-tls1_3"), "{of}");
            }
            let refused = refusal(address, &require(other.clone())).await;
            assert!(refused.contains("not the one of `tls_fingerprint`"), "{of}: {refused}");
        }
    }
}

#[tokio::test]
async fn each_cause_has_its_sentence() {
    if !has(&["openssl"]) {
        return;
    }
    let folder = Folder::new();
    let authority = kit::certificates::Authority::new();
    let ca = folder.write("ca.pem", &authority.pem);
    let shown = |name: &str, pem: &str, key: &str| {
        folder.write(&format!("{name}.key"), key);
        folder.write(&format!("{name}.pem"), pem)
    };
    let signed = authority.sign("mx.example.test");
    let bare = certificate(&folder, "bare", &["-newkey", "rsa:2048"]);
    let foreign = kit::certificates::Authority::new().sign("127.0.0.1");
    let ended = authority.sign_ended("127.0.0.1");
    let believing = require(Trust::Authorities(ca));
    for (path, sentence) in [
        (bare, "is that of an authority (CA:TRUE)"),
        (shown("foreign", &foreign.pem, &foreign.key), "called like one in `tls_ca`"),
        (shown("other", &signed.pem, &signed.key), "is for mx.example.test, and not for 127.0.0.1"),
        (shown("ended", &ended.pem, &ended.key), "ended on 2 January 2020"),
    ] {
        let (_server, address) = server(&path, "-tls1_3");
        let refused = refusal(address, &believing).await;
        assert!(refused.contains(sentence), "{refused}");
    }
}
