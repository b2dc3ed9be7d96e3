//! The servers that tests of recipient sources stand on: each starts, answers a client that is not
//! ours, stops, and comes back on its port with its data.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::fake_ldap::{Bind, FakeLdap, LdapAnswer, PAGED};
use kit::http::{Http, Response};
use kit::ldap_filter::Filter;
use kit::mariadb::{self, Mariadb};
use kit::postgres::{self, Postgres};
use kit::process::{Process, run};
use kit::slapd::{self, Anonymous, READER_PASSWORD, Setup, Shape, Slapd};
use kit::{PATIENCE, has};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

/// ldapsearch with these arguments: whether it was content, and what it said.
fn ldapsearch(url: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("ldapsearch");
    command.env("LDAPNOINIT", "1").args(["-LLL", "-x", "-o", "ldif-wrap=no", "-H", url]);
    run(command.args(arguments))
}

/// The lines of an attribute.
fn count(said: &str, attribute: &str) -> usize {
    said.lines().filter(|line| line.starts_with(&format!("{attribute}: "))).count()
}

fn refuses(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

fn filter_of(shape: Shape) -> &'static str {
    match shape {
        Shape::OpenLdap => "(mail=ALIAS0002@example.test)",
        Shape::ActiveDirectory => "(proxyAddresses=smtp:ALIAS0002@example.test)",
        Shape::Exchange55 => "(otherMailbox=SMTP$ALIAS0002@example.test)",
    }
}

fn a_directory_of(shape: Shape) {
    if !slapd::is_here() {
        return;
    }
    let mut slapd = Slapd::start(Setup { people: 3, ..Setup::new(shape) });
    let base = shape.base();
    let (is_content, said) = ldapsearch(&slapd.url(), &["-b", base, filter_of(shape), "dn"]);
    assert!(is_content, "{said}");
    assert_eq!(said.trim(), format!("dn: {}", shape.dn("person0002")));
    slapd.add_ldif(&shape.entry("jones", 9, "jones@example.test", &["j.jones@example.test"]));
    slapd.delete(&shape.dn("person0001"));
    slapd.stop();
    assert!(refuses(slapd.address) && refuses(slapd.tls_address.unwrap()));
    slapd.restart();
    let said = slapd.search("(|(mail=person*)(mail=jones@example.test))", &["dn"]);
    assert_eq!(count(&said, "dn"), 3, "{said}");
    assert_eq!(slapd.search("(mail=person0001@example.test)", &["dn"]).trim(), "");
    if shape != Shape::OpenLdap {
        let said = slapd.search("(uSNChanged>=1003)", &["dn"]);
        assert_eq!(said.trim(), format!("dn: {}", shape.dn("person0003")));
    }
}

#[test]
fn a_directory_in_the_shape_of_openldap_comes_back() {
    a_directory_of(Shape::OpenLdap);
}

#[test]
fn a_directory_in_the_shape_of_active_directory_comes_back() {
    a_directory_of(Shape::ActiveDirectory);
}

#[test]
fn a_directory_in_the_shape_of_exchange_55_comes_back() {
    a_directory_of(Shape::Exchange55);
}

#[test]
fn exchange_55_hides_people_from_all_but_its_administrator() {
    if !slapd::is_here() {
        return;
    }
    let shape = Shape::Exchange55;
    let slapd = Slapd::start(Setup { people: 2, ..Setup::new(shape) });
    let hidden = shape.dn("person0001");
    slapd.modify(&format!(
        "dn: {hidden}\nchangetype: modify\nadd: Hide-From-Address-Book\nHide-From-Address-Book: TRUE\n"
    ));
    let filter = "(rfc822Mailbox=person*)";
    let (_, said) = ldapsearch(&slapd.url(), &["-b", shape.base(), filter, "dn"]);
    assert_eq!(said.trim(), format!("dn: {}", shape.dn("person0002")));
    assert_eq!(count(&slapd.search(filter, &["dn"]), "dn"), 2);
}

#[test]
fn strangers_read_see_nothing_or_are_refused() {
    if !slapd::is_here() {
        return;
    }
    for (anonymous, code) in [(Anonymous::SeesNothing, "(32)"), (Anonymous::Refused, "(48)")] {
        let setup = Setup { people: 2, anonymous, ..Setup::new(Shape::OpenLdap) };
        let slapd = Slapd::start(setup);
        let search = ["-b", slapd.shape.base(), "(mail=person*)", "mail"];
        let (is_content, said) = ldapsearch(&slapd.url(), &search);
        assert!(!is_content && said.contains(code), "{anonymous:?}: {said}");
        let reader = slapd.reader();
        let bind = ["-D", &reader, "-w", READER_PASSWORD];
        let (is_content, said) = ldapsearch(&slapd.url(), &[&bind[..], &search].concat());
        assert!(is_content && count(&said, "mail") == 4, "{anonymous:?}: {said}");
    }
}

#[test]
fn a_directory_answers_so_many_entries_and_more_in_pages() {
    if !slapd::is_here() {
        return;
    }
    let setup = Setup { people: 25, entries_max: Some(10), ..Setup::new(Shape::OpenLdap) };
    let slapd = Slapd::start(setup);
    let search = ["-b", slapd.shape.base(), "(mail=person*)", "dn"];
    let (is_content, said) = ldapsearch(&slapd.url(), &search);
    assert!(!is_content && said.contains("(4)"), "{said}");
    assert_eq!(count(&said, "dn"), 10);
    let pages = [&["-E", "pr=10/noprompt"][..], &search].concat();
    let (is_content, said) = ldapsearch(&slapd.url(), &pages);
    assert!(is_content && count(&said, "dn") == 25, "{said}");
}

#[test]
fn a_directory_speaks_tls_both_ways_and_counts_searches() {
    if !slapd::is_here() {
        return;
    }
    let slapd = Slapd::start(Setup { people: 1, ..Setup::new(Shape::OpenLdap) });
    let before = slapd.searches();
    let authority = slapd.folder.file("authority.pem");
    // By address: ldapsearch takes `localhost` for the name of this machine.
    let tls_url = slapd.tls_url().replace("localhost", "127.0.0.1");
    for (url, more) in [(tls_url, None), (slapd.url(), Some("-ZZ"))] {
        let mut command = Command::new("ldapsearch");
        command.env("LDAPTLS_CACERT", &authority).env("LDAPTLS_REQCERT", "demand").args(more);
        command.args(["-LLL", "-x", "-H", &url, "-b", slapd.shape.base(), "(uid=person0001)"]);
        let (is_content, said) = run(&mut command);
        assert!(is_content && said.contains("person0001"), "{url}: {said}");
    }
    // Those two, and the one that counts.
    assert_eq!(slapd.searches(), before + 3);
}

#[test]
fn a_directory_tells_of_changes_as_they_happen() {
    if !slapd::is_here() {
        return;
    }
    let slapd = Slapd::start(Setup { people: 1, ..Setup::new(Shape::OpenLdap) });
    let mut command = Command::new("ldapsearch");
    command.env("LDAPNOINIT", "1").args(["-LLL", "-x", "-H", &slapd.url()]);
    command.args(["-b", slapd.shape.base(), "-E", "!sync=rp", "(mail=*)", "mail"]);
    let following = Process::start(&mut command);
    let told = |line: &str| line.contains("person0001").then_some(());
    following.output.wait_for(told, PATIENCE).expect("nobody is told of");
    slapd.add_ldif(&slapd.shape.entry("jones", 1, "jones@example.test", &[]));
    let told = |line: &str| line.contains("jones@example.test").then_some(());
    following.output.wait_for(told, PATIENCE).expect("a change is not told of");
}

#[test]
fn what_a_domain_controller_says_of_itself_is_read_at_each_start() {
    if !slapd::is_here() {
        return;
    }
    let root = "highestCommittedUSN: 1000\nisGlobalCatalogReady: TRUE".into();
    let mut slapd = Slapd::start(Setup { root, ..Setup::new(Shape::ActiveDirectory) });
    let says = |slapd: &Slapd| {
        let attribute = "highestCommittedUSN";
        ldapsearch(&slapd.url(), &["-s", "base", "-b", "", "(objectClass=*)", attribute]).1
    };
    assert!(says(&slapd).contains("highestCommittedUSN: 1000"));
    slapd.folder.write("root.ldif", "dn:\nhighestCommittedUSN: 2000\n");
    slapd.restart();
    assert!(says(&slapd).contains("highestCommittedUSN: 2000"));
}

#[test]
fn a_directory_that_hangs_goes_on_later() {
    if !slapd::is_here() {
        return;
    }
    let slapd = Slapd::start(Shape::OpenLdap);
    slapd.freeze();
    let mut stream = TcpStream::connect(slapd.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    // Message 1: a bind without name and password, LDAP version 3; and its answer, success.
    stream.write_all(b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00").unwrap();
    let mut answer = [0; 14];
    assert!(stream.read(&mut answer).is_err());
    slapd.thaw();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00");
}

#[test]
fn postgresql_comes_back_with_its_rows() {
    if !postgres::is_here() {
        return;
    }
    let mut postgres = Postgres::start();
    postgres.execute("CREATE TABLE people (address text); INSERT INTO people VALUES ('jones@x')");
    let psql = |postgres: &Postgres| {
        let roots = postgres.folder.file("authority.pem");
        let url = postgres.url().replace("127.0.0.1", "localhost");
        let url = format!("{url}?sslmode=verify-full&sslrootcert={}", roots.display());
        let sql = "SELECT address, ssl FROM people, pg_stat_ssl WHERE pid = pg_backend_pid()";
        run(Command::new("psql").args(["--no-psqlrc", "-Atc", sql, &url]))
    };
    assert_eq!(psql(&postgres), (true, "jones@x|t".into()));
    postgres.stop();
    assert!(refuses(postgres.address) && !psql(&postgres).0);
    postgres.restart();
    assert_eq!(psql(&postgres), (true, "jones@x|t".into()));
    assert_eq!(postgres.execute_as_superuser("SELECT current_user"), "postgres");
    let wrong = postgres.url().replace(postgres::PASSWORD, "wrong");
    assert!(!run(Command::new("psql").args(["--no-psqlrc", "-Atc", "SELECT 1", &wrong])).0);
}

#[test]
fn mariadb_comes_back_with_its_rows() {
    if !mariadb::is_here() {
        return;
    }
    let mut mariadb = Mariadb::start();
    mariadb.execute("CREATE TABLE people (address text); INSERT INTO people VALUES ('jones@x')");
    let client = |mariadb: &Mariadb, password: &str| {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "-BN", "--host=127.0.0.1", "--user=postern"]);
        command.arg(format!("--port={}", mariadb.address.port()));
        command.arg(format!("--password={password}"));
        command.arg(format!("--ssl-ca={}", mariadb.folder.file("authority.pem").display()));
        command.args(["--ssl-verify-server-cert", "postern", "-e"]);
        run(command.arg("SELECT address FROM people; SHOW STATUS LIKE 'Ssl_version'"))
    };
    let rows = (true, "jones@x\nSsl_version\tTLSv1.3".into());
    assert_eq!(client(&mariadb, mariadb::PASSWORD), rows);
    mariadb.stop();
    assert!(refuses(mariadb.address) && !client(&mariadb, mariadb::PASSWORD).0);
    mariadb.restart();
    assert_eq!(client(&mariadb, mariadb::PASSWORD), rows);
    assert!(!client(&mariadb, "wrong").0);
}

/// What comes back for these octets, until the server closes.
fn exchange(address: SocketAddr, octets: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(octets.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn an_http_server_answers_counts_and_comes_back() {
    let mut http = Http::start(|request| {
        let said = format!("{} {} {}", request.method, request.path, request.body.len());
        match request.header("authorization") {
            Some("Bearer secret") => Response::new(200, said).with("X-Test", "yes"),
            _ => Response::new(401, said),
        }
    });
    let two = "GET /one HTTP/1.1\r\n\r\nPOST /two HTTP/1.1\r\nAuthorization: Bearer secret\r\n\
               Connection: close\r\nContent-Length: 3\r\n\r\nabc";
    let expected = "HTTP/1.1 401 -\r\nContent-Length: 10\r\n\r\nGET /one 0\
                    HTTP/1.1 200 -\r\nX-Test: yes\r\nContent-Length: 11\r\n\r\nPOST /two 3";
    assert_eq!(exchange(http.address, two), expected);
    assert_eq!((http.requests(), http.connections()), (2, 1));
    // One that is idle is closed as well.
    let mut idle = TcpStream::connect(http.address).unwrap();
    idle.set_read_timeout(Some(PATIENCE)).unwrap();
    kit::wait_until("the idle client is taken", || http.connections() == 2);
    http.stop();
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    assert!(refuses(http.address));
    http.restart();
    http.answer_with(|_| Response::new(503, "later").cut_at(12).after(Duration::from_millis(1)));
    assert_eq!(exchange(http.address, "GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 503");
    assert_eq!((http.requests(), http.connections()), (3, 3));
}

fn one_person() -> Vec<LdapAnswer> {
    let mut answer = LdapAnswer::people(1);
    answer.push(LdapAnswer::done(0));
    answer
}

#[test]
fn a_fake_directory_shows_what_it_was_asked_and_comes_back() {
    if !has(&["ldapsearch"]) {
        return;
    }
    let mut fake = FakeLdap::start(|_| one_person());
    let filter = "(&(|(mail=a\\2a\\28\\29\\5c\\00\\c3\\a9@x)(cn=*b*c))(!(uid=*))(n>=5)(o<=z)(c~=d)\
                  (cn:dn:caseExactMatch:=e))";
    let reader = ["-D", "cn=reader", "-w", "secret", "-E", "pr=7/noprompt", "-b", "o=X"];
    let arguments = [&reader[..], &["-s", "one", "-z", "100", filter, "mail", "cn"]].concat();
    let (is_content, said) = ldapsearch(&fake.url(), &arguments);
    assert!(is_content && said.contains("mail: person0001@example.test"), "{said}");
    let search = fake.wait_for_search(1);
    assert_eq!((search.base.as_str(), search.scope, search.size_limit), ("o=X", 1, 100));
    assert_eq!(search.filter, filter);
    let Filter::And(parts) = &search.tree else { panic!("{search:?}") };
    let Filter::Or(either) = &parts[0] else { panic!("{search:?}") };
    assert_eq!(either[0], Filter::Equal("mail".into(), b"a*()\\\0\xc3\xa9@x".to_vec()));
    assert_eq!(search.attributes, ["mail", "cn"]);
    assert_eq!((search.controls, search.page), (vec![PAGED.into()], Some((7, Vec::new()))));
    assert_eq!(search.bound_as, "cn=reader");
    let bind = Bind { name: "cn=reader".into(), password: Some("secret".into()) };
    assert_eq!(fake.binds(), [bind]);
    fake.stop();
    assert!(refuses(fake.address));
    fake.restart();
    fake.answer_binds(49);
    let (is_content, said) = ldapsearch(&fake.url(), &reader);
    assert!(!is_content && said.contains("(49)"), "{said}");
    assert_eq!((fake.searches().len(), fake.connections()), (1, 2));
}

#[test]
fn a_fake_directory_ends_with_any_code_after_any_number_of_people() {
    if !has(&["ldapsearch"]) {
        return;
    }
    let fake = FakeLdap::start(|_| Vec::new());
    for (people, code) in [(100, 4), (1000, 4), (0, 0), (0, 51), (3, 52), (0, 8), (0, 32)] {
        fake.answer_with(move |_| {
            let mut answer = LdapAnswer::people(people);
            answer.push(LdapAnswer::done(code));
            answer
        });
        let (is_content, said) = ldapsearch(&fake.url(), &["-b", "o=Example", "mail"]);
        assert_eq!(count(&said, "mail"), people);
        assert_eq!(is_content, code == 0, "{said}");
        assert!(code == 0 || said.contains(&format!("({code})")), "{said}");
    }
}

#[test]
fn a_fake_directory_refers_elsewhere() {
    if !has(&["ldapsearch"]) {
        return;
    }
    let there = "ldap://elsewhere.test/o=X";
    let fake = FakeLdap::start(move |_| vec![LdapAnswer::referral(&[there])]);
    let (is_content, said) = ldapsearch(&fake.url(), &["-b", "o=Example"]);
    assert!(!is_content && said.contains("(10)") && said.contains(there), "{said}");
    fake.answer_with(move |_| vec![LdapAnswer::Reference(vec![there.into()]), LdapAnswer::done(0)]);
    let (is_content, said) = ldapsearch(&fake.url(), &["-b", "o=Example"]);
    assert!(is_content && said.contains(there), "{said}");
}

#[test]
fn a_fake_directory_gives_pages() {
    if !has(&["ldapsearch"]) {
        return;
    }
    let fake = FakeLdap::start(|search| {
        let (_, cookie) = search.page.clone().unwrap();
        let mut answer = LdapAnswer::people(2);
        let is_last = cookie == *b"second";
        answer.push(LdapAnswer::PageDone(if is_last { Vec::new() } else { b"second".to_vec() }));
        answer
    });
    let (is_content, said) = ldapsearch(&fake.url(), &["-E", "pr=2/noprompt", "-b", "o=Example"]);
    assert!(is_content && count(&said, "mail") == 4, "{said}");
    assert_eq!(fake.searches().len(), 2);
}

#[test]
fn a_fake_directory_fails_in_every_way_of_a_network() {
    if !has(&["ldapsearch"]) {
        return;
    }
    let fake = FakeLdap::start(|_| Vec::new());
    let mut whole = vec![LdapAnswer::Slowly(Duration::from_micros(100))];
    whole.push(LdapAnswer::Wait(Duration::from_millis(1)));
    whole.extend(one_person());
    let mut large = LdapAnswer::people(1);
    large.push(LdapAnswer::entry("cn=large", &[("description", &"x".repeat(10 << 20))]));
    large.push(LdapAnswer::done(0));
    for answer in [whole, large] {
        fake.answer_with(move |_| answer.clone());
        let (is_content, said) = ldapsearch(&fake.url(), &["-b", "o=Example"]);
        assert!(is_content && said.contains("person0001"));
    }
    let after = |fault: LdapAnswer| [LdapAnswer::people(1), vec![fault]].concat();
    let cut = [vec![LdapAnswer::CutAfter(20)], one_person()].concat();
    let lost = [vec![LdapAnswer::WrongMessageId], one_person(), vec![LdapAnswer::Close]].concat();
    for answer in [
        after(LdapAnswer::Close),
        after(LdapAnswer::Reset),
        after(LdapAnswer::Disconnect(52)),
        [after(LdapAnswer::Octets(b"HTTP/1.1 400".to_vec())), vec![LdapAnswer::Close]].concat(),
        cut,
        lost,
    ] {
        let ours = answer.clone();
        fake.answer_with(move |_| ours.clone());
        let (is_content, said) = ldapsearch(&fake.url(), &["-b", "o=Example"]);
        assert!(!is_content, "{answer:?}: {said}");
    }
}

#[test]
fn a_fake_directory_closes_half_and_listens_on() {
    let fake = FakeLdap::start(|_| vec![LdapAnswer::HalfClose]);
    let mut stream = TcpStream::connect(fake.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // (objectClass=*) at the root, as message 1.
    let search = b"\x30\x25\x02\x01\x01\x63\x20\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\
                   \x02\x01\x00\x01\x01\x00\x87\x0bobjectClass\x30\x00";
    stream.write_all(search).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert_eq!(fake.open(), 1);
    stream.write_all(search).unwrap();
    assert_eq!(fake.wait_for_search(2).filter, "(objectClass=*)");
    stream.shutdown(Shutdown::Both).unwrap();
    kit::wait_until("it notices", || fake.open() == 0);
}
