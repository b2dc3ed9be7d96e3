//! What concerns the whole process: its name, log, figures, user.

use super::super::tables::{self, TopTable};
use super::Placed;
use mail::address::Domain;
use nix::unistd::{Group, User};
use settings::process::{Dns, ListenAddress, Log};
use settings::table::context::LoadContext;
use settings::table::value::{Text, all};
use settings::user::DropTo;
use settings::{address, file};
use std::net::SocketAddr;

/// Where a DNS server is asked.
const DNS_PORT: u16 = 53;

pub(super) fn hostname(name: &Text, context: &mut LoadContext) -> Option<Domain> {
    let domain = context.told(address::domain(name))?;
    if !domain.as_str().contains('.') {
        context.warn(name.wrong("`hostname` is not fully qualified", "has no dot").help(
            "RFC 5321 §2.3.5 asks for a name that resolves: many servers refuse others, for \
                 example: hostname = \"mx.example.test\"",
        ));
    }
    Some(domain)
}

pub(super) fn log(log: &tables::Log, context: &mut LoadContext) -> Log {
    let file = log.file.as_ref().and_then(|file| file::appendable(file, context));
    Log { file, format: *log.format }
}

pub(super) fn metrics(
    metrics: &tables::Metrics,
    listeners: &[Placed],
    context: &mut LoadContext,
) -> Option<SocketAddr> {
    let written = metrics.address.as_ref()?;
    let text = written.as_str();
    let Ok(socket) = text.parse::<SocketAddr>() else {
        context.refuse(
            written
                .wrong(format!("\"{text}\" is no address"), "expected IP address and port")
                .help("for example: address = \"127.0.0.1:9925\""),
        );
        return None;
    };
    if !socket.ip().to_canonical().is_loopback() && !*metrics.public {
        context.refuse(
            written.wrong("the figures would be open to everybody", "not a loopback address").help(
                format!(
                    "write \"127.0.0.1:{}\", or add `public = true` if the network in front of \
                     it keeps strangers out: it asks for no password",
                    socket.port()
                ),
            ),
        );
        return None;
    }
    for (listener, span) in listeners {
        if listener.address == ListenAddress::Socket(socket) && socket.port() != 0 {
            context.refuse(
                written
                    .wrong(format!("\"{text}\" is taken twice"), "again here")
                    .at(span.clone(), "first here"),
            );
        }
    }
    Some(socket)
}

pub(super) fn dns(dns: &tables::Dns, context: &mut LoadContext) -> Dns {
    if cfg!(not(feature = "dns")) && *dns.require_reverse_name {
        let wrong = dns.require_reverse_name.wrong("this build of Postern has no `dns`", "");
        context.refuse(wrong.help("run the whole program, or build it with: --features dns"));
    }
    let mut servers = Vec::new();
    for text in all(&dns.servers) {
        let server = text.parse().or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, DNS_PORT)));
        match server {
            Ok(server) => servers.push(server),
            Err(_) => context.refuse(
                text.wrong(format!("\"{text}\" is no DNS server"), "expected an IP address")
                    .help("for example: servers = [\"127.0.0.1\"]"),
            ),
        }
    }
    Dns { servers }
}

pub(super) fn drop_to(written: &TopTable, context: &mut LoadContext) -> Option<DropTo> {
    let Some(name) = &written.user else {
        if let Some(group) = &written.group {
            context.refuse(
                group
                    .wrong("`group` without `user`", "")
                    .help("add `user`, for example: user = \"postern\""),
            );
        }
        return None;
    };
    let group = written.group.as_ref().map(|group| group_named(group, context));
    let user = match User::from_name(name) {
        Ok(Some(user)) => user,
        Ok(None) => {
            let message = format!("there is no user \"{}\"", name);
            context.refuse(name.wrong(message, "").help(format!(
                "make one: useradd --system --no-create-home {}",
                if name.starts_with('-') { "postern" } else { name }
            )));
            return None;
        }
        Err(error) => {
            let message = format!("cannot look up the user \"{}\"", name);
            context.refuse(name.wrong(message, "").help(error.to_string()));
            return None;
        }
    };
    if user.uid.is_root() {
        context.warn(
            name.wrong("Postern would keep all rights of root", "")
                .help("name a user that owns nothing but `state_dir`"),
        );
    }
    let (group, gid) = match group {
        Some(group) => group?,
        None => match Group::from_gid(user.gid) {
            Ok(Some(group)) => (group.name, group.gid.as_raw()),
            _ => (user.gid.to_string(), user.gid.as_raw()),
        },
    };
    Some(DropTo { user: user.name, uid: user.uid.as_raw(), group, gid })
}

fn group_named(name: &Text, context: &mut LoadContext) -> Option<(String, u32)> {
    match Group::from_name(name) {
        Ok(Some(group)) => return Some((group.name, group.gid.as_raw())),
        Ok(None) => {
            let message = format!("there is no group \"{}\"", name);
            context.refuse(
                name.wrong(message, "").help("leave `group` out to take the first group of `user`"),
            );
        }
        Err(error) => {
            let message = format!("cannot look up the group \"{}\"", name);
            context.refuse(name.wrong(message, "").help(error.to_string()));
        }
    }
    None
}
