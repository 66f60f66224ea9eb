//! How cgroups are created and removed, and which is stalled most.

mod entries;
mod most_stalled;
mod search;
mod tree;

pub use most_stalled::MostStalled;
pub use search::{Answer, Question, Search};
pub use tree::{Change, Tree};

/// The path of a directory's child; `/` is the mount.
fn child(path: &[u8], name: &[u8]) -> Vec<u8> {
    let path = if path == b"/" { b"" } else { path };
    [path, b"/", name].concat()
}
