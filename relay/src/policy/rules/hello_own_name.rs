//! Nobody else bears our name: a client that calls itself by it is lying, as worms and spamware do
//! who greet each server by the server's own name. It is said in any case and with or without the
//! dot at the end, in EHLO or HELO. RFC 5321 §4.1.4 forbids refusals because the name does not fit
//! the address; this is about what the name is, which §7.9 leaves to the operator.
//!
//! Whatever comes over loopback is this machine, and may say what this machine is called:
//! monitoring does. Networks with `limits = "lifted"` are not spared: what is lifted there is how
//! much and how often, and a worm on a desk inside lies as well as one outside.
//! Limits: this machine is not recognised when it speaks to itself by another of its addresses;
//! monitoring should use loopback, or a name of its own.

use super::prelude::*;
use mail::address::Domain;
use mail::smtp::command::Hello;
use std::net::IpAddr;

/// Refuses our own name from everybody but ourselves.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    let ip = facts.client.address.ip();
    let ours = [&settings.hostname, facts.hostname];
    let is_lie = |hello: &Hello| ours.iter().any(|ours| is_lie(&hello.name, ip, ours));
    let lie = facts.hello.is_some_and(is_lie);
    Ok(lie.then_some(Refusal::HelloOwnName))
}

/// `name` is ours, and whoever says it is not this machine.
fn is_lie(name: &str, ip: IpAddr, hostname: &Domain) -> bool {
    !ip.to_canonical().is_loopback() && Domain::new(name).is_ok_and(|name| name == *hostname)
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, _: &Settings) -> String {
    facts.hello.map_or(String::new(), |hello| format!("it says {}", hello.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_name_is_a_lie_in_any_case_unless_it_comes_over_loopback() {
        let hostname = Domain::new("mx.Example.com").unwrap();
        for (name, ip, lie) in [
            ("mx.example.com", "192.0.2.1", true),
            ("MX.EXAMPLE.COM", "2001:db8::1", true),
            ("mx.example.com.", "10.0.0.1", true),
            ("mx.example.com", "127.0.0.1", false),
            ("mx.example.com", "127.1.2.3", false),
            ("mx.example.com", "::ffff:127.0.0.1", false),
            ("mx.example.com", "::1", false),
            ("example.com", "192.0.2.1", false),
            ("a.mx.example.com", "192.0.2.1", false),
            ("mx.example.com.example.net", "192.0.2.1", false),
            ("[192.0.2.1]", "192.0.2.1", false),
        ] {
            assert_eq!(is_lie(name, ip.parse().unwrap(), &hostname), lie, "{name} from {ip}");
        }
    }
}
