//! Against a server of the tests' own.

use super::*;
use kit::{Dns, DnsMood};

const CLIENT: &str = "192.0.2.7";

async fn found(dns: &Dns, address: &str) -> ReverseName {
    Resolver::new(&[dns.address]).unwrap().reverse_name(address.parse().unwrap()).await
}

fn confirmed(name: &str) -> ReverseName {
    ReverseName::Confirmed(name.into())
}

#[tokio::test]
async fn a_name_counts_that_leads_back() {
    let dns = Dns::start();
    dns.reverse(CLIENT, "out.bar.example").forward("out.bar.example", CLIENT);
    dns.reverse("2001:db8::7", "six.bar.example").forward("six.bar.example", "2001:db8::7");
    assert_eq!(found(&dns, CLIENT).await, confirmed("out.bar.example"));
    assert_eq!(found(&dns, "::ffff:192.0.2.7").await, confirmed("out.bar.example"));
    assert_eq!(found(&dns, "2001:db8::7").await, confirmed("six.bar.example"));
}

#[tokio::test]
async fn the_one_of_several_that_leads_back_is_found() {
    let dns = Dns::start();
    dns.reverse(CLIENT, "elsewhere.example").forward("elsewhere.example", "192.0.2.8");
    dns.reverse(CLIENT, "out.bar.example").forward("out.bar.example", CLIENT);
    assert_eq!(found(&dns, CLIENT).await, confirmed("out.bar.example"));
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_or_nowhere_is_not_confirmed() {
    let dns = Dns::start();
    dns.reverse(CLIENT, "out.bar.example").forward("out.bar.example", "192.0.2.8");
    dns.reverse("192.0.2.9", "nowhere.example");
    assert_eq!(found(&dns, CLIENT).await, ReverseName::Unconfirmed);
    assert_eq!(found(&dns, "192.0.2.9").await, ReverseName::Unconfirmed);
}

#[tokio::test]
async fn no_name_is_what_the_dns_says_and_a_failure_is_not() {
    let dns = Dns::start();
    assert_eq!(found(&dns, CLIENT).await, ReverseName::Missing);
    for code in [2, 5] {
        dns.set_mood(DnsMood::Says(code));
        assert_eq!(found(&dns, CLIENT).await, ReverseName::Unavailable, "RCODE {code}");
    }
    // NOERROR without an answer.
    dns.set_mood(DnsMood::Says(0));
    assert_eq!(found(&dns, CLIENT).await, ReverseName::Missing);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for_without_end() {
    let dns = Dns::start();
    dns.set_mood(DnsMood::Silent);
    let began = std::time::Instant::now();
    assert_eq!(found(&dns, CLIENT).await, ReverseName::Unavailable);
    assert!(began.elapsed() < ADDRESS_PATIENCE * 2, "{:?}", began.elapsed());
    assert!(dns.questions() > 0);
}

#[tokio::test]
async fn what_was_answered_is_not_asked_again() {
    let dns = Dns::start();
    dns.reverse(CLIENT, "out.bar.example").forward("out.bar.example", CLIENT);
    let resolver = Resolver::new(&[dns.address]).unwrap();
    resolver.reverse_name(CLIENT.parse().unwrap()).await;
    let questions = dns.questions();
    resolver.reverse_name(CLIENT.parse().unwrap()).await;
    assert_eq!(dns.questions(), questions);
}
