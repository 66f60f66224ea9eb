//! On plain directories: inotify is the same there.

use super::*;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::pattern::Pattern;

struct Host {
    root: PathBuf,
    tree: Tree,
    pattern: Pattern,
    most: usize,
}

impl Host {
    fn new(pattern: &str, directories: &[&str]) -> Host {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("psilogd-tree-{}-{count}", std::process::id());
        let root = std::env::temp_dir().join(name);
        for directory in directories {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        Host {
            tree: Tree::new(&root),
            root,
            pattern: Pattern::parse(pattern.as_bytes()).unwrap(),
            most: 99,
        }
    }

    fn scan(&mut self) -> Vec<String> {
        let pattern = &self.pattern;
        self.tree
            .scan(self.most, &|path| pattern.reaches_below(path));
        self.explore(Vec::new())
    }

    fn explore(&mut self, mut changes: Vec<Change>) -> Vec<String> {
        let pattern = &self.pattern;
        while self.tree.is_exploring() {
            changes.extend(self.tree.explore(3, &|path| pattern.reaches_below(path)));
        }
        self.matching(changes)
    }

    fn take(&mut self) -> Vec<String> {
        let changes = self.tree.take(false);
        self.explore(changes)
    }

    /// The changes of matching cgroups: + for created, - for removed.
    fn matching(&self, changes: Vec<Change>) -> Vec<String> {
        let text = |sign: &str, path: &[u8]| {
            let matches = self.pattern.matches(path);
            matches.then(|| format!("{sign}{}", String::from_utf8_lossy(path)))
        };
        let mut list: Vec<String> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Created(path) => text("+", path),
                Change::Removed(path) => text("-", path),
                Change::Overflow => Some("?".into()),
            })
            .collect();
        list.sort();
        list.dedup();
        list
    }

    fn watches(&self) -> Vec<String> {
        let paths = self.tree.watches.wds.keys();
        paths
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect()
    }

    /// How many watches the kernel has.
    fn count_watches(&self) -> usize {
        use std::os::fd::AsRawFd;
        let fd = self.tree.fd().unwrap().as_raw_fd();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
        info.matches("inotify wd:").count()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

#[test]
fn only_directories_that_reach_are_watched() {
    let mut host = Host::new("/a/*/c", &["a/x/c/deep", "a/y", "b/x/c"]);
    assert_eq!(host.scan(), ["+/a/x/c"]);
    assert_eq!(host.watches(), ["/", "/a", "/a/x", "/a/y"]);
    assert_eq!(host.count_watches(), 4);
    fs::create_dir(host.root.join("a/y/c")).unwrap();
    fs::create_dir(host.root.join("b/y")).unwrap();
    assert_eq!(host.take(), ["+/a/y/c"]);
    fs::remove_dir(host.root.join("a/y/c")).unwrap();
    assert_eq!(host.take(), ["-/a/y/c"]);
    assert!(host.take().is_empty());
}

/// What was created before its parent was watched is read from the directory, what was
/// created later is an event: nothing is missed between them.
#[test]
fn a_tree_created_at_once_is_found_whole() {
    let mut host = Host::new("/**", &["a"]);
    assert_eq!(host.scan(), ["+/a"]);
    fs::create_dir_all(host.root.join("a/b/c/d")).unwrap();
    assert_eq!(host.take(), ["+/a/b", "+/a/b/c", "+/a/b/c/d"]);
    fs::create_dir_all(host.root.join("a/b/c/d/e")).unwrap();
    assert_eq!(host.take(), ["+/a/b/c/d/e"]);
}

#[test]
fn a_path_that_is_not_there_is_waited_for_from_where_there_is_one() {
    let mut host = Host::new("/a/b/c", &["other"]);
    assert!(host.scan().is_empty());
    assert_eq!(host.watches(), ["/"]);
    fs::create_dir_all(host.root.join("a/b")).unwrap();
    assert!(host.take().is_empty());
    fs::create_dir(host.root.join("a/b/c")).unwrap();
    assert_eq!(host.take(), ["+/a/b/c"]);
    assert_eq!(host.watches(), ["/", "/a", "/a/b"]);
}

/// A hundred rounds leave as many watches as one.
#[test]
fn watches_are_removed_with_their_directories() {
    let mut host = Host::new("/**", &["a", "a.b", "ab"]);
    host.scan();
    for _ in 0..100 {
        fs::create_dir_all(host.root.join("a/b/c")).unwrap();
        host.take();
        assert_eq!(host.count_watches(), 6);
        fs::remove_dir_all(host.root.join("a")).unwrap();
        host.take();
        // on a plain file system the kernel removes the watch itself (IN_IGNORED)
        host.take();
        assert_eq!(host.watches(), ["/", "/a.b", "/ab"]);
        assert_eq!(host.count_watches(), 3);
        fs::create_dir(host.root.join("a")).unwrap();
        host.take();
    }
}

#[test]
fn another_directory_of_the_same_name_is_another() {
    let mut host = Host::new("/a/*", &["a/x"]);
    host.scan();
    fs::remove_dir_all(host.root.join("a")).unwrap();
    fs::create_dir_all(host.root.join("a/y")).unwrap();
    // whatever the order of the events, the directory that is there is found
    let seen = [host.take(), host.take()].concat();
    assert!(seen.contains(&"+/a/y".into()), "{seen:?}");
    assert_eq!(host.count_watches(), 2);
    fs::create_dir(host.root.join("a/z")).unwrap();
    assert_eq!(host.take(), ["+/a/z"]);
}

#[test]
fn a_switch_is_watched_until_its_cgroup_is_removed() {
    let mut host = Host::new("/*", &["a"]);
    fs::write(host.root.join("a/cgroup.pressure"), "0").unwrap();
    host.scan();
    host.tree.watch_switch(b"/a");
    host.tree.watch_switch(b"/none");
    assert_eq!(host.count_watches(), 2);
    // a scan keeps it: /a itself reaches nothing, but it is in what does
    host.scan();
    assert_eq!(host.count_watches(), 2);
    fs::write(host.root.join("a/cgroup.pressure"), "1").unwrap();
    assert_eq!(host.take(), ["+/a"]);
    fs::remove_dir_all(host.root.join("a")).unwrap();
    host.take();
    host.take();
    assert_eq!(
        (host.watches(), host.count_watches()),
        (vec!["/".into()], 1)
    );
}

#[test]
fn the_way_to_a_path_is_followed_as_far_as_it_is_there() {
    let mut host = Host::new("/a/b/c", &["a", "other"]);
    host.tree.follow(b"/a/b/c");
    assert_eq!(host.watches(), ["/", "/a"]);
    fs::create_dir_all(host.root.join("a/b/c")).unwrap();
    assert_eq!(host.take(), ["+/a/b/c"]);
    assert_eq!(host.watches(), ["/", "/a", "/a/b"]);
    host.tree.prune(&|_| false);
    assert_eq!(host.count_watches(), 0);
    host.tree.follow(b"/");
    assert_eq!(host.watches(), ["/"]);
    assert_eq!(host.tree.inotify_error(), None);
}

#[test]
fn a_missing_mount_is_an_inotify_error() {
    let mut tree = Tree::new(Path::new("/nonexistent"));
    tree.scan(9, &|_| true);
    assert!(tree.explore(1, &|_| true).is_empty());
    assert_eq!(tree.inotify_error(), Some(libc::ENOENT));
    let mut tree = Tree::new(Path::new("/nonexistent"));
    tree.follow(b"/a");
    assert_eq!(tree.inotify_error(), Some(libc::ENOENT));
}

#[test]
fn a_scan_for_less_watches_less() {
    let mut host = Host::new("/**", &["a/b", "c/d"]);
    host.scan();
    assert_eq!(host.count_watches(), 5);
    host.pattern = Pattern::parse(b"/c/*").unwrap();
    assert_eq!(host.scan(), ["+/c/d"]);
    assert_eq!(host.watches(), ["/", "/c"]);
    assert_eq!(host.count_watches(), 2);
}

#[test]
fn odd_names() {
    let long = "n".repeat(255);
    let mut host = Host::new("/*", &["a"]);
    host.scan();
    for name in [
        "with space",
        "line\nend",
        "\u{e9}\u{4e2d}",
        "-",
        long.as_str(),
    ] {
        fs::create_dir(host.root.join(name)).unwrap();
        assert_eq!(host.take(), [format!("+/{name}")]);
    }
}

#[test]
fn cut_events_are_none() {
    for bytes in [&[][..], &[0; 15], &[255; 16], &[255; 64]] {
        assert!(Event::first(bytes).is_none());
    }
}

/// Whatever others create, so many directories are watched, those near the root first;
/// those beyond are passed over, and that shows.
#[test]
fn what_is_watched_is_bounded() {
    let deep = (0..10).map(|n| format!("a/{n}/deep")).collect::<Vec<_>>();
    let mut directories: Vec<&str> = deep.iter().map(String::as_str).collect();
    directories.push("b");
    let mut host = Host::new("/**", &directories);
    host.most = 5;
    host.scan();
    assert_eq!(host.count_watches(), 5);
    assert!(host.watches().starts_with(&["/".into(), "/a".into()]));
    assert!(host.watches().contains(&"/b".into()));
    assert!(host.tree.is_partial());
    fs::create_dir_all(host.root.join("new/x/y")).unwrap();
    assert_eq!(host.take(), ["+/new", "+/new/x", "+/new/x/y"]);
    assert_eq!(host.count_watches(), 5);
    // where there is room for all
    host.most = 99;
    assert_eq!(host.scan().len(), 1 + 10 + 10 + 1 + 3);
    assert!(!host.tree.is_partial());
    assert_eq!(host.count_watches(), 26);
}
