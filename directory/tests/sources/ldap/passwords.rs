//! Binds that are refused: how often a password is tried that the directory does not take.
//! Directories lock accounts that bind with a wrong one too often.

use super::*;
use std::fs::File;
use std::thread;
use std::time::{Instant, SystemTime};

/// What Active Directory answers to a wrong password, behind code 49.
const WRONG: &str =
    "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 52e, v4563\0";

fn binding(folder: &Folder, fakes: &[&FakeLdap]) -> Settings {
    let bind = Bind { dn: "cn=postern".to_owned(), password_file: password_file(folder, "stale") };
    let servers: Vec<SocketAddr> = fakes.iter().map(|fake| fake.address).collect();
    Settings { bind: Some(bind), ..settings(Preset::Custom, &servers, "o=Example") }
}

/// Asks on several threads for so long, in vain; the last trouble.
fn ask_in_vain(source: &Arc<Ldap>, time: Duration) -> Trouble {
    let until = Instant::now() + time;
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let source = Arc::clone(source);
            thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                let asker = Asker { runtime, source };
                loop {
                    let trouble = asker.trouble(PERSON);
                    if Instant::now() > until {
                        return trouble;
                    }
                    thread::sleep(Duration::from_millis(20));
                }
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).next_back().unwrap()
}

fn binds(fakes: &[&FakeLdap]) -> usize {
    fakes.iter().map(|fake| fake.binds().len()).sum()
}

#[test]
fn a_refused_password_is_tried_twice_by_all_threads_on_all_servers_together() {
    let (first, second, folder) = (FakeLdap::start(honest), FakeLdap::start(honest), Folder::new());
    let both = [&first, &second];
    both.iter().for_each(|fake| fake.answer_binds_with(49, WRONG));
    let asker = Asker::new(binding(&folder, &both));
    let trouble = ask_in_vain(&asker.source, Duration::from_secs(4));
    assert_eq!(binds(&both), 2);
    let connections = first.connections() + second.connections();
    assert!(connections <= 8, "{connections}: without a bind nobody needs to connect");
    assert_eq!(trouble.kind, TroubleKind::Misconfigured);
    assert!(trouble.what.contains("the password is wrong"), "{trouble}");
    assert!(trouble.what.contains("6 hours"), "{trouble}");
    assert!(trouble.remedy.contains("`password_file`"), "{}", trouble.remedy);
    both.iter().for_each(|fake| fake.answer_binds(0));
    password_file(&folder, "fresh");
    assert!(asker.knows(PERSON), "with the next question");
    assert_eq!(first.binds().last().unwrap().password.as_deref(), Some("fresh"));
}

#[test]
fn a_password_file_that_is_touched_or_written_anew_is_tried_again() {
    let (fake, folder) = (FakeLdap::start(honest), Folder::new());
    fake.answer_binds(49);
    let settings = binding(&folder, &[&fake]);
    let file = settings.bind.as_ref().unwrap().password_file.clone();
    let asker = Asker::new(settings);
    let ask = || (0..10).for_each(|_| drop(asker.trouble(PERSON)));
    ask();
    assert_eq!(fake.binds().len(), 2);
    let touch = |seconds| {
        let file = File::options().append(true).open(&file).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    };
    touch(1_000_000);
    ask();
    assert_eq!(fake.binds().len(), 4);
    // As many octets, and the time brought along.
    password_file(&folder, "other");
    touch(1_000_000);
    ask();
    assert_eq!(fake.binds().len(), 6);
    fake.answer_binds(0);
    touch(2_000_000);
    assert!(asker.knows(PERSON));
}

#[test]
fn a_trial_of_many_servers_does_not_lock_the_account_either() {
    let fakes: Vec<FakeLdap> = (0..6).map(|_| FakeLdap::start(honest)).collect();
    let fakes: Vec<&FakeLdap> = fakes.iter().collect();
    fakes.iter().for_each(|fake| fake.answer_binds_with(49, WRONG));
    let folder = Folder::new();
    let asker = Asker::new(binding(&folder, &fakes));
    for tried in [1, 2, 2] {
        let trouble = asker.try_out().unwrap_err();
        assert!(trouble.what.contains("the password is wrong"), "{trouble}");
        assert_eq!(binds(&fakes), tried);
    }
}

#[test]
fn a_server_that_takes_the_password_is_asked_whatever_another_says_of_it() {
    let (mut first, second, folder) =
        (FakeLdap::start(honest), FakeLdap::start(honest), Folder::new());
    second.answer_binds(49);
    let asker = Asker::new(binding(&folder, &[&first, &second]));
    assert!(asker.knows(PERSON));
    for _ in 0..3 {
        // Without an answer from the first the second is asked, which lets nobody in.
        first.answer_with(|_| vec![LdapAnswer::done(32)]);
        (0..5).for_each(|_| drop(asker.trouble(PERSON)));
        first.answer_with(honest);
        first.restart();
        assert!(asker.knows(PERSON), "over a new connection");
    }
    assert_eq!(second.binds().len(), 2);
}

#[test]
fn a_server_that_lets_nobody_in_any_more_hears_two_binds() {
    let (mut fake, folder) = (FakeLdap::start(honest), Folder::new());
    let asker = Asker::new(binding(&folder, &[&fake]));
    assert!(asker.knows(PERSON));
    fake.answer_binds_with(49, WRONG);
    fake.restart();
    ask_in_vain(&asker.source, Duration::from_secs(2));
    assert_eq!(fake.binds().len(), 1 + 2);
}
