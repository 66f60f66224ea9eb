//! The state of an episode by its name.

/// The state, for a status line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Nothing; the trigger is polled.
    Quiet,
    /// `for=` is above 0: pressure is measured until it has been sustained.
    Verifying,
    /// `for=0`: the counter didn't confirm an event, and is read again.
    Rechecking,
    /// An episode is open.
    Pressed,
}

impl Phase {
    /// The word for `state=`.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Quiet => "quiet",
            Phase::Verifying => "verifying",
            Phase::Rechecking => "rechecking",
            Phase::Pressed => "pressed",
        }
    }
}
