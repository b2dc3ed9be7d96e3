//! Real Postfix and Exim as next hops that are honest, late, refuse `<>`, greylist or accept all.

use super::{Asker, EXISTS, settings};
use directory::callout::{Settings, Until};
use directory::live::{Existence, LiveSource, TroubleKind};
use kit::servers::{Server, needs};
use kit::{Folder, has};

#[test]
fn postfix_is_asked_as_honest_as_greylisting_as_refusing_bounces_and_as_an_accept_all() {
    if !has(&["postfix", "root"]) {
        return;
    }
    let honest = "virtual_mailbox_maps = inline:{ { jones@example.test = mail/ }, \
                  { smith@example.test = mail/ } }";
    let server = Server::start("postfix", honest);
    let asker = Asker::of(server.address);
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    for n in 0..30 {
        assert_eq!(asker.ask(&format!("nobody{n}")).unwrap(), Existence::Unknown);
    }
    assert_eq!(asker.ask("smith").unwrap(), EXISTS);
    let found = asker.try_out().unwrap();
    assert!(found.contains("postfix.example.test ESMTP Postfix"), "{found}");
    assert_eq!(asker.callout.epoch(), 0);

    let server = Server::start(
        "postfix",
        &format!(
            "{honest}\nsmtpd_recipient_restrictions = check_recipient_access \
        static:{{ 450 4.2.0 greylisted }}"
        ),
    );
    let asker = Asker::of(server.address);
    assert_eq!(asker.trouble("jones"), TroubleKind::Busy);
    assert_eq!(asker.trouble("nobody"), TroubleKind::Busy);

    // Refused at RCPT, as Postfix does by default, and refused at MAIL.
    for more in ["", "smtpd_delay_reject = no\n"] {
        let server = Server::start(
            "postfix",
            &format!(
                "{honest}\n{more}smtpd_sender_restrictions = \
            check_sender_access inline:{{ {{ <> = REJECT }} }}"
            ),
        );
        let asker = Asker::of(server.address);
        assert_eq!(asker.ask("nobody").unwrap(), Existence::Unknown);
        assert_eq!(asker.ask("jones").unwrap(), EXISTS);
        assert!(asker.callout.behaviour().refuses_null);
    }

    let server = Server::start("postfix", "");
    let asker = Asker::of(server.address);
    assert_eq!(asker.ask("nobody").unwrap(), EXISTS);
    assert_eq!(asker.ask_until_data("nobody").unwrap(), EXISTS);
}

#[test]
fn postfix_that_refuses_behind_data_is_late() {
    if !has(&["postfix", "root"]) {
        return;
    }
    let server = Server::start(
        "postfix",
        "smtpd_data_restrictions = check_recipient_access \
        inline:{ { nobody@example.test = 550 5.1.1 User unknown } }",
    );
    let asker = Asker::of(server.address);
    assert_eq!(asker.ask("nobody").unwrap(), EXISTS);
    assert_eq!(asker.ask_until_data("nobody").unwrap(), Existence::Unknown);
    assert_eq!(asker.ask_until_data("jones").unwrap(), EXISTS);
    assert!(asker.callout.behaviour().is_late);
}

/// Exim that says this first at RCPT, and this at DATA.
fn exim(rcpt: &str, predata: &str) -> (Server, Folder) {
    let folder = Folder::new();
    let predata = folder.write("predata", format!("{predata}\naccept\n"));
    let main = format!("acl_smtp_predata = {}", predata.display());
    (Server::start("exim", &format!("{main}\nbegin acl\n{rcpt}\n")), folder)
}

#[test]
fn exim_is_asked_as_honest_as_late_as_refusing_bounces_and_as_an_accept_all() {
    if !has(&[&needs("exim"), "root"]) {
        return;
    }
    let honest = "  deny message = unknown user\n       !local_parts = jones : smith";
    let (server, _folder) = exim(honest, "");
    let asker = Asker::of(server.address);
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    for n in 0..30 {
        assert_eq!(asker.ask(&format!("nobody{n}")).unwrap(), Existence::Unknown);
        assert_eq!(asker.ask("smith").unwrap(), EXISTS);
    }
    assert_eq!(asker.callout.epoch(), 0, "the date in its banner changes");

    let (server, _folder) = exim(
        "",
        "deny message = 5.1.1 unknown user\n       condition = ${if eq{$recipients}{nobody@example.test}}",
    );
    let asker = Asker::with(&Settings { until: Until::Data, ..settings(&[server.address]) });
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    assert_eq!(asker.ask("nobody").unwrap(), Existence::Unknown);
    assert!(asker.callout.behaviour().is_late);

    let (server, _folder) =
        exim(&format!("  deny message = no bounces\n       senders = :\n{honest}"), "");
    let asker = Asker::of(server.address);
    assert_eq!(asker.ask("nobody").unwrap(), Existence::Unknown);
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    assert!(asker.callout.behaviour().refuses_null);

    let (server, _folder) = exim("  defer message = greylisted", "");
    assert_eq!(Asker::of(server.address).trouble("nobody"), TroubleKind::Busy);

    let (server, _folder) = exim("", "");
    let asker = Asker::of(server.address);
    assert_eq!(asker.ask("nobody").unwrap(), EXISTS);
    assert_eq!(asker.ask_until_data("nobody").unwrap(), EXISTS);
    assert_eq!(std::fs::read_dir(server.folder.file("mail")).unwrap().count(), 0);
}
