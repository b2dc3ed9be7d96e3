//! What a next hop says to a name that nobody has, and what is believed of it then: greylisting,
//! 4yz for good, and other 5yz than 550.

use super::{Stage, settings};
use directory::list::DomainScope;
use directory::trials::Trials;
use directory::{
    Canonical, Environment, Finding, Matched, Question, RecipientSource, SourceAnswer, callout,
};
use kit::process::Daemon;
use kit::servers::Server;
use kit::{Act, Folder, Hop, has, lasting_port};
use mail::address::{Domain, LocalPart};
use nix::sys::signal::Signal;
use relay::belief::class::Class;
use relay::settings::{DomainId, DomainSettings, LocalPartCase, NextHopId};
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use tokio::runtime::Runtime;

const YES: Finding = Finding::Exists { target: None, by: Matched::Exact };

/// A call-out as the directory has it, without a background.
struct Listed {
    runtime: Runtime,
    source: Arc<dyn RecipientSource>,
    domains: Vec<DomainSettings>,
}

impl Listed {
    fn of(hop: &Hop) -> Self {
        Self::with(hop, &["example.test"], &Arc::default())
    }

    fn with(hop: &Hop, names: &[&str], trials: &Arc<Trials>) -> Self {
        Self::at(hop.address, names, trials)
    }

    fn at(address: SocketAddr, names: &[&str], trials: &Arc<Trials>) -> Self {
        let domain = |name: &&str| DomainSettings {
            name: Domain::new(name).unwrap(),
            next_hop: NextHopId(0),
            local_part_case: LocalPartCase::Folded,
            sub_address_separator: None,
            local_part_characters: "".into(),
            catch_all: None,
            postmaster: None,
        };
        let domains: Vec<_> = names.iter().map(domain).collect();
        let scope = |(n, domain): (usize, &DomainSettings)| {
            DomainScope::new(DomainId(u32::try_from(n).unwrap()), domain)
        };
        let scopes: Vec<_> = domains.iter().enumerate().map(scope).collect();
        let environment = Environment {
            trials: Arc::clone(trials),
            ..Environment::bare(Domain::new("mx.example.test").unwrap())
        };
        let opened = callout::open(&settings(&[address]), &scopes, &environment).unwrap();
        Self { runtime: super::runtime(), source: opened.source, domains }
    }

    fn ask(&self, name: &str) -> Finding {
        self.ask_at(0, name)
    }

    fn ask_at(&self, domain: usize, name: &str) -> Finding {
        let local_part = LocalPart::new(name).unwrap();
        let settings = &self.domains[domain];
        let canonical = Canonical::new(&local_part, settings);
        let question = Question {
            domain: DomainId(u32::try_from(domain).unwrap()),
            settings,
            local_part: &local_part,
            canonical,
            party: relay::turns::Party::NAMELESS,
        };
        match self.source.look_up(&question) {
            SourceAnswer::Now(finding) => finding,
            SourceAnswer::Later(finding) => self.runtime.block_on(finding),
        }
    }
}

/// The names that nobody has, as this host heard them.
fn invented(hop: &Hop) -> usize {
    let names: HashSet<String> =
        hop.commands().into_iter().filter(|line| line.contains("<postern")).collect();
    names.len()
}

/// Takes jones, and says this to others.
fn refusing(reply: &'static str) -> Hop {
    Hop::acting(move |stage, command| match stage {
        Stage::Rcpt if !command.contains("jones") => Act::Say(reply),
        _ => Act::Obey,
    })
}

#[test]
fn a_5yz_that_a_name_nobody_has_heard_is_a_no() {
    for reply in [
        "524 5.2.4 mailing list expansion problem",
        "511 no such user",
        "553 5.3.0 no such user",
        "550 5.4.1 Recipient address rejected: Access denied",
        "554 5.1.1 no such user",
        "550 user unknown",
    ] {
        let hop = refusing(reply);
        let listed = Listed::of(&hop);
        assert_eq!(listed.ask("brown"), Finding::Unavailable, "{reply}: it took nobody yet");
        assert_eq!(listed.ask("jones"), YES, "{reply}");
        assert_eq!(listed.ask("brown"), Finding::Unknown, "{reply}");
    }
}

#[test]
fn a_5yz_about_us_or_other_than_an_invented_name_heard_is_none() {
    for reply in ["550 5.7.1 not from you", "554 5.7.606 banned", "530 5.7.0 authenticate"] {
        let hop = refusing(reply);
        let listed = Listed::of(&hop);
        assert_eq!(listed.ask("jones"), YES, "{reply}");
        assert_eq!(listed.ask("brown"), Finding::Unavailable, "{reply}");
    }
    let hop = Hop::acting(|stage, command| match stage {
        Stage::Rcpt if command.contains("brown") => Act::Say("554 5.6.0 not this one"),
        Stage::Rcpt if command.contains("smith") => Act::Say("552 5.2.2 full"),
        Stage::Rcpt if !command.contains("jones") => Act::Say("524 5.2.4 no such user"),
        _ => Act::Obey,
    });
    let listed = Listed::of(&hop);
    assert_eq!(listed.ask("jones"), YES);
    assert_eq!(listed.ask("brown"), Finding::Unavailable);
    assert_eq!(listed.ask("smith"), YES, "he is there, and the sender hears it of the server");
    assert_eq!(listed.ask("miller"), Finding::Unknown);
}

#[test]
fn while_a_name_is_put_off_mail_does_not_ask_for_others() {
    let hop = refusing("450 4.2.0 greylisted");
    let listed = Listed::of(&hop);
    for _ in 0..5 {
        assert_eq!(listed.ask("jones"), YES, "whom it takes is not made to wait");
    }
    let heard = hop.commands();
    let invented: Vec<_> = heard.iter().filter(|line| line.contains("<postern")).collect();
    assert_eq!(invented.len(), 1, "{invented:?}");
    let report = listed.source.report();
    assert_eq!(report.class.map(Class::word), Some("unproven"));
    assert!(report.why.contains("puts off") && report.why.contains("450"), "{report:?}");
}

#[test]
fn thirty_domains_of_a_host_cost_it_four_names_and_nobody_waits_for_the_rest() {
    let hop = Hop::acting(|stage, command| match stage {
        Stage::Rcpt if command.contains("jones@") || command.contains("@domain1.") => Act::Obey,
        Stage::Rcpt => Act::Say("550 5.1.1 no such user"),
        _ => Act::Obey,
    });
    let names: Vec<String> = (0..30).map(|n| format!("domain{n}.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let trials = Arc::default();
    let listed = Listed::with(&hop, &names, &trials);
    for domain in 0..30 {
        let catch_all = domain == 1;
        let right = if catch_all { Finding::Unavailable } else { YES };
        assert_eq!(listed.ask_at(domain, "jones"), right, "{domain}");
    }
    assert_eq!(invented(&hop), 4);
    for domain in 2..30 {
        // Where it was not tested, it has known nobody yet whose yes proves anything.
        let right = if domain < 4 { Finding::Unknown } else { Finding::Unavailable };
        assert_eq!(listed.ask_at(domain, "brown"), right, "{domain}");
        // It has refused somebody since: it is no accept-all there.
        assert_eq!(listed.ask_at(domain, "jones"), YES, "{domain}");
        assert_eq!(listed.ask_at(domain, "brown"), Finding::Unknown, "{domain}");
    }
    // Whoever else asks the same host, as after a reload, has no others.
    let again = Listed::with(&hop, &names, &trials);
    assert!((0..30).all(|domain| again.ask_at(domain, "jones") == YES));
    assert_eq!(invented(&hop), 4);
}

#[test]
fn a_host_that_hangs_up_on_a_trial_hears_no_other() {
    let hop = Hop::acting(|stage, command| match stage {
        Stage::Rcpt if command.contains("<postern") => Act::Close,
        _ => Act::Obey,
    });
    let listed = Listed::with(&hop, &["one.test", "two.test", "three.test"], &Arc::default());
    assert_eq!(listed.ask_at(0, "jones"), Finding::Unavailable, "who asked hears of it");
    for _ in 0..3 {
        assert!((0..3).all(|domain| listed.ask_at(domain, "jones") == YES));
    }
    assert_eq!(invented(&hop), 1);
}

/// Its greylist for Postfix, which lets a pair through after three seconds.
fn postgrey(folder: &Folder) -> (Daemon, SocketAddr) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, lasting_port()));
    let mut command = Command::new("postgrey");
    command.arg(format!("--inet={address}")).arg(format!("--dbdir={}", folder.path().display()));
    command.args(["--delay=3", "--user=root", "--group=root", "--auto-whitelist-clients=0"]);
    let mut daemon = Daemon::new(command, Signal::SIGTERM);
    daemon.start(|_| TcpStream::connect(address).is_ok());
    (daemon, address)
}

#[test]
fn behind_a_greylist_people_do_not_wait_until_an_invented_name_is_answered() {
    if !has(&["postfix", "postgrey", "root"]) {
        return;
    }
    let folder = Folder::new();
    let (_postgrey, greylist) = postgrey(&folder);
    let server = Server::start(
        "postfix",
        &format!(
            "virtual_mailbox_maps = inline:{{ {{ jones@example.test = mail/ }} }}\n\
             smtpd_recipient_restrictions = check_policy_service inet:{greylist}"
        ),
    );
    let listed = Listed::at(server.address, &["example.test"], &Arc::default());
    assert_eq!(listed.ask("jones"), Finding::Unavailable, "as everybody at first");
    kit::wait_until("he is let through", || listed.ask("jones") == YES);
    assert_eq!(listed.source.report().class, Some(Class::Unproven), "the name is put off");
    assert_eq!(listed.ask("brown"), Finding::Unavailable);
}
