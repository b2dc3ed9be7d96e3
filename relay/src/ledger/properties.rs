//! What holds however clients take turns: the innocent are not put off, whatever others do.

use super::tests::{client, deliver, refuse};
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Time between two deeds, in milliseconds at most: all of them fall within one window.
const PAUSE_MILLISECONDS_MAX: u64 = 1_500;

#[derive(Clone, Copy, Debug)]
enum Deed {
    /// So many recipients.
    Deliver(usize),
    Guess(usize),
    GuessInNotice(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        1 => (1_usize..20).prop_map(Deed::Deliver),
        3 => (0_usize..10_000).prop_map(Deed::Guess),
        1 => (0_usize..10_000).prop_map(Deed::GuessInNotice),
    ]
}

fn perform(ledger: &mut Ledger, client: &Client, deed: Deed, now: Moment) {
    match deed {
        Deed::Deliver(recipients) => deliver(ledger, client, recipients, now),
        Deed::Guess(name) => refuse(ledger, client, "a@b.example", name, now),
        Deed::GuessInNotice(name) => refuse(ledger, client, "", name, now),
    }
}

/// Deeds of others, who are of this many addresses, with the time between them.
fn deeds(addresses: u8) -> impl Strategy<Value = Vec<(u8, Deed, u64)>> {
    vec((0..addresses, deed(), 0..PAUSE_MILLISECONDS_MAX), 1..300)
}

fn is_put_off(ledger: &Ledger, client: &Client, now: Moment) -> bool {
    let standing = ledger.standing(client, now);
    standing.harvest || standing.notice_harvest
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn who_never_guessed_is_not_put_off_for_other_networks(deeds in deeds(200)) {
        let (mut ledger, mut now) = (Ledger::new((1, 2)), Moment(0));
        let innocent = client("198.51.100.1");
        for (who, deed, pause) in deeds {
            now = now.plus_milliseconds(pause);
            perform(&mut ledger, &client(&format!("10.0.{who}.1")), deed, now);
            prop_assert!(!is_put_off(&ledger, &innocent, now));
        }
    }

    #[test]
    fn up_to_seven_guessers_put_off_no_neighbour(deeds in deeds(7)) {
        let (mut ledger, mut now) = (Ledger::new((1, 2)), Moment(0));
        let neighbour = client("10.0.0.250");
        for (who, deed, pause) in deeds {
            now = now.plus_milliseconds(pause);
            perform(&mut ledger, &client(&format!("10.0.0.{who}")), deed, now);
            prop_assert!(!is_put_off(&ledger, &neighbour, now));
        }
    }

    #[test]
    fn a_tenth_of_stale_addresses_puts_nobody_off(
        sizes in vec(10_usize..60, 1..60),
        others in deeds(3),
    ) {
        let (mut ledger, mut now) = (Ledger::new((1, 2)), Moment(0));
        let list = client("198.51.100.1");
        let mut others = others.into_iter();
        let mut stale = 0;
        for size in sizes {
            deliver(&mut ledger, &list, size, now);
            for _ in 0..size / 10 {
                stale += 1;
                refuse(&mut ledger, &list, "list@b.example", stale, now);
                prop_assert!(!is_put_off(&ledger, &list, now));
            }
            if let Some((who, deed, pause)) = others.next() {
                now = now.plus_milliseconds(pause);
                perform(&mut ledger, &client(&format!("10.0.{who}.1")), deed, now);
            }
        }
    }

    #[test]
    fn what_was_lifted_is_put_off_no_more(deeds in deeds(1)) {
        let (mut ledger, mut now) = (Ledger::new((1, 2)), Moment(0));
        let lifted = client("10.0.0.0");
        for (_, deed, pause) in deeds {
            now = now.plus_milliseconds(pause);
            perform(&mut ledger, &lifted, deed, now);
        }
        ledger.lift(Prefix::client(lifted.address.ip()), now);
        prop_assert!(!is_put_off(&ledger, &lifted, now));
    }
}
