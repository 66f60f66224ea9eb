//! How long the search for the most-stalled cgroup takes below a directory.
//! Figures, not a test: `make bench-cgroups` runs it.

use std::path::Path;
use std::time::Instant;

use psilogd::cgroup::MostStalled;
use psilogd::pressure::{Kind, Percent, Resource};

fn main() {
    let Some(root) = std::env::args().nth(1) else {
        return;
    };
    let mut most_stalled = MostStalled::new(Path::new(&root));
    let mut times: Vec<f64> = (0..201)
        .map(|_| {
            let start = Instant::now();
            let _ = most_stalled.find(Resource::Memory, Kind::Full, Percent(0));
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "{:.2} ms in the median, {:.2} ms at worst",
        times[100], times[200]
    );
}
