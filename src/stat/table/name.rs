//! Names of cgroups in less room than they need. A name ends in what it is about, and the
//! component above says whose it is: both keep their beginnings.

/// The least that is left of the component above.
const PARENT_MIN: usize = 4;

/// What stands for what was left out, and its width in columns.
#[derive(Clone, Copy)]
pub(super) struct Mark(pub(super) &'static str, pub(super) usize);

/// The name in `room` columns: whole; else without its first components; else with the
/// last but one cut at its end; else with the last one cut in its middle, too.
pub(super) fn shortened(name: &[u8], room: usize, mark: Mark) -> Vec<u8> {
    if name.len() <= room {
        return name.to_vec();
    }
    let slashes = || (1..name.len()).filter(|at| name[*at] == b'/');
    let Some(slash) = slashes().next_back() else {
        return middle(name, room, mark);
    };
    let above = slashes().nth_back(1);
    let fits = |at: &usize| above >= Some(*at) && mark.1 + name.len() - at <= room;
    if let Some(at) = slashes().find(fits) {
        return [mark.0.as_bytes(), &name[at..]].concat();
    }
    let (parent, last) = (&name[above.unwrap_or(0) + 1..slash], &name[slash..]);
    let least = parent.len().min(PARENT_MIN.max(room / 3));
    let left = match room.saturating_sub(last.len()) {
        enough if enough >= least.min(PARENT_MIN) => enough.min(parent.len()),
        _ => least,
    };
    let rest = middle(last, room.saturating_sub(left), mark);
    [start(parent, left, mark), rest].concat()
}

fn start(text: &[u8], room: usize, mark: Mark) -> Vec<u8> {
    match text.get(..room.saturating_sub(mark.1)) {
        Some(start) if text.len() > room => [start, mark.0.as_bytes()].concat(),
        _ => text.to_vec(),
    }
}

/// Three quarters of what fits are its beginning.
fn middle(text: &[u8], room: usize, mark: Mark) -> Vec<u8> {
    if text.len() <= room {
        return text.to_vec();
    }
    let kept = room.saturating_sub(mark.1);
    let end = text.len() - kept / 4;
    [&text[..kept - kept / 4], mark.0.as_bytes(), &text[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOTS: Mark = Mark("...", 3);
    const ELLIPSIS: Mark = Mark("…", 1);

    #[test]
    fn a_name_keeps_its_end_and_what_is_above_it() {
        let service = "/system.slice/db.service";
        let deep = "/user.slice/user-1000.slice/app.slice/shell.scope";
        let pod = "/kubepods.slice/kubepods-pod1234.slice/cri-containerd-0f3a5b7c9d.scope";
        for (name, room, mark, expected) in [
            (service, 24, ELLIPSIS, service),
            (service, 23, ELLIPSIS, "system.slice/db.service"),
            (service, 20, ELLIPSIS, "system.s…/db.service"),
            (service, 20, DOTS, "system.../db.service"),
            (service, 16, ELLIPSIS, "syst…/db.service"),
            (service, 12, ELLIPSIS, "sys…/db.se…e"),
            (
                deep,
                48,
                ELLIPSIS,
                "…/user-1000.slice/app.slice/shell.scope",
            ),
            (deep, 30, ELLIPSIS, "…/app.slice/shell.scope"),
            (deep, 23, ELLIPSIS, "…/app.slice/shell.scope"),
            (deep, 22, ELLIPSIS, "app.slice/shell.scope"),
            (deep, 20, ELLIPSIS, "app.sli…/shell.scope"),
            (pod, 37, ELLIPSIS, "kube…/cri-containerd-0f3a5b7c9d.scope"),
            ("/a-long-name.service", 12, ELLIPSIS, "/a-long-n…ce"),
            ("/a-long-name.service", 12, DOTS, "/a-long...ce"),
        ] {
            let text = String::from_utf8(shortened(name.as_bytes(), room, mark)).unwrap();
            assert_eq!(text, expected, "{name} in {room}");
        }
    }

    #[test]
    fn no_name_is_wider_than_its_room() {
        let names = [
            "/a",
            "/a/b",
            "/abcdefghij/abcdefghij",
            "/x/abcdefghijklmnop",
            "/a/bc/d",
        ];
        for (name, mark) in names
            .into_iter()
            .flat_map(|name| [(name, DOTS), (name, ELLIPSIS)])
        {
            for room in 8..30 {
                let text = String::from_utf8(shortened(name.as_bytes(), room, mark)).unwrap();
                assert!(text.chars().count() <= room, "{text} in {room}");
            }
        }
    }
}
