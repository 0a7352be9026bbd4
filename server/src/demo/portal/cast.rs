//! Who can sign in to the demonstration's portal and console.

/// What developers and staff of the demonstration sign in with. It guards made-up data.
pub(crate) const PASSWORD: &str = "open-sesame-portal";
/// The developer whom `dev` names.
pub(super) const DEVELOPER: &str = "dana@lumenlabs.example";

/// A member of staff of the demo platform.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    /// By which they sign in.
    pub(crate) email: &'static str,
    /// How they are called.
    pub(crate) name: &'static str,
    /// What they may do.
    pub(crate) role: &'static str,
}

/// Who can sign in.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    /// By an address and [`PASSWORD`].
    pub(crate) developer: &'static str,
    /// The same.
    pub(crate) staff: &'static [Member],
}

impl Default for Cast {
    fn default() -> Self {
        Self { developer: DEVELOPER, staff: STAFF }
    }
}

/// The first is who decides most, the second the other of two.
pub(super) const STAFF: &[Member] = &[
    Member { email: "reviewer@clips.example", name: "Rosa Lindqvist", role: "reviewer" },
    Member { email: "second.reviewer@clips.example", name: "Samir Haddad", role: "reviewer" },
    Member { email: "support@clips.example", name: "Tove Brandt", role: "support" },
    Member { email: "compliance@clips.example", name: "Uma Pereira", role: "compliance" },
    Member { email: "administrator@clips.example", name: "Viktor Nowak", role: "administrator" },
];
