//! The pages' promises: what outsiders write stays text, and the forms keep the names others rely on.

use super::*;
