//! Texts of /proc and of cgroups.
