//! `--record`: counters over time, into a file, until a signal stops it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::evidence::{self, DiskCounters, DiskName, Host};
use crate::stat::Group;
use crate::stat::record::{GroupCounters, HostCounters, Writer};
use crate::sys;
use crate::time::{Micros, Moment};

use super::error::RunError;
use super::options::Settings;
use super::reader::open_file;
use super::screen::{Mode, Screen, Wake};
use super::{End, Grid, open};

/// The bytes of a record that are collected before they are written.
const BUFFER: usize = 4096;
/// How often the other counters are read: psilogd reads them once per window.
const OTHERS: Micros = Micros::secs(1);
/// The microseconds of a tick of /proc/stat.
const TICK: u64 = 10_000;

/// Writes counters to a file until a signal stops it.
pub fn record(settings: &Settings, file: &Path) -> Result<End, RunError> {
    let mut reader = open(settings)?;
    let first = reader.read_first()?;
    let refused = |error| RunError::Write(file.into(), error);
    let mut record = File::create(file).map_err(refused)?;
    let mut screen = Screen::new(Mode::Last)?;
    // A closed standard error is no reason to fail.
    let _ = writeln!(
        io::stderr(),
        "psistat: reading this often takes events from triggers that were armed without \
         CAP_SYS_RESOURCE"
    );
    let grid = Grid {
        start: sys::now(),
        step: settings.interval.unwrap_or(Micros::ZERO),
    };
    let mut others = Others::new(settings.pressure.as_deref(), reader.mount());
    let (mut writer, mut out) = (Writer::default(), Vec::with_capacity(2 * BUFFER));
    writer.add(&mut out, &first);
    others.add(&mut writer, &mut out, &first);
    loop {
        match screen.wait(grid.next(sys::now()))? {
            Wake::Due => {
                let groups = reader.read()?;
                writer.add(&mut out, &groups);
                others.add(&mut writer, &mut out, &groups);
            }
            Wake::Resized => {}
            Wake::Unread | Wake::Quit | Wake::Signal(_) => break,
        }
        if out.len() >= BUFFER {
            record.write_all(&out).map_err(refused)?;
            out.clear();
        }
    }
    writer.end(&mut out, sys::now());
    record.write_all(&out).map_err(refused)?;
    Ok(End::Done)
}

/// The files of the other counters. What can't be read is not recorded.
struct Others {
    /// meminfo, vmstat, diskstats, stat.
    files: [Option<File>; 4],
    mount: PathBuf,
    host: Host,
    text: Vec<u8>,
    due: Moment,
}

impl Others {
    /// Beside the directory of the pressure files, which is /proc/pressure or the same
    /// of another /proc.
    fn new(pressure: Option<&Path>, mount: &Path) -> Others {
        let proc = match pressure {
            Some(directory) => directory.join(".."),
            None => "/proc".into(),
        };
        let names = ["meminfo", "vmstat", "diskstats", "stat"];
        Others {
            files: names.map(|name| open_file(&proc.join(name)).ok()),
            mount: mount.into(),
            host: Host::new(),
            text: Vec::new(),
            due: Moment(0),
        }
    }

    /// Appends a reading, once per second at most.
    fn add(&mut self, writer: &mut Writer, out: &mut Vec<u8>, groups: &[Group]) {
        let at = sys::now();
        if at < self.due {
            return;
        }
        self.due = at + OTHERS;
        for path in groups.iter().filter_map(|group| group.path.as_deref()) {
            writer.counters(out, path, at, self.group(path));
        }
        if self.files.iter().all(Option::is_none) {
            return;
        }
        let host = self.host();
        let disks = self.disks();
        writer.host(out, at, &disks, host);
    }

    fn group(&self, path: &[u8]) -> GroupCounters {
        let below = path.get(1..).unwrap_or_default();
        let directory = self.mount.join(OsStr::from_bytes(below));
        let text = |name| {
            let mut text = Vec::new();
            let file = open_file(&directory.join(name));
            match file.and_then(|mut file| file.read_to_end(&mut text)) {
                Ok(_) => text,
                Err(_) => Vec::new(),
            }
        };
        let throttled = evidence::throttled(&text("cpu.stat"));
        GroupCounters {
            oom_kills: evidence::oom_kills(&text("memory.events")),
            periods: throttled.map(|throttled| throttled.periods),
            throttled: throttled.map(|throttled| throttled.throttled),
        }
    }

    fn host(&mut self) -> HostCounters {
        self.read(0);
        let [memory, available, swap, swap_free] = evidence::meminfo(&self.text);
        self.read(1);
        self.host.vmstat(&self.text);
        self.read(3);
        self.host.stat(&self.text);
        let cpu = self.host.cpu();
        HostCounters {
            memory,
            available,
            swap,
            swap_free,
            oom_kills: self.host.memory().oom_kills,
            cpus: cpu.map(|cpu| u64::from(cpu.cpus)),
            idle: cpu.map(|cpu| cpu.idle.0 / TICK),
            steal: cpu.map(|cpu| cpu.steal.0 / TICK),
        }
    }

    fn disks(&mut self) -> Vec<(DiskName, DiskCounters)> {
        self.read(2);
        let mut disks = Vec::new();
        evidence::whole_disks(&self.text, &mut |name, counters| {
            // a disk that has never done anything is not worth a line
            if counters.completed > 0 || counters.inflight > 0 {
                disks.push((name, counters));
            }
        });
        disks
    }

    /// Reads one file from its beginning; nothing where that fails.
    fn read(&mut self, which: usize) {
        self.text.clear();
        let Some(file) = &self.files[which] else {
            return;
        };
        let mut chunk = [0; 4096];
        loop {
            match file.read_at(&mut chunk, self.text.len() as u64) {
                Ok(0) => return,
                Ok(length) => self.text.extend_from_slice(&chunk[..length]),
                Err(_) => return self.text.clear(),
            }
        }
    }
}
