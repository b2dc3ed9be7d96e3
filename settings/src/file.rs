//! Files that the configuration names: whether they are there, can be read, and are what they
//! are said to be. What recipient files contain is left to `directory`.

use crate::mistake::Mistake;
use crate::rights::Use;
use crate::table::context::{LoadContext, absolute};
use crate::table::value::Text;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A certificate, a key or a list of authorities is never longer.
const PEM_OCTETS_MAX: u64 = 8 << 20;

/// A file that can be opened for reading.
pub fn readable(written: &Text, context: &mut LoadContext) -> Option<PathBuf> {
    let path = context.path(written);
    match open(&path) {
        Ok(_) => {
            context.warn_unless_allowed(written, &path, Use::Read);
            Some(absolute(&path))
        }
        Err(why) => {
            context.refuse(cannot_read(written, &path, &why));
            None
        }
    }
}

/// The same of one that holds a secret: a warning where everybody on this machine may read it.
pub fn secret(written: &Text, context: &mut LoadContext) -> Option<PathBuf> {
    let path = readable(written, context)?;
    warn_of_readers(written, &path, context);
    Some(path)
}

/// Warns where everybody on this machine may read a file that holds a secret.
pub fn warn_of_readers(written: &Text, path: &Path, context: &mut LoadContext) {
    let is_open = std::fs::metadata(path).is_ok_and(|file| file.mode() & 0o004 != 0);
    if is_open {
        let shown = path.display();
        context.warn(
            written
                .wrong(format!("everybody on this machine may read {shown}"), "a secret")
                .help(format!("chmod o= {shown}")),
        );
    }
}

/// Never opens a pipe, which would wait for a writer.
fn open(path: &Path) -> Result<(File, u64), String> {
    let described = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if described.is_dir() {
        return Err("it is a directory".to_owned());
    }
    if !described.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    Ok((file, described.len()))
}

fn cannot_read(written: &Text, path: &Path, why: &str) -> Mistake {
    let remedy = if access(path, AccessFlags::R_OK) == Err(Errno::EACCES) {
        "whoever runs this must be able to read it"
    } else {
        "paths are relative to the directory of the configuration file"
    };
    written.wrong(format!("cannot read {}", path.display()), why).help(remedy)
}

/// A PEM file, of at most 8 MiB.
pub fn pem(written: &Text, context: &mut LoadContext) -> Option<(PathBuf, Vec<u8>)> {
    let path = context.path(written);
    let octets = open(&path).and_then(|(file, octets)| {
        if octets > PEM_OCTETS_MAX {
            return Err("it is larger than 8 MiB".to_owned());
        }
        drop(file);
        std::fs::read(&path).map_err(|error| error.to_string())
    });
    match octets {
        Ok(octets) => {
            context.warn_unless_allowed(written, &path, Use::Read);
            Some((path, octets))
        }
        Err(why) => {
            context.refuse(cannot_read(written, &path, &why));
            None
        }
    }
}

/// A PEM file with at least one certificate in it.
pub fn certificates(
    written: &Text,
    context: &mut LoadContext,
) -> Option<(PathBuf, Vec<CertificateDer<'static>>)> {
    let (path, octets) = pem(written, context)?;
    let shown = path.display();
    let mut list = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&octets) {
        match certificate {
            Ok(certificate) => list.push(certificate),
            Err(error) => {
                context.refuse(
                    written
                        .wrong(format!("{shown} is damaged"), "")
                        .help(format!("the PEM reader says: {error}")),
                );
                return None;
            }
        }
    }
    if list.is_empty() {
        context.refuse(
            written
                .wrong(format!("{shown} has no certificate in it"), "")
                .help("expected a PEM file with `-----BEGIN CERTIFICATE-----`"),
        );
        return None;
    }
    Some((absolute(&path), list))
}

/// A directory that is there.
pub fn directory(written: &Text, context: &mut LoadContext) -> Option<PathBuf> {
    let path = context.path(written);
    let why = match std::fs::metadata(&path) {
        Ok(described) if described.is_dir() => {
            context.warn_unless_allowed(written, &path, Use::Fill);
            return Some(absolute(&path));
        }
        Ok(_) => "it is not a directory".to_owned(),
        Err(error) => error.to_string(),
    };
    let shown = path.display();
    context.refuse(
        written
            .wrong(format!("cannot use {shown}"), &why)
            .help("make it, owned by the user that Postern runs as"),
    );
    None
}

/// A file to append to: it may be missing, its directory may not.
pub fn appendable(written: &Text, context: &mut LoadContext) -> Option<PathBuf> {
    let path = context.path(written);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let why = if path.is_dir() {
        "it is a directory"
    } else if parent.is_some_and(|parent| !parent.is_dir()) {
        "its directory does not exist"
    } else {
        // Who rotates moves it away, and it is made anew by whom we became.
        let whole = absolute(&path);
        if let Some(parent) = whole.parent() {
            context.warn_unless_allowed(written, parent, Use::Fill);
        }
        return Some(whole);
    };
    context.refuse(
        written
            .wrong(format!("cannot write to {}", path.display()), why)
            .help("paths are relative to the directory of the configuration file"),
    );
    None
}
