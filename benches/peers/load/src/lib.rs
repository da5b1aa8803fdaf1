//! The load that every system gets: the same bodies, the same publishing loops, the same counting, in the driver and in the app.

mod body;
mod clock;
mod pace;
mod tally;
mod window;

pub use body::{PAD_OVERHEAD, pad};
pub use clock::now;
pub use pace::{Paced, pace};
pub use tally::{MAX_SUBSCRIBERS, Tally};
pub use window::{Published, window};

/// The topics that are published to, and how many subscribers each of them has.
pub const FANOUTS: [(&str, usize); 3] = [("one", 1), ("four", 4), ("sixteen", 16)];
