//! The turns with parties that are numbers, and whatever may happen in whatever order.

use super::*;
use proptest::prelude::*;
use std::cell::Cell;

type Plain = Turns<u32, Cell<bool>>;

fn party(ip: &str) -> Party {
    Party::of(ip.parse().unwrap(), false)
}

fn take(turns: &mut Plain, ip: &str) -> u64 {
    turns.try_take(party(ip), Moment(0), Cell::default()).unwrap()
}

/// Who is served, in order, when `leases` end.
fn served(turns: &mut Plain, leases: &[u64]) -> Vec<u32> {
    let end = |&lease: &u64| {
        turns.end(lease);
        turns.serve(Moment(0), |_| Cell::default()).unwrap().0
    };
    leases.iter().map(end).collect()
}

/// A holder that waits for its client can do without.
fn can_do_without(holder: &Cell<bool>) -> bool {
    !holder.replace(true)
}

#[test]
fn networks_and_their_clients_take_turns_however_many_times_they_ask() {
    let mut turns = Plain::new(100);
    let leases: Vec<u64> = (0..100).map(|_| take(&mut turns, "203.0.113.1")).collect();
    for n in 0..5 {
        turns.join(party("192.0.2.1"), n);
    }
    turns.join(party("192.0.2.2"), 10);
    turns.join(party("198.51.100.1"), 20);
    turns.join(party("198.51.100.1"), 21);
    assert_eq!(served(&mut turns, &leases[..8]), [0, 20, 10, 21, 1, 2, 3, 4]);
}

#[test]
fn who_has_his_share_is_passed_over_for_others_but_may_have_all_when_alone() {
    let mut turns = Plain::new(16);
    let all: Vec<u64> = (0..16).map(|_| take(&mut turns, "192.0.2.1")).collect();
    turns.join(party("192.0.2.1"), 1);
    turns.join(party("192.0.2.2"), 2);
    turns.join(party("198.51.100.1"), 3);
    assert_eq!(served(&mut turns, &all[..3]), [3, 2, 1]);
    assert!(turns.serve(Moment(0), |_| Cell::default()).is_none(), "nothing is free");
}

#[test]
fn who_is_over_his_share_gives_back_at_once_and_nobody_else_does() {
    let mut turns = Plain::new(16);
    let _few = [take(&mut turns, "198.51.100.1"), take(&mut turns, "198.51.100.1")];
    (0..14).for_each(|_| _ = take(&mut turns, "192.0.2.1"));
    let new = party("203.0.113.1");
    turns.join(new, 1);
    assert!(!turns.recall_unfair(party("192.0.2.1"), can_do_without), "it has its share");
    assert!(!turns.recall_unfair(new, |_| false), "every holder needs its own");
    assert!(turns.recall_unfair(new, can_do_without));
    assert!(!turns.recall_unfair(new, can_do_without), "one comes back for the one that waits");
    let recalled: Vec<u64> =
        turns.leases.iter().filter(|(_, l)| l.holder.get()).map(|(&number, _)| number).collect();
    assert_eq!(recalled, [3], "the oldest of those over their share");
    assert_eq!(served(&mut turns, &recalled), [1]);
    turns.join(new, 2);
    assert!(turns.recall_unfair(new, can_do_without), "the next one");
}

#[test]
fn within_their_shares_only_old_leases_are_called_back() {
    let mut turns = Plain::new(1);
    let only = take(&mut turns, "192.0.2.1");
    let new = party("198.51.100.1");
    turns.join(new, 1);
    turns.restart(only, Moment(1_000));
    assert!(!turns.recall_unfair(new, can_do_without), "one at least is everybody's share");
    assert!(!turns.recall_old(Moment(1_099), can_do_without));
    assert!(turns.recall_old(Moment(1_100), can_do_without));
    assert!(!turns.recall_old(Moment(9_000), can_do_without), "it is on its way");
    assert_eq!(served(&mut turns, &[only]), [1]);
}

#[test]
fn a_client_without_limits_and_nobody_in_particular_have_no_share_but_take_turns() {
    let lifted = Party::of("192.0.2.1".parse().unwrap(), true);
    for unbounded in [lifted, Party::NAMELESS] {
        let mut turns = Plain::new(8);
        let mut take = || turns.try_take(unbounded, Moment(0), Cell::default()).unwrap();
        let leases: Vec<u64> = (0..8).map(|_| take()).collect();
        turns.join(unbounded, 1);
        turns.join(unbounded, 2);
        turns.join(party("203.0.113.1"), 3);
        assert!(!turns.recall_unfair(party("203.0.113.1"), can_do_without));
        assert_eq!(served(&mut turns, &leases[..3]), [1, 3, 2]);
    }
}

#[test]
fn who_has_left_the_line_is_not_served() {
    let mut turns = Plain::new(1);
    let lease = take(&mut turns, "192.0.2.1");
    let gone = turns.join(party("198.51.100.1"), 1);
    turns.join(party("198.51.100.1"), 2);
    let alone = turns.join(party("203.0.113.1"), 3);
    turns.leave(party("198.51.100.1"), gone);
    turns.leave(party("203.0.113.1"), alone);
    turns.leave(party("203.0.113.1"), alone);
    assert_eq!(served(&mut turns, &[lease]), [2]);
    assert!(turns.line.is_empty());
}

/// What may happen: numbers choose among those whom it may happen to.
#[derive(Clone, Copy, Debug)]
enum Op {
    Ask(u8),
    Leave(u8),
    End(u8),
    Recall(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..30_u8).prop_map(Op::Ask),
        1 => any::<u8>().prop_map(Op::Leave),
        3 => any::<u8>().prop_map(Op::End),
        2 => any::<u8>().prop_map(Op::Recall),
    ]
}

/// Client `n` of five networks.
fn nth(n: u32) -> Party {
    party(&format!("10.0.{}.{}", n % 5, n))
}

/// Who waits, by its number in line, and who has what.
#[derive(Default)]
struct Seen {
    waiting: Vec<(u64, u32)>,
    leases: Vec<(u64, Option<u32>)>,
}

impl Seen {
    fn held(&self, is_counted: impl Fn(u32) -> bool) -> u32 {
        let held = self.leases.iter().filter(|(_, who)| who.is_some_and(&is_counted));
        u32::try_from(held.count()).unwrap()
    }

    /// Whether its network and it have what they may: who has less comes first.
    fn rank(&self, who: u32, max: u32) -> (bool, bool) {
        let (client, network) = (self.held(|n| n == who), self.held(|n| n % 5 == who % 5));
        (network >= (max / 4).max(1), client >= (max / 8).max(1))
    }

    /// Serves everybody for whom there is a slot, and judges who came first.
    fn serve(&mut self, turns: &mut Plain, max: u32) {
        while let Some((who, _, lease)) = turns.serve(Moment(0), |_| Cell::default()) {
            let first = self.waiting.iter().map(|&(_, other)| self.rank(other, max)).min();
            assert_eq!(first, Some(self.rank(who, max)), "passed over somebody");
            let at = self.waiting.iter().position(|&(_, waiter)| waiter == who).unwrap();
            self.waiting.remove(at);
            self.leases.push((lease, Some(who)));
        }
        assert!(self.waiting.is_empty() || self.leases.len() == max as usize, "one is left empty");
        assert!(self.leases.len() <= max as usize);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shares_hold_nothing_is_left_empty_and_everybody_is_served_in_the_end(
        max in 1..40_u32,
        ops in proptest::collection::vec(op(), 1..200),
    ) {
        let (mut turns, mut seen) = (Plain::new(max), Seen::default());
        for op in ops {
            match op {
                Op::Ask(n) => {
                    let who = u32::from(n);
                    match turns.try_take(nth(who), Moment(0), Cell::default()) {
                        Some(lease) => seen.leases.push((lease, Some(who))),
                        None => seen.waiting.push((turns.join(nth(who), who), who)),
                    }
                }
                Op::Leave(n) if !seen.waiting.is_empty() => {
                    let (number, who) = seen.waiting.remove(n as usize % seen.waiting.len());
                    turns.leave(nth(who), number);
                }
                Op::End(n) if !seen.leases.is_empty() => {
                    let (lease, _) = seen.leases.remove(n as usize % seen.leases.len());
                    turns.end(lease);
                }
                Op::Recall(n) if !seen.waiting.is_empty() => {
                    let (_, waiter) = seen.waiting[n as usize % seen.waiting.len()];
                    if turns.recall_unfair(nth(waiter), can_do_without) {
                        let number = *turns.leases.iter().find(|(_, l)| l.holder.take()).unwrap().0;
                        let lease = seen.leases.iter_mut().find(|l| l.0 == number).unwrap();
                        let holder = lease.1.take().unwrap();
                        let (waiter, holder) = (seen.rank(waiter, max), seen.rank(holder, max));
                        prop_assert!(waiter < holder, "taken from somebody within his share");
                    }
                }
                _ => {}
            }
            seen.serve(&mut turns, max);
        }
        // Leases go on to end, oldest first: everybody has a turn.
        while let Some((lease, _)) = (!seen.leases.is_empty()).then(|| seen.leases.remove(0)) {
            turns.end(lease);
            seen.serve(&mut turns, max);
        }
        prop_assert!(seen.waiting.is_empty() && turns.line.is_empty());
        prop_assert_eq!((turns.coming, turns.clients.over, turns.networks.over), (0, 0, 0));
        prop_assert!(turns.clients.held.is_empty() && turns.networks.held.is_empty());
    }

    #[test]
    fn newcomers_without_end_keep_nobody_from_his_turn(ahead in 0..20_u32, fresh in 1..4_u32) {
        let mut turns = Plain::new(1);
        let mut lease = take(&mut turns, "192.0.2.1");
        (0..ahead).for_each(|n| _ = turns.join(party(&format!("10.1.{n}.1")), 1));
        turns.join(party("192.0.2.2"), 0);
        let mut passed = 0;
        for round in 0.. {
            (0..fresh).for_each(|n| _ = turns.join(party(&format!("10.{}.{round}.1", n + 2)), 1));
            turns.end(lease);
            let (who, _, next) = turns.serve(Moment(0), |_| Cell::default()).unwrap();
            lease = next;
            if who == 0 {
                break;
            }
            passed += 1;
        }
        prop_assert_eq!(passed, ahead);
    }
}
