//! Who runs a command: the name that stands at what it changes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// The name the system has for the user of this process, else its number. Not what the environment says: that is
/// whatever somebody wants it to be.
pub(super) fn name() -> String {
    let Ok(process) = fs::metadata("/proc/self") else { return "unknown".to_owned() };
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    named(&users, process.uid()).unwrap_or_else(|| process.uid().to_string())
}

/// The name of a number in a file like `/etc/passwd`.
fn named(users: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1) == Some(&uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_number_and_not_by_the_group() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\nodd\nann:x:1000:7:Ann:/home/ann:/bin/sh\nbob:x:7:1000::/:\n";
        assert_eq!(named(users, 1000).as_deref(), Some("ann"));
        assert_eq!(named(users, 7).as_deref(), Some("bob"));
        assert_eq!(named(users, 8), None);
        assert!(!name().is_empty());
    }
}
