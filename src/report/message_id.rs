//! The MESSAGE_ID of each event, by which the journal's catalog explains a line
//! (systemd.journal-fields(7)). Drawn at random once; an id never changes, and an event
//! that is new gets a new one. packaging/systemd/psilogd.catalog has the texts.

/// Event, resource and id. Only a *begin* has one id for each resource, because what to
/// look at depends on it.
pub const MESSAGE_IDS: [(&str, Option<&str>, &str); 20] = [
    ("begin", Some("cpu"), "5b882bdbc98a4f8d9e56e28daeac6ecf"),
    ("begin", Some("memory"), "ee14a676f0f64ecab472bd83547ea491"),
    ("begin", Some("io"), "2d1be07705df4b058e6b516a8cbea6bb"),
    ("begin", Some("irq"), "a7f8bbca49a147c690503ac4ac1b620b"),
    ("still", None, "07a953c65c644636b2d6b5f633f9d402"),
    ("end", None, "3374ce793783479e9ae3e2dd1caefd1b"),
    ("lost", None, "f23b9e3fc4b54d57bd174bace45f7ec7"),
    ("restored", None, "4272cc0dbff049ddb1f50521d8b57e31"),
    ("capped", None, "d61adc143602454298888ebb969b4737"),
    ("reload", None, "1b2e3a32baee44ff9f61c90a36cd714c"),
    ("reload_failed", None, "98f885d0410a4dbd983f5b7e8dadf9b7"),
    ("dropped", None, "6c04d557ea2f456cb07936b1126a77cb"),
    ("suppressed", None, "e9af2583d884461e8eb470fdd50a6050"),
    ("window_conflict", None, "307fd332a3964bbf956fb101449d067e"),
    ("status", None, "aa95d28e814b443dbab41d71e0138c40"),
    ("alive", None, "a8f388dfaec44bc9a0f58eec0ee228ff"),
    ("start", None, "6527fa145ae04913900840a360e5bd51"),
    ("stop", None, "b1a197b3a654432b9dc295b701a35449"),
    ("crossing", None, "4f027f4f2ee14fc182754f4a86336718"),
    ("reading", None, "729ee62b9e824fe8b787deff23850f6f"),
];

/// The id for a line with this `event=` and `res=`; None if the line has no such event.
pub fn message_id(event: &[u8], resource: &[u8]) -> Option<&'static str> {
    let found = MESSAGE_IDS.iter().find(|(name, of, _)| {
        name.as_bytes() == event && of.is_none_or(|of| of.as_bytes() == resource)
    });
    found.map(|(_, _, id)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    const CATALOG: &str = include_str!("../../packaging/systemd/psilogd.catalog");

    /// The entries of the catalog: id, header and text.
    fn catalog() -> BTreeMap<&'static str, (&'static str, &'static str)> {
        let mut entries = BTreeMap::new();
        for entry in CATALOG.split("\n-- ").skip(1) {
            let (id, rest) = entry.split_once('\n').unwrap();
            let (header, text) = rest.split_once("\n\n").unwrap();
            assert_eq!(entries.insert(id, (header, text)), None, "{id} twice");
        }
        entries
    }

    #[test]
    fn every_id_is_in_the_catalog_and_nothing_else_is() {
        let ids: BTreeSet<_> = MESSAGE_IDS.map(|(_, _, id)| id).into();
        assert_eq!(ids.len(), MESSAGE_IDS.len(), "an id twice");
        assert_eq!(ids, catalog().into_keys().collect());
        for id in ids {
            let digits = id.bytes().all(|b| b"0123456789abcdef".contains(&b));
            assert!(digits && id.len() == 32, "{id}");
        }
    }

    /// psilogd(8), Events, has every event; format.rs's test holds it to that.
    #[test]
    fn every_event_has_an_id() {
        let page = include_str!("../../man/psilogd.8");
        let (_, events) = page.split_once(".Ss Events\n").unwrap();
        let (events, _) = events.split_once(".Ss Keys\n").unwrap();
        let items = events
            .lines()
            .filter_map(|line| line.strip_prefix(".It Cm "));
        let names: BTreeSet<_> = MESSAGE_IDS.map(|(event, _, _)| event).into();
        assert_eq!(names, items.collect());
        for resource in crate::pressure::Resource::ALL {
            let id = message_id(b"begin", resource.name().as_bytes());
            assert!(id.is_some(), "{}", resource.name());
        }
        assert_eq!(message_id(b"begin", b""), None);
        assert_eq!(message_id(b"begins", b"io"), None);
        assert_eq!(message_id(b"end", b"io"), message_id(b"end", b"cpu"));
    }

    /// What the event means, three things to look at, and how to silence it: within the
    /// 80 columns of a terminal, and with fields that the lines of the event have.
    #[test]
    fn every_entry_helps() {
        let entries = catalog();
        for (event, _, id) in MESSAGE_IDS {
            let (header, text) = entries[id];
            assert!(header.starts_with("Subject: "), "{event}");
            assert!(header.contains("\nDefined-By: psilogd"), "{event}");
            assert!(
                header.contains("\nDocumentation: man:psilogd(8)"),
                "{event}"
            );
            for part in ["\n1. ", "\n2. ", "\n3. ", "\nSilence: "] {
                assert!(text.contains(part), "{event}: {part}");
            }
            let long = text.lines().find(|line| line.len() > 79);
            assert_eq!(long, None, "{event}");
            let fields = header
                .split('@')
                .chain(text.split('@'))
                .filter(|word| word.starts_with("PSI_") && !word.contains(char::is_whitespace));
            for field in fields {
                let key = field[4..].to_ascii_lowercase();
                assert!(has(event, &key), "{event} has no {key}");
            }
        }
    }

    /// Whether psilogd(8) lists the key for the event.
    fn has(event: &str, key: &str) -> bool {
        let page = include_str!("../../man/psilogd.8");
        let (_, events) = page.split_once(".Ss Events\n").unwrap();
        let (_, item) = events.split_once(&format!(".It Cm {event}\n")).unwrap();
        let item = item.split("\n.It ").next().unwrap();
        let (_, keys) = item.split_once("Keys: ").unwrap();
        let mut words = keys.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        ["event", "level"].contains(&key) || words.any(|word| word == key)
    }
}
