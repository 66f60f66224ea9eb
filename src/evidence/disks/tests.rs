//! Disks from reading to reading.
