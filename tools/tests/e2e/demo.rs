//! The demo as it is given, small: what both halves come to, and what is printed.

use tools::demo::figures::Figures;
use tools::demo::progress::Progress;
use tools::demo::stream::Size;
use tools::demo::{Wishes, compare, give};

const WISHES: Wishes = Wishes {
    size: Size::SMALL,
    seed: 7,
    once: true,
    json: true,
    colour: false,
    progress: Progress::Hidden,
};

#[tokio::test]
async fn without_postern_innocents_are_flooded_and_with_it_nobody_is() {
    let (report, world, postern) = compare(&WISHES, |_| Ok(())).await.unwrap();
    let (without, with): (&Figures, &Figures) = (&report.without, &report.with);

    // Everybody is accepted, so everybody unknown costs an NDR.
    assert_eq!(without.recipients_refused, 0);
    assert_eq!(without.worm_messages_accepted, without.worm_messages_sent);
    assert!(without.unknown_recipients_accepted > 200, "{without:?}");
    assert!(without.ndrs_to_innocents > 150, "{without:?}");
    assert!(without.innocents_hit <= without.ndrs_to_innocents && without.innocents_hit > 100);
    assert_eq!(without.mistyped.told_by_ndr, without.mistyped.people);
    assert_eq!(without.real_mail_delivered, without.real_mail_sent);
    // Whoever sends to all names and reads the NDRs knows all that are real.
    assert!(without.names_learned > 10, "{without:?}");

    assert_eq!(with.unknown_recipients_accepted, 0);
    assert_eq!((with.ndrs_sent, with.ndrs_to_innocents, with.innocents_hit), (0, 0, 0));
    assert_eq!(with.real_mail_sent, without.real_mail_sent);
    assert_eq!(with.real_mail_delivered, with.real_mail_sent);
    assert!(with.worm_messages_accepted < with.worm_messages_sent / 2, "{with:?}");
    assert!(with.names_learned < without.names_learned, "{with:?}");
    assert!(with.octets_in < without.octets_in / 2 && with.octets_out < without.octets_out / 2);
    assert_eq!(with.mistyped.told_in_session, with.mistyped.people);
    let reply = with.mistyped.reply.as_deref().unwrap_or_default();
    assert!(reply.starts_with("550 5.1.1 "), "{reply}");
    assert!(report.promise_kept);

    assert_eq!(world.internet.notices_count(), 0);
    let folder = postern.log.parent().unwrap().to_owned();
    let log = std::fs::read_to_string(&postern.log).unwrap();
    assert!(log.contains("RecipientRefused") && log.contains("harvest_suspected"));
    postern.stop(false).await;
    assert!(!folder.exists(), "nothing is left behind");
}

#[tokio::test]
async fn the_keys_for_scripts_stay_as_they_are() {
    let mut out = Vec::new();
    let kept = give(&WISHES, &mut out).await.unwrap();
    let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(report["promise_kept"], kept);
    assert_eq!(report["schema"], 1);
    assert_eq!(report["seed"], 7);
    for half in ["without", "with"] {
        let keys: Vec<&str> = report[half].as_object().unwrap().keys().map(|k| &**k).collect();
        let documented = include_str!("../../../docs/demo.md");
        for key in &keys {
            assert!(documented.contains(&format!("`{key}`")), "{key} is in docs/demo.md");
        }
        for key in ["ndrs_to_innocents", "unknown_recipients_accepted", "real_mail_delivered"] {
            assert!(keys.contains(&key), "{key}");
        }
    }
}

#[tokio::test]
async fn the_table_is_printed_with_its_story() {
    let mut out = Vec::new();
    let wishes = Wishes { json: false, ..WISHES };
    assert!(give(&wishes, &mut out).await.unwrap());
    let text = String::from_utf8(out).unwrap();
    for part in ["1. Without Postern", "2. With Postern", "NDRs sent", "550 5.1.1", "log: /"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let log = text.lines().find_map(|line| line.trim().strip_prefix("Postern's log: ")).unwrap();
    let log = std::path::Path::new(log);
    assert!(log.exists());
    std::fs::remove_dir_all(log.parent().unwrap()).unwrap();
}
