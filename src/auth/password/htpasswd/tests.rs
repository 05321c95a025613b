use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// `myPassword` and `correct horse`: the first is the example of Apache's documentation, the others are of libxcrypt.
const APACHE: &str = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";
const HORSE: &str = "04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";

/// Seventy-two times `a`, and `äö`, of libxcrypt.
const LONG: &str = "$2y$04$......................UaUp2CqHXn14N7RprrzoDsNv91ahi36";
const UMLAUTS: &str = "$2y$04$......................O.j0BTSdawj5.IxXszIUIf3tJSXFt56";

fn parse(text: &str) -> Result<Htpasswd, HtpasswdError> {
    Htpasswd::parse("users", text)
}

fn is(file: &Htpasswd, name: &str, password: &str) -> bool {
    file.verify(&name.parse().unwrap(), &password.into())
}

#[test]
fn passwords_are_those_of_apache_in_every_version_of_bcrypt() {
    let file =
        parse(&format!("ada:{APACHE}\na:$2a${HORSE}\nb:$2b${HORSE}\ny:$2y${HORSE}\nu:{UMLAUTS}\n")).unwrap();
    assert_eq!((file.len(), file.is_empty()), (5, false));
    assert!(is(&file, "ada", "myPassword") && !is(&file, "ada", "mypassword") && !is(&file, "ada", ""));
    for name in ["a", "b", "y"] {
        assert!(is(&file, name, "correct horse") && !is(&file, name, "myPassword"), "{name}");
    }
    assert!(is(&file, "u", "äö") && !is(&file, "u", "a\u{308}o\u{308}"));
    assert!(!is(&file, "eve", "myPassword") && !file.verify_nobody(&"myPassword".into()));
}

#[test]
fn a_password_that_bcrypt_would_cut_is_wrong() {
    let file = parse(&format!("ada:{LONG}")).unwrap();
    let fits = "a".repeat(72);
    assert!(is(&file, "ada", &fits));
    for cut in [format!("{fits}a"), format!("{fits}b")] {
        assert!(!is(&file, "ada", &cut), "{cut:?}");
        assert!(!file.verify_nobody(&cut.as_str().into()));
    }
}

#[test]
fn a_password_that_bcrypt_would_take_for_its_repetition_is_wrong() {
    let file = parse(&format!("ada:{UMLAUTS}")).unwrap();
    let twice = "äö\0äö";
    assert!(bcrypt::verify(twice, UMLAUTS).unwrap(), "it does take it");
    assert!(!is(&file, "ada", twice));
}

#[test]
fn comments_empty_lines_other_line_ends_and_a_byte_order_mark_are_passed_over() {
    let file =
        parse(&format!("\u{feff}# users\r\n\r\n  \t\n ada:{APACHE} \r\n#eve:plain\n\nbob:{LONG}")).unwrap();
    assert_eq!(file.entries.keys().map(Name::as_str).collect::<Vec<_>>(), ["ada", "bob"]);
    assert_eq!(file.entries.values().map(|entry| entry.line).collect::<Vec<_>>(), [4, 7]);
    for text in ["", "\n", "# nobody", "\u{feff}"] {
        let file = parse(text).unwrap();
        assert!(file.is_empty() && !is(&file, "ada", ""), "{text:?}");
    }
}

#[test]
fn a_file_is_refused_with_the_line_and_the_reason() {
    let form = "a line is NAME:HASH, as htpasswd -B writes it";
    let name = |character: char| {
        format!("the name has {character:?}; names are lower-case letters, digits, and . _ - @ + / inside")
    };
    let other = |kind: &str| format!("the password is {kind}; only bcrypt is read, as htpasswd -B writes it");
    let bcrypt = "the bcrypt hash is not $2y$, two digits, $ and 53 characters; is the line whole?";
    let cost = |cost: &str| format!("the cost of the bcrypt hash is {cost}; 4 to 14 are read");
    let with = |from: &str, to: &str| format!("eve:{}", APACHE.replace(from, to));
    for (line, reason) in [
        ("eve".to_owned(), form),
        (APACHE.to_owned(), form),
        (format!(":{APACHE}"), "a name has 1 to 128 bytes"),
        (format!("Eve:{APACHE}"), &name('E')),
        (format!("eve :{APACHE}"), &name(' ')),
        (format!("{APACHE}:eve"), &name('$')),
        (format!("ada:{APACHE}"), "the name is on line 2 already"),
        ("eve:$apr1$abcdefgh$5VEbMkemELfbhC5ck.U.z1".to_owned(), &other("MD5 (apr1)")),
        ("eve:$1$abcdefgh$5VEbMkemELfbhC5ck.U.z1".to_owned(), &other("MD5")),
        ("eve:{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=".to_owned(), &other("SHA-1")),
        ("eve:{SSHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=".to_owned(), &other("SHA-1")),
        ("eve:$5$salt$hash".to_owned(), &other("SHA-256 (crypt)")),
        ("eve:$6$salt$hash".to_owned(), &other("SHA-512 (crypt)")),
        ("eve:$y$j9T$salt$hash".to_owned(), &other("yescrypt")),
        ("eve:$argon2id$v=19$m=1".to_owned(), &other("argon2")),
        (with("$2y$", "$2x$"), &other("bcrypt with the fault of 2011 ($2x$)")),
        (with("$2y$", "$2$"), &other("bcrypt without a version ($2$)")),
        ("eve:rqXexS6ZhobKA".to_owned(), &other("DES (crypt) or plain text")),
        ("eve:hunter2".to_owned(), &other("plain text or an unknown hash")),
        ("eve:".to_owned(), &other("plain text or an unknown hash")),
        (with("RqC", "Rq"), bcrypt),
        (format!("eve:{APACHE}:Eve Example"), bcrypt),
        (with("c4Wo", "c4W="), bcrypt),
        (with("c4Wo", "c4é"), bcrypt),
        (with("$05$", "$+5$"), bcrypt),
        (with("$05$", "$xx$"), bcrypt),
        (with("$05$", "$03$"), &cost("3")),
        (with("$05$", "$15$"), &cost("15")),
        (with("$05$", "$31$"), &cost("31")),
    ] {
        let refused = parse(&format!("# users\nada:{APACHE}\n\n{line}\nbob:{LONG}\n")).unwrap_err();
        assert_eq!(refused.to_string(), format!("users:4: {reason}"), "{line}");
    }
    for cost in ["04", "14"] {
        assert!(parse(&with("$05$", &format!("${cost}$"))).is_ok(), "{cost}");
    }
}

#[test]
fn a_file_has_an_end() {
    let long = "#".repeat(1024 * 1024);
    assert!(parse(&long).is_ok());
    assert_eq!(
        parse(&(long + "#")).unwrap_err().to_string(),
        "users:1: the file has more than 1048576 bytes"
    );
    let mut many = String::new();
    for number in 0..10_000 {
        writeln!(many, "u{number}:{APACHE}").unwrap();
    }
    assert_eq!(parse(&many).unwrap().len(), 10_000);
    let refused = parse(&format!("{many}one-more:{APACHE}")).unwrap_err();
    assert_eq!(refused.to_string(), "users:10001: the file has more than 10000 users");
}

#[test]
fn names_that_are_not_there_cost_as_much_as_the_dearest_hash() {
    let file = parse(&format!("cheap:{LONG}\ndear:{APACHE}")).unwrap();
    assert_eq!(file.cost, 5);
    let besides = |entry| file.besides(entry).map(|cost| 1_u64 << cost).sum::<u64>();
    for entry in file.entries.values() {
        assert_eq!((1 << entry.cost) + besides(Some(entry)), 1 << 5);
    }
    assert_eq!(besides(None), 1 << 5);
    assert_eq!(parse("").unwrap().cost, 4);
}

#[test]
fn a_file_is_never_printed() {
    assert_eq!(format!("{:?}", parse(&format!("ada:{APACHE}"))), "Ok(Htpasswd(1 users))");
}

proptest! {
    #[test]
    fn no_text_is_a_file_by_panic(text in "\\PC{0,80}", lines in "([a-zA]{1,2}:[$2aby01456{}SHé./:]{0,12}\r?\n){0,4}") {
        let _ = parse(&text);
        let _ = parse(&lines);
        let _ = parse(&format!("ada:$2y$05${text}"));
    }

    #[test]
    fn an_error_shows_nothing_of_a_line_that_was_refused(secret in "[qxzQXZ0-9]{8,60}", before in "(eve:|Eve:|:)?(\\$2y\\$|\\$apr1\\$|\\{SHA\\})?") {
        let refused = parse(&format!("{before}{secret}")).unwrap_err();
        let shown = format!("{refused} {refused:?}");
        prop_assert!(!shown.contains(&secret), "{}", shown);
    }
}
