//! The text of /proc/self/mountinfo (proc(5)).

use std::os::unix::ffi::OsStrExt;

use psilogd::roots::mount_point;

pub fn run(data: &[u8]) {
    let found = mount_point(data);
    assert_eq!(found.is_some(), data.split(|b| *b == b'\n').any(is_cgroup2));

    // any name of a directory is found as it is, behind any lines without the hierarchy
    let name: Vec<u8> = data.iter().copied().filter(|byte| *byte != 0).collect();
    let mut text = b"30 1 0:26 / /sys rw shared:7 - sysfs sysfs rw\n\
                     31 30 0:27 /lxc /part rw - cgroup2 none rw\n"
        .to_vec();
    text.extend_from_slice(b"32 30 0:28 / /");
    text.extend(escaped(&name));
    text.extend_from_slice(b" rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
    text.extend_from_slice(b"33 30 0:29 / /later rw - cgroup2 none rw\n");
    let found = mount_point(&text).unwrap();
    assert_eq!(found.as_os_str().as_bytes(), [b"/", &name[..]].concat());
}

fn is_cgroup2(line: &[u8]) -> bool {
    let fields: Vec<_> = line.split(|byte| *byte == b' ').collect();
    let end = fields.iter().skip(5).position(|field| *field == b"-");
    end.is_some_and(|end| fields.get(5 + end + 1) == Some(&&b"cgroup2"[..]))
}

/// As mangle() in fs/proc_namespace.c does.
fn escaped(name: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for byte in name {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' | b'#' => {
                text.extend_from_slice(format!("\\{byte:03o}").as_bytes());
            }
            byte => text.push(*byte),
        }
    }
    text
}
