//! `LISTEN_FDNAMES`: every descriptor has a resource, or none.

use psilogd::listen::resources;
use psilogd::pressure::Resource;

pub fn run(data: &[u8]) {
    let Some((count, names)) = data.split_first() else {
        return;
    };
    let (count, names) = (usize::from(*count), String::from_utf8_lossy(names));
    let found = resources(&names, count);
    assert_eq!(found.len(), count);
    let mut rest = names.as_bytes();
    for resource in found {
        let end = rest.iter().position(|byte| *byte == b':');
        let name = &rest[..end.unwrap_or(rest.len())];
        let expected = match name {
            b"cpu" => Some(Resource::Cpu),
            b"memory" => Some(Resource::Memory),
            b"io" => Some(Resource::Io),
            b"irq" => Some(Resource::Irq),
            _ => None,
        };
        assert_eq!(resource, expected, "{}", name.escape_ascii());
        rest = end.map_or(&[], |end| &rest[end + 1..]);
    }
}
